"""Atari games with the usual preprocessing; they need the extra ``atari``."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

from rlrecipe import load_policy
from rlrecipe.assembly.environments import make_env
from rlrecipe.recipe.errors import RecipeError
from rlrecipe.recipe.load import load
from rlrecipe.runs.progress import Display
from rlrecipe.runs.start import run
from rlrecipe.state import Arrays, join, split
from rlrecipe.stepping.capture import METHODS, Tape, choose
from tests import small
from tests.transforms.made import made, options

pytest.importorskip("ale_py")

ONE = {"frameskip": 1}
USUAL = ["fire_reset", "life_loss", "atari_preprocessing", "sign_reward"]


def test_the_usual_preprocessing_gives_four_small_grey_frames() -> None:
    env = made("ALE/Breakout-v5", *USUAL, kwargs=ONE)
    assert env.observation_space == gymnasium.spaces.Box(0, 255, (4, 84, 84), np.uint8)
    first, _ = env.reset(seed=0)
    assert all(np.array_equal(first[0], frame) for frame in first)
    for _ in range(5):
        shown, *_ = env.step(2)
    assert env.observation_space.contains(shown)
    assert not np.array_equal(shown[0], shown[3])
    env.close()


def _states(make: Any, method: str, before: int, after: int) -> tuple[list[Any], list[Any], int]:
    """What follows in an environment and in a fresh one that was given its state, and how many episodes ended."""
    wrap: Any = Tape if method == "replay" else lambda env: env
    one, other, rng = wrap(make()), wrap(make()), np.random.default_rng(0)
    one.reset(seed=3)
    other.reset(seed=99)

    def walk(env: Any, actions: Any) -> list[Any]:
        seen: list[Any] = []
        for action in actions:
            observation, reward, terminated, truncated, _ = env.step(action)
            seen.append((observation.tobytes(), reward, terminated, truncated))
            if terminated or truncated:
                seen.append(env.reset()[0].tobytes())
        return seen

    walk(one, rng.integers(0, 4, before))
    arrays: Arrays = {}
    tree = split(METHODS[method](one).save(), "", arrays)
    ahead = rng.integers(0, 4, after)
    METHODS[method](other).load(join(tree, arrays))
    expected, actual = walk(one, ahead), walk(other, ahead)
    one.close()
    other.close()
    return expected, actual, sum(isinstance(step, bytes) for step in expected)


@pytest.mark.parametrize(("sticky", "method"), [(0.25, "replay"), (0.0, "atari")])
def test_games_are_captured_exactly_through_lives_and_games(sticky: float, method: str) -> None:
    kwargs = {"obs_type": "ram", "repeat_action_probability": sticky}
    chosen = options("ALE/Breakout-v5", "life_loss", "fire_reset", kwargs=kwargs)
    make = partial(make_env, chosen)
    choice = choose(make)
    assert (choice.method, choice.level) == (method, "exact")
    expected, actual, ends = _states(make, method, before=150, after=400)
    assert expected == actual
    assert ends > 5, "several lives, more than one game"


def test_a_run_on_a_game_is_resumed_exactly(tmp_path: Path) -> None:
    transforms = ["life_loss", {"name": "atari_preprocessing", "screen_size": 8, "noop_max": 3, "num_frames": 2},
                  {"name": "step_counter", "max_steps": 40}, "flatten_observation", "sign_reward"]  # fmt: skip
    env = {"env_name": "ALE/Breakout-v5", "num_envs": 1, "kwargs": ONE, "transforms": transforms}
    recipe = {
        **small.CARTPOLE,
        "env": env,
        "trainer": {"total_frames": 128, "log_interval": 64},
        "evaluation": {"episodes": 1},
    }
    small.train(recipe, tmp_path / "whole")
    assert small.train(recipe, tmp_path / "stopped", "trainer.time_limit=1").outcome.code == 75
    assert small.go_on(tmp_path / "stopped", "trainer.time_limit=null").outcome.code == 0
    assert small.outcome_of(tmp_path / "stopped") == small.outcome_of(tmp_path / "whole")


def test_the_emulator_prints_nothing() -> None:
    code = (
        "from tests.transforms.made import made\n"
        "made('ALE/Pong-v5', 'atari_preprocessing', kwargs={'frameskip': 1}).reset(seed=0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout + done.stderr == ""


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"env_name": "ALE/Pong-v5"}, "ALE/Pong-v5 skips 4 frames already"),
        ({"env_name": "ALE/Pong-v5", "kwargs": {"frameskip": 2}}, "ALE/Pong-v5 skips 2 frames already"),
        ({"env_name": "ALE/Pong-v5", "kwargs": ONE, "frame_skip": 4}, "skipped twice: 4 by env.frame_skip, 4 here"),
    ],
)
def test_frames_that_would_be_skipped_twice_are_refused(env: dict[str, Any], said: str) -> None:
    recipe = {**small.CARTPOLE, "env": {**env, "num_envs": 2, "transforms": ["atari_preprocessing"]}}
    with pytest.raises(RecipeError, match=said) as caught:
        load(recipe)
    assert [problem.code for problem in caught.value.problems] == ["E302"]


def test_a_game_that_was_told_to_skip_elsewhere_is_accepted() -> None:
    transform = {"name": "atari_preprocessing", "frame_skip": 1}
    recipe = {**small.CARTPOLE, "env": {"env_name": "ALE/Pong-v5", "num_envs": 2, "transforms": [transform]}}
    load(recipe)


def test_what_is_no_game_is_told() -> None:
    recipe = small.changed(small.CARTPOLE, ("env", "transforms"), ["atari_preprocessing"])
    ((code, path, *_),) = small.problems(recipe)
    assert (code, path) == ("E301", "env.transforms.0")


@pytest.mark.parametrize("name", ["ppo/atari", "dqn/atari"])
def test_a_short_run_of_the_bundled_recipe(name: str, tmp_path: Path) -> None:
    """A smoke test: pictures go in, updates are made, bytes are kept as bytes; nothing is claimed to be learned."""
    shorter = ["trainer.total_frames=128", "collector.frames_per_batch=64", "evaluation.episodes=1"]
    shorter += ["evaluation.env={kwargs: {frameskip: 1, max_num_frames_per_episode: 200}}", "checkpoint.every=64"]
    own = (
        ["env.num_envs=2", "algorithm.minibatch_size=32"]
        if name == "ppo/atari"
        else ["collector.init_random_frames=64"]
    )
    result = run(name, [*shorter, *own, "runtime.compile=off"], run_dir=tmp_path / "run", display=Display(quiet=True))
    assert result.outcome.code == 0
    assert result.outcome.summary["updates"] > 0
    assert load_policy(tmp_path / "run").observation_space.shape == (4, 84, 84)
