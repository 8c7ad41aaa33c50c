"""Packages whose names are made when they are asked for have all of them where somebody asks for all."""

import importlib
import subprocess
import sys
from typing import Any

import pytest

#: Some names of each, of every way in which they are made.
PACKAGES = {
    "trainers": {"Trainer", "PPOTrainer", "SACTrainer", "LogScalar", "UTDRHook", "Hook", "HookError", "POINTS"},
    "builders": {"make_trainer", "make_dqn_loss", "transformed_env_constructor"},
    "loggers": {"Logger", "WandbLogger", "get_logger", "generate_exp_name"},
    "recorders": {"VideoRecorder", "read_tensordict"},
}


@pytest.mark.parametrize("package", PACKAGES)
def test_a_star_brings_every_name(package: str) -> None:
    module = importlib.import_module(f"rlrecipe.{package}")
    brought: dict[str, Any] = {}
    exec(f"from rlrecipe.{package} import *", brought)
    del brought["__builtins__"]
    assert PACKAGES[package] <= set(brought) == set(module.__all__) == set(dir(module))
    assert all(brought[name] is getattr(module, name) for name in brought)


def test_trainers_bring_no_hook_and_no_algorithm_before_one_is_asked_for() -> None:
    code = (
        "import sys, rlrecipe.trainers\n"
        "print(sorted(name for name in sys.modules if name.startswith(('rlrecipe.hooks.', 'rlrecipe.algorithm'))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[0] == "['rlrecipe.hooks.base']"
