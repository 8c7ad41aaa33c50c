"""Small recipes, their runs, and what two runs have in common."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rlrecipe.assembly.assemble import Assembly, assemble
from rlrecipe.assembly.trial import Trial
from rlrecipe.checkpoint.store import CheckpointStore
from rlrecipe.recipe import registry, schema
from rlrecipe.recipe.dump import dump
from rlrecipe.recipe.errors import Problem, RecipeError
from rlrecipe.recipe.load import load
from rlrecipe.recipe.options import Component
from rlrecipe.recipe.slots import Slot
from rlrecipe.runs.directory import RunDirectory, as_json, status
from rlrecipe.runs.progress import Display
from rlrecipe.runs.session import Session, context_of
from rlrecipe.runs.start import resume, run
from rlrecipe.runs.training import Result

#: Eight batches of 64 frames with four updates each, in about a tenth of a second.
CARTPOLE: dict[str, Any] = {
    "env": {"env_name": "CartPole-v1", "num_envs": 2},
    "algorithm": {"name": "ppo", "num_epochs": 2, "minibatch_size": 32},
    "networks": {"policy": {"name": "mlp", "num_cells": [8]}, "value": {"name": "mlp", "num_cells": [8]}},
    "collector": {"frames_per_batch": 64},
    "trainer": {"total_frames": 512, "log_interval": 100},
    "evaluation": {"every": 200, "episodes": 2},
    "checkpoint": {"every": 64, "keep_last": 100},
}
#: The same length off-policy: learning starts after the first batch.
OFF_POLICY: dict[str, Any] = {
    **{key: value for key, value in CARTPOLE.items() if key not in ("algorithm", "networks")},
    "replay_buffer": {"name": "uniform", "batch_size": 16, "storage": {"name": "memory", "max_size": 200}},
    "collector": {"frames_per_batch": 64, "init_random_frames": 64},
    "trainer": {"total_frames": 512, "log_interval": 100, "updates_per_frame": 0.15},
}
QVALUE = {"name": "mlp", "num_cells": [8], "activation": "relu"}
DQN = {
    **OFF_POLICY,
    "algorithm": {"name": "dqn", "target": {"name": "hard", "every": 100}},
    "networks": {"qvalue": QVALUE},
}
TD3 = {
    **OFF_POLICY,
    "env": {"env_name": "Pendulum-v1", "num_envs": 2},
    "algorithm": "td3",
    "networks": {"policy": {**QVALUE}, "qvalue": {**QVALUE}},
}
PENDULUM = {**CARTPOLE, "env": {"env_name": "Pendulum-v1", "num_envs": 2}}
#: Everything whose state a resumed run needs besides the networks'.
STATEFUL = {
    **CARTPOLE,
    "algorithm": {**CARTPOLE["algorithm"], "clip_epsilon": {"name": "linear", "start": 0.2, "end": 0.0}},
    "optimizer": {"name": "adam", "lr": 3e-3, "schedule": "linear", "groups": {"value": {"lr": 1e-2}}},
    "hooks": [
        "nan_guard",
        {"name": "log_scalar", "key": ["next", "reward"]},
        {"name": "early_stopping", "threshold": 1e6, "episodes": 5},
    ],
    "loggers": ["csv", "tensorboard"],
}
HALFCHEETAH = {
    **STATEFUL,
    "env": {
        "env_name": "HalfCheetah-v5",
        "num_envs": 2,
        "kwargs": {"reset_noise_scale": 0.1},
        "transforms": ["observation_norm", "reward_norm"],
    },
    # Episodes of HalfCheetah last 1000 frames; evaluating one costs more than the training here.
    "evaluation": {"episodes": 1},
}

Recipe = Mapping[str, Any]


def train(recipe: Recipe, run_dir: Path, *overrides: str, **more: Any) -> Result:
    """Train in a new run directory, quietly."""
    return run(recipe, overrides, run_dir=run_dir, display=Display(quiet=True), **more)


def go_on(run_dir: Path, *overrides: str, **more: Any) -> Result:
    """Resume, quietly."""
    return resume(run_dir, overrides, display=Display(quiet=True), **more)


def trial(recipe: Recipe, *overrides: str) -> Trial:
    """A recipe, and what building it tells."""
    return Trial(load(recipe, overrides).recipe)


def probe(recipe: schema.Recipe) -> list[Problem]:
    """What is wrong with a recipe that was read and its environment."""
    return Trial(recipe, captures=False).problems


def build(recipe: Recipe, *overrides: str) -> Assembly:
    """The trainer and its parts, without a run directory."""
    return assemble(trial(recipe, *overrides))


def dump_of(recipe: Recipe) -> str:
    """A recipe as a file's text."""
    return dump(load(recipe).recipe)


def open_session(recipe: Recipe, run_dir: Path, *overrides: str) -> Session:
    """A session at its beginning, whose boundaries a test may add to."""
    display = Display(quiet=True)
    assembly = assemble(trial(recipe, *overrides), context_of(run_dir, display))
    files = {
        "recipe.yaml": dump(assembly.recipe),
        "resolved.yaml": dump(assembly.recipe),
        "provenance.json": "{}",
        "status.json": as_json(status("running", 0, 0, assembly.exact, assembly.exact_reason)),
    }
    session = Session(assembly, RunDirectory.create(run_dir, files), display)
    session.begin(None)
    return session


