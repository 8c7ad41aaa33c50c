"""Statistics of observations that a random rollout gives: measured once, then fixed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

from rlrecipe.assembly.environments import make_transforms, spaces_of
from rlrecipe.recipe.errors import RecipeError
from rlrecipe.recipe.load import load
from rlrecipe.runs.load_policy import load_policy
from rlrecipe.stepping.rollout import random_rollout
from rlrecipe.streams import Streams
from tests import small
from tests.transforms.made import options

NORM = {"name": "observation_norm", "statistics": {"random_rollout": 300}}


def norm(seed: int | None, transform: Any = NORM, **more: Any) -> Any:
    chosen = options("Pendulum-v1", transform, **more)
    streams = None if seed is None else Streams(seed)
    (made,) = make_transforms(chosen, spaces_of(chosen).observation, 0.99, streams).values()
    return made


def test_the_rollout_shows_every_observation_of_its_episodes() -> None:
    rows = np.concatenate(list(random_rollout(lambda: gymnasium.make("CartPole-v1"), 2500, 3)))
    again = np.concatenate(list(random_rollout(lambda: gymnasium.make("CartPole-v1"), 2500, 3)))
    assert np.array_equal(rows, again)
    env = gymnasium.make("CartPole-v1")
    env.action_space.seed(3)
    expected = [env.reset(seed=3)[0]]
    for _ in range(2500):
        observation, _, terminated, truncated, _ = env.step(env.action_space.sample())
        expected.append(observation)
        if terminated or truncated:
            expected.append(env.reset()[0])
    assert np.array_equal(rows, np.array(expected))


def test_statistics_are_the_rollouts_and_do_not_move() -> None:
    one = norm(0)
    seen = np.random.default_rng(0).normal(3, 2, (4, 3))
    shown = one.reset(seen)
    before = {key: value.copy() for key, value in one.state_dict()["statistics"].items()}
    assert before["count"] == pytest.approx(302, abs=1), "first observations, and those after each step"
    for _ in range(10):
        one.step(seen, seen, np.zeros(4), np.zeros(4, bool))
    for key, value in one.state_dict()["statistics"].items():
        assert np.array_equal(value, before[key])
    expected = (seen - before["mean"]) / np.sqrt(before["var"] + 1e-8)
    np.testing.assert_allclose(shown, np.clip(expected, -10, 10), rtol=1e-6)


def test_the_runs_seed_decides_them() -> None:
    states = [norm(seed).state_dict()["statistics"]["mean"].tolist() for seed in (0, 0, 1)]
    assert states[0] == states[1] != states[2]


def test_loaded_statistics_are_not_measured_again() -> None:
    saved = norm(0).state_dict()
    # No environment: a policy is loaded without one.
    other = norm(None)
    other.load_state_dict(saved)
    resumed = norm(1)
    resumed.observe = lambda frames: pytest.fail("measured again")
    resumed.load_state_dict(saved)
    seen = np.random.default_rng(0).normal(size=(4, 3))
    assert np.array_equal(other.apply(seen), norm(0).apply(seen))
    assert np.array_equal(resumed.reset(seen), norm(0).apply(seen))


def test_without_an_environment_training_does_not_begin_with_made_up_statistics() -> None:
    with pytest.raises(RuntimeError, match="no environment for its random rollout"):
        norm(None).reset(np.zeros((2, 3)))


def test_what_wraps_the_environment_comes_before_the_statistics() -> None:
    chosen = options("Pendulum-v1", {"name": "cat_frames", "N": 2}, NORM)
    (made,) = make_transforms(chosen, spaces_of(chosen).observation, 0.99, Streams(0)).values()
    assert made.state_dict()["statistics"]["mean"].shape == (6,)


def test_running_statistics_measure_nothing() -> None:
    assert norm(0, "observation_norm").state_dict()["statistics"]["count"] < 1


@pytest.mark.parametrize("statistics", ["fixed", {"random_rollout": 1}, {"rollout": 10}, 300])
def test_other_statistics_are_refused(statistics: Any) -> None:
    recipe = small.changed(small.CARTPOLE, ("env", "transforms"), [{**NORM, "statistics": statistics}])
    with pytest.raises(RecipeError, match="statistics"):
        load(recipe)


def test_a_run_measures_once_and_its_policy_carries_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rolled: list[int] = []

    def counted(make: Any, frames: int, **more: Any) -> Any:
        rolled.append(frames)
        return random_rollout(make, frames, **more)

    monkeypatch.setattr("rlrecipe.assembly.environments.random_rollout", counted)
    recipe = small.changed(small.CARTPOLE, ("env", "transforms"), [NORM])
    small.train(recipe, tmp_path / "whole")
    code = small.train(recipe, tmp_path / "stopped", "trainer.time_limit=1").outcome.code
    assert rolled == [300, 300]
    while code == 75:
        code = small.go_on(tmp_path / "stopped").outcome.code
    assert rolled == [300, 300], "a resumed run has them in its checkpoint"
    assert small.outcome_of(tmp_path / "stopped") == small.outcome_of(tmp_path / "whole")
    (loaded,) = load_policy(tmp_path / "whole").transforms
    saved = loaded.state_dict()["statistics"]
    assert saved["count"] > 300
    assert rolled == [300, 300], "a loaded policy needs no environment"
