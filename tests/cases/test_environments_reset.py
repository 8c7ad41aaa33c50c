"""What an episode begins with: a recipe's reset options, and resets that take less than gymnasium's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

from rlrecipe.assembly.environments import make_env
from rlrecipe.recipe.slots import Slot
from rlrecipe.runs.evaluate import evaluate
from rlrecipe.runs.load_policy import load_policy
from tests import small
from tests.cases import environments
from tests.transforms.made import made

LEVELS: dict[str, Any] = {
    **small.CARTPOLE,
    "env": {"env_name": "NeedsOptions-v0", "num_envs": 2, "reset_options": {"level": 0.5}},
    "evaluation": {"episodes": 2, "env": {"reset_options": {"level": -0.25}}},
    "trainer": {"total_frames": 128},
}


class Sparse(gymnasium.Env[Any, Any]):
    """Resets without options; its start is drawn by the seed."""

    def __init__(self, render_mode: str | None = None) -> None:
        self.observation_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)
        self.action_space = gymnasium.spaces.Discrete(2)

    def reset(self, seed: int | None = None) -> Any:  # type: ignore[override]  # the oddity
        super().reset(seed=seed)
        return self.start()

    def start(self) -> Any:
        self.t = 0
        return self.np_random.uniform(-1, 1, 1).astype(np.float32), {}

    def step(self, action: Any) -> Any:
        self.t += 1
        return np.zeros(1, np.float32), 1.0, self.t == 20, False, {}


class Bare(Sparse):
    """Resets without anything."""

    def reset(self) -> Any:  # type: ignore[override]  # the oddity
        return self.start()


class Wrapped(gymnasium.Wrapper[Any, Any, Any, Any]):
    """A wrapper of old, around what takes everything."""

    def reset(self, *, seed: int | None = None) -> Any:  # type: ignore[override]  # the oddity
        return self.env.reset(seed=seed)


def wrapped(render_mode: str | None = None) -> Any:
    return Wrapped(environments.NeedsOptions(render_mode))


for name, entry in (("Sparse-v0", Sparse), ("Bare-v0", Bare), ("Wrapped-v0", wrapped)):
    gymnasium.register(name, entry)  # type: ignore[arg-type]  # any callable will do


def test_every_reset_has_the_recipes_options(tmp_path: Path) -> None:
    """In training, in the probe, in a random rollout and, with options of its own, in evaluation."""
    norm = {"name": "observation_norm", "statistics": {"random_rollout": 50}}
    recipe = small.changed(LEVELS, ("env", "transforms"), [norm])
    assert small.problems(recipe) == []
    result = small.train(recipe, tmp_path / "run")
    assert result.outcome.code == 0, result.outcome.reason
    assert float(small.saved_policy(tmp_path / "run")["observation_norm.mean"]) == 0.5
    assert result.summary["eval_return_mean"] == 20
    assert evaluate(load_policy(tmp_path / "run"), 2, changes={"reset_options": {"level": 1.0}})["lengths"] == [20, 20]


def test_a_run_with_reset_options_is_resumed(tmp_path: Path) -> None:
    small.train(LEVELS, tmp_path / "whole")
    small.train(LEVELS, tmp_path / "stopped", "trainer.time_limit=64")
    small.go_on(tmp_path / "stopped", "trainer.time_limit=null")
    assert small.outcome_of(tmp_path / "stopped") == small.outcome_of(tmp_path / "whole")


BETWEEN = [
    {"env_name": "NeedsOptions-v0"},
    {"env_name": "Wrapped-v0"},
    {"name": "torchrl", "env": "GymEnv", "env_name": "NeedsOptions-v0"},
    {"env_name": "NeedsOptions-v0", "transforms": ["init_tracker"]},
]


@pytest.mark.parametrize("kind", BETWEEN, ids=str)
def test_whatever_stands_between_them_and_the_environment(kind: Any) -> None:
    env = make_env(Slot("env", default="gym").read({**kind, "reset_options": {"level": 0.5}}))
    assert float(env.reset(seed=0)[0][-1]) == 0.5
    for _ in range(20):
        env.step(np.int64(0))
    assert float(env.reset()[0][-1]) == 0.5
    env.close()


def test_an_environment_cannot_change_what_the_next_reset_is_given() -> None:
    seen: list[Any] = []
    reset = environments.NeedsOptions.reset

    def greedy(self: Any, *, seed: int | None = None, options: Any = None) -> Any:
        seen.append(list(options["doors"]))
        options["doors"].append(2)
        return reset(self, seed=seed, options=options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(environments.NeedsOptions, "reset", greedy)
        env = made("NeedsOptions-v0", reset_options={"level": 0.5, "doors": [1]})
        env.reset()
        env.reset()
    assert seen == [[1], [1]]


@pytest.mark.parametrize("name", ["Sparse-v0", "Bare-v0"])
def test_a_reset_that_takes_less_runs_and_has_its_seed(name: str, tmp_path: Path) -> None:
    env = made(name)
    first, second, other = (env.reset(seed=seed)[0].item() for seed in (1, 1, 2))
    assert first == second != other
    recipe = {**small.CARTPOLE, "env": {"env_name": name, "num_envs": 2}, "trainer": {"total_frames": 128}}
    result = small.train(recipe, tmp_path / "run")
    assert (result.outcome.code, result.summary["exact"]) == (0, "exact")


@pytest.mark.parametrize("kind", [{"env_name": "Sparse-v0"}, {"name": "torchrl", "env": "PendulumEnv"}], ids=str)
def test_options_for_a_reset_that_takes_none_are_refused(kind: Any) -> None:
    recipe = small.changed(small.PENDULUM, ("env",), {**kind, "num_envs": 2, "reset_options": {"level": 1}})
    (problem,) = small.problems(recipe)
    assert problem[:2] == ("E301", "env.reset_options")
    assert "takes no options" in problem[2]
    assert problem[3] == "remove it"
