import os
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

from rlrecipe import Options, option, register
from rlrecipe.assembly.environments import make_env, make_transforms
from rlrecipe.assembly.numbers import make_schedule
from rlrecipe.assembly.trial import Trial
from rlrecipe.clock import Clock
from rlrecipe.envs.base import EnvOptions
from rlrecipe.machine import cores
from rlrecipe.networks.base import NetworkOptions
from rlrecipe.networks.mlp import MLP, MLPOptions
from rlrecipe.recipe.slots import Slot
from rlrecipe.recipe.values import Duration
from rlrecipe.stepping.observations import Rows
from tests import small


def resolved(*overrides: str, **changes: Any) -> Any:
    return small.trial({**small.CARTPOLE, **changes}, *overrides).recipe


def test_sizes_come_from_the_environment() -> None:
    built = small.build({**small.CARTPOLE, "env": {"env_name": "LunarLander-v3", "num_envs": 2}})
    shapes = {name: tuple(view.shape) for name, view in built.trainer.update.parameters.named().items()}
    assert shapes["policy.0.weight"] == (8, 8)
    assert shapes["policy.1.weight"] == (4, 8)
    assert shapes["value.1.weight"] == (1, 8)


@pytest.mark.parametrize(("env", "expected"), [("CartPole-v1", "categorical"), ("Pendulum-v1", "normal")])
def test_the_distribution_is_chosen_by_the_action_space(env: str, expected: str) -> None:
    recipe = resolved(env={"env_name": env})
    assert recipe.networks["policy"].distribution.component.name == expected


def test_resolving_twice_changes_nothing() -> None:
    once = resolved()
    assert Trial(once).recipe == once


@pytest.mark.parametrize(("width", "threads"), [(64, 1), (256, min(2, cores()))])
def test_threads_depend_on_the_networks_width(width: int, threads: int) -> None:
    network = {"name": "mlp", "num_cells": [width]}
    assert resolved(networks={"policy": network, "value": network}).runtime.threads == threads


@pytest.mark.parametrize(
    ("encoder", "memory", "wide"),
    [
        ("conv", None, True),
        ("nature_cnn", None, True),
        ({"name": "mlp", "num_cells": [8, 256]}, None, True),
        ({"name": "mlp", "num_cells": [8]}, None, False),
        ({"name": "per_key", "keys": {"a": "one_hot", "b": {"name": "mlp", "num_cells": [512]}}}, None, True),
        ({"name": "per_key", "keys": {"a": "one_hot", "b": {"name": "per_key", "keys": {"c": "conv"}}}}, None, True),
        ({"name": "per_key", "keys": {"a": "one_hot", "b": {"name": "mlp", "num_cells": [255]}}}, None, False),
        ("one_hot", {"name": "lstm", "hidden_size": 64}, False),
        ("one_hot", {"name": "gru", "hidden_size": 256}, True),
    ],
)
def test_threads_depend_on_what_feeds_the_networks_too(encoder: Any, memory: Any, wide: bool) -> None:
    small_ones: dict[str, Any] = {"policy": {"num_cells": [8]}, "value": {"num_cells": [8]}, "encoder": encoder}
    feeding = small_ones if memory is None else {**small_ones, "memory": memory}
    assert resolved(networks=feeding).runtime.threads == (min(2, cores()) if wide else 1)


@pytest.mark.parametrize(("allowed", "there", "threads"), [({3}, 8, 1), ({2, 3}, 8, 2), (None, 8, 2), (None, 1, 1)])
def test_threads_are_no_more_than_the_cores_a_process_may_use(
    allowed: set[int] | None, there: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What this system answers depends on who runs the test; macOS and Windows have no such question (None).
    monkeypatch.setattr(os, "cpu_count", lambda: there)
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    if allowed is not None:
        monkeypatch.setattr(os, "sched_getaffinity", lambda process: allowed, raising=False)
    network = {"name": "mlp", "num_cells": [256]}
    assert resolved(networks={"policy": network, "value": network}).runtime.threads == threads


class Layered(NetworkOptions):
    """Layers of a user's own, whose option for their width has another name."""

    hidden: int = option(64, "Width.")


@pytest.mark.parametrize(
    ("hidden", "environ", "number", "threads"),
    [
        (64, {}, "auto", 1),
        (64, {"OMP_NUM_THREADS": "4"}, "auto", 1),
        (256, {}, "auto", 2),
        (256, {"OMP_NUM_THREADS": "1"}, "auto", 1),
        (256, {"MKL_NUM_THREADS": "1", "OMP_NUM_THREADS": "4"}, "auto", 1),
        (256, {"OMP_NUM_THREADS": "3"}, "auto", 3),
        (256, {"OMP_NUM_THREADS": "64"}, "auto", 4),
        (256, {"OMP_NUM_THREADS": "1"}, 2, 2),
        (64, {"OMP_NUM_THREADS": "1"}, 3, 3),
    ],
)
def test_threads_depend_on_parameters_and_the_environment(
    hidden: int, environ: dict[str, str], number: Any, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1, 2, 3}, raising=False)
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    with small.own_components():

        @register("network", "layered")
        def make(options: Layered, in_features: int, out_features: int, head_gain: float = 1.0) -> Any:
            return MLP(MLPOptions(), [in_features, options.hidden, options.hidden, out_features], head_gain)

        network = {"name": "layered", "hidden": hidden}
        recipe = resolved(networks={"policy": network, "value": network}, runtime={"threads": number})
    assert recipe.runtime.threads == threads


