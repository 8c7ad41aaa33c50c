"""What must work with every torch that is promised: the public names, and short runs, compiled ones among them.

``make versions`` runs it in an environment of each; it needs no package of the development extra.
"""

from __future__ import annotations

import importlib
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

from rlrecipe import load_policy, train
from rlrecipe.learning.compiled.package import compiler

#: Each a small piece of a bundled recipe's work.
RUNS: dict[str, dict[str, Any]] = {
    "ppo/cartpole": {"trainer": {"total_frames": 2048}},
    "sac/pendulum": {"trainer": {"total_frames": 600}, "collector": {"init_random_frames": 300}},
    "dqn/cartpole": {"trainer": {"total_frames": 3072}, "collector": {"init_random_frames": 1024}},
}
NAMES = {
    "trainers": ("Trainer", "PPOTrainer", "SACTrainer", "DQNTrainer", "LogScalar", "ReplayBufferTrainer"),
    "builders": ("make_trainer", "make_dqn_loss", "make_replay_buffer"),
    "loggers": ("CSVLogger", "generate_exp_name"),
    "recorders": ("VideoRecorder", "TensorDictRecorder"),
}


def main(version: str) -> None:
    """Import, train, and say how it went."""
    assert torch.__version__.split("+")[0] == version, f"this is torch {torch.__version__}, not {version}"
    for module, names in NAMES.items():
        for name in names:
            assert getattr(importlib.import_module(f"rlrecipe.{module}"), name) is not None
    for recipe, changes in RUNS.items():
        for compile_ in ("off", "on") if compiler() is not None else ("off",):
            with tempfile.TemporaryDirectory() as folder:
                short: dict[str, Any] = {"evaluation": {"episodes": 2, "every": None}, "runtime": {"compile": compile_}}
                result = train(recipe, Path(folder) / "run", **changes, **short)
                assert result.outcome.code == 0, result.outcome.reason
                policy = load_policy(Path(folder) / "run")
                policy(policy.observation_space.sample())
                summary = result.outcome.summary
                facts = {name: summary[name] for name in ("frames", "updates", "eval_return_mean")}
                print(f"torch {version}: {recipe}, compile {compile_}: {json.dumps(facts)}", flush=True)
    print(f"torch {version}: the names of {', '.join(NAMES)} import")


if __name__ == "__main__":
    main(sys.argv[1])