def snapshots(recipe: Recipe, folder: Path, *overrides: str) -> tuple[Path, list[Path]]:
    """A run to its end, and its directory as a kill would have left it around every checkpoint.

    Returns:
        The finished run, and copies taken at the end of each batch: after its rows were written but
        before its checkpoint, and right after its checkpoint.
    """
    run_dir = folder / "whole"
    session = open_session(recipe, run_dir, *overrides)
    taken: list[Path] = []

    def take() -> None:
        taken.append(folder / f"killed{len(taken):02d}")
        shutil.copytree(run_dir, taken[-1])

    rows, evaluation_and_checkpoint = session.trainer.boundaries
    session.trainer.boundaries = [rows, take, evaluation_and_checkpoint, take]
    assert session.train().code == 0
    return run_dir, taken


def rows(run_dir: Path, file: str = "metrics.jsonl") -> list[dict[str, Any]]:
    """Rows of a log without the wall clock's."""
    lines = (run_dir / file).read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if not k.startswith("time/")} for line in lines]


def policy_bytes(run_dir: Path) -> bytes:
    """The newest checkpoint's policy file."""
    name = CheckpointStore(run_dir / "checkpoints").pointer("latest")
    assert name is not None
    return (run_dir / "checkpoints" / name / "policy.safetensors").read_bytes()


def outcome_of(run_dir: Path) -> dict[str, Any]:
    """Everything that an exactly resumed run shares with one that was never stopped."""
    summary = json.loads((run_dir / "summary.json").read_text())
    return {
        "policy": policy_bytes(run_dir),
        "metrics": rows(run_dir),
        "episodes": rows(run_dir, "episodes.jsonl"),
        "csv": _csv_without_time(run_dir / "csv/metrics.csv"),
        "summary": {k: v for k, v in summary.items() if k not in ("wall_seconds", "frames_per_second")},
    }


def _csv_without_time(file: Path) -> list[list[str]]:
    if not file.is_file():
        return []
    cells = [line.split(",") for line in file.read_text().splitlines()]
    kept = [i for i, name in enumerate(cells[0]) if not name.startswith("time/")]
    return [[row[i] for i in kept] for row in cells]


def changed(recipe: Recipe, path: Sequence[str], value: Any) -> dict[str, Any]:
    """A recipe with one key set."""
    root = inner = copy.deepcopy(dict(recipe))
    for key in path[:-1]:
        inner = inner.setdefault(key, {})
    inner[path[-1]] = value
    return root


@contextmanager
def own_components() -> Iterator[None]:
    """Components registered inside are forgotten afterwards."""
    before = set(registry._components)
    package = str(Path(registry.__file__).parents[1])
    try:
        yield
    finally:
        for key, component in list(registry._components.items()):
            # The package's own stay: their modules register them once, when they are first imported.
            if key not in before and not component.file.startswith(package):
                del registry._components[key]


def options_of(component: Component) -> Any:
    """Options of a component as a recipe gives them: its defaults, and a value for what it requires."""
    return Slot(component.kind).read({"name": component.name, **required_of(component)})


def problems(recipe: Recipe, *overrides: str) -> list[tuple[str, str, str, str]]:
    """Code, path, message and suggestion of everything that is wrong with a recipe."""
    try:
        loaded = load(recipe, overrides)
        placed = [loaded.place(problem) for problem in probe(loaded.recipe)]
    except RecipeError as error:
        placed = list(error.problems)
    return [(p.code, p.path, p.problem.message, p.problem.suggestion or "") for p in placed]


#: Options of components for which not any value of the right type will do.
GIVEN: Mapping[tuple[str, str], Mapping[str, Any]] = {
    ("hook", "select_keys"): {
        "keys": ["observation", "action", *(["next", key] for key in ("observation", "reward", "terminated", "done"))]
    },
    ("network", "per_key"): {"keys": {"speed": "one_hot", "direction": "one_hot"}},
    ("hook", "batch_sub_sampler"): {"batch_size": 24, "sub_traj_len": 8},
    ("env", "torchrl"): {"env": "GymEnv", "env_name": "CartPole-v1"},
    ("transform", "cat_frames"): {"N": 2},
    ("transform", "gymnasium_wrapper"): {"wrapper": "TimeAwareObservation"},
    ("transform", "resize"): {"size": [4, 3]},
    ("hook", "optimizer_hook"): {"optimizer": {"name": "rmsprop", "lr": 1e-3}},
    ("hook", "log_validation_reward"): {"record_interval": 2, "episodes": 2, "exploration_type": "random"},
    ("hook", "video_recorder"): {"every": 128, "size": [64, 48], "max_frames": 5},
    ("hook", "tensor_dict_recorder"): {"every": 128, "max_len": 3},
    ("hook", "replay_buffer_trainer"): {"batch_size": 32, "max_size": 100},
    ("hook", "lr_scheduler_hook"): {
        "scheduler": "StepLR",
        "kwargs": {"step_size": 1, "gamma": 0.5},
        "interval": "optim",
    },
}


def required_of(component: Component) -> dict[str, Any]:
    """A value of the right type for each option that has no default."""
    by_type: dict[Any, Any] = {float: 1e6, int: 1, str: "x", bool: False}
    if (component.kind, component.name) in GIVEN:
        return dict(GIVEN[component.kind, component.name])
    return {
        name: by_type[field.annotation or str]
        for name, field in component.options.model_fields.items()
        if field.is_required()
    }


def saved_policy(run_dir: Path) -> dict[str, Any]:
    """Tensors of the newest checkpoint's policy."""
    from safetensors.torch import load

    return dict(load(policy_bytes(run_dir)))