def test_initial_parameters_depend_on_the_seed_alone() -> None:
    def initial(seed: int) -> torch.Tensor:
        return small.trial(small.PENDULUM, f"seed={seed}").learner.parameters.flat

    torch.rand(7)
    assert torch.equal(initial(0), initial(0))
    assert not torch.equal(initial(0), initial(1))


def test_transforms_of_the_other_phase_are_left_out() -> None:
    flatten = {"name": "flatten_observation", "phase": "eval"}
    options = Slot("env", default="gym").read({"env_name": "FrozenLake-v1", "transforms": [flatten]})
    assert isinstance(make_env(options, "train").observation_space, Rows)
    assert not isinstance(make_env(options, "eval").observation_space, Rows)


def test_two_transforms_of_one_name_have_a_state_each() -> None:
    options = Slot("env", default="gym").read(
        {"env_name": "Pendulum-v1", "transforms": ["observation_norm", "reward_norm", "observation_norm"]}
    )
    transforms = make_transforms(options, gymnasium.make("Pendulum-v1").observation_space, 0.9)
    assert list(transforms) == ["observation_norm", "reward_norm", "observation_norm.1"]


def test_two_hooks_of_one_name_have_a_state_each() -> None:
    hooks = [{"name": "early_stopping", "threshold": threshold} for threshold in (1e6, 1e7)]
    modules = small.build({**small.CARTPOLE, "hooks": hooks}).trainer.modules
    assert {"early_stopping", "early_stopping.1"} <= set(modules)


def test_a_number_or_a_schedule() -> None:
    clock = Clock(Duration(100))
    clock.frames = 25
    assert make_schedule(0.3)(clock) == 0.3
    linear = Slot("schedule").read({"name": "linear", "start": 2.0, "end": 1.0, "until": 50})
    assert make_schedule(linear)(clock) == 1.5


@pytest.mark.parametrize(
    ("change", "level", "reason"),
    [
        ("seed=0", "exact", "captured by attributes"),
        ("trainer.log_interval={seconds: 1}", "continue", "trainer.log_interval depends on the wall clock"),
        ("evaluation.every={seconds: 1}", "continue", "evaluation.every depends on the wall clock"),
    ],
)
def test_the_level_at_which_a_run_can_be_resumed(change: str, level: str, reason: str) -> None:
    built = small.build(small.CARTPOLE, change)
    assert built.exact == level
    assert reason in built.exact_reason


def test_an_environment_that_cannot_be_saved_is_resumed_with_new_episodes(own_components: None, tmp_path: Path) -> None:
    class HiddenOptions(EnvOptions):
        """Its state lies in a closure."""

    class Hidden(gymnasium.Env[Any, Any]):
        observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (1,), np.float64)
        action_space = gymnasium.spaces.Discrete(2)

        def __init__(self) -> None:
            self.draw = np.random.default_rng(0).standard_normal
            self.left = iter(range(0))

        def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, Any]:
            super().reset(seed=seed, options=options)
            self.left = iter(range(10))
            return np.array([self.draw()]), {}

        def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
            return np.array([self.draw()]), 1.0, next(self.left, None) is None, False, {}

    @register("env", "hidden")
    def make(options: HiddenOptions, render_mode: str | None) -> Hidden:
        return Hidden()

    recipe = {**small.CARTPOLE, "env": {"name": "hidden", "num_envs": 2}}
    result = small.train(recipe, tmp_path / "run", "trainer.time_limit=100")
    assert result.outcome.code == 75
    assert '"exact": "boundary"' in (tmp_path / "run/status.json").read_text()
    assert "cannot be captured" in (tmp_path / "run/status.json").read_text()
    assert small.go_on(tmp_path / "run", "trainer.time_limit=null").outcome.code == 0
    assert [row["frames"] for row in small.rows(tmp_path / "run")][-1] == 512
    assert issubclass(HiddenOptions, Options)
