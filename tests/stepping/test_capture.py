"""Environments saved in mid-episode and continued in a fresh copy, bit for bit."""

from __future__ import annotations

import collections
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import gymnasium
import numpy as np
import pytest

from rlrecipe.assembly.environments import make_env
from rlrecipe.recipe.slots import Slot
from rlrecipe.state import Arrays, join, split
from rlrecipe.stepping import capture as capture_module
from rlrecipe.stepping.capture import METHODS, Tape, choose

#: Environments, and how long an episode of random actions may take there.
ENVIRONMENTS = {
    "CartPole-v1": 500, "Pendulum-v1": 200, "MountainCar-v0": 200, "Acrobot-v1": 500,
    "FrozenLake-v1": 100, "Taxi-v4": 200, "CliffWalking-v1": 5000, "Blackjack-v1": 20,
    "HalfCheetah-v5": 1000, "Hopper-v5": 1000, "Ant-v5": 1000,
    "LunarLander-v3": 1000, "BipedalWalker-v3": 1600,
}  # fmt: skip


def maker(env_name: str, **options: Any) -> Callable[[], Any]:
    return partial(make_env, Slot("env", default="gym").read({"env_name": env_name, **options}))


def walk(env: Any, actions: list[Any]) -> list[Any]:
    """What is seen, with resets after each episode's end, as bytes."""
    seen: list[Any] = []
    for action in actions:
        observation, reward, terminated, truncated, _ = env.step(action)
        seen.append((np.asarray(observation).tobytes(), float(reward), terminated, truncated))
        if terminated or truncated:
            seen.append(np.asarray(env.reset()[0]).tobytes())
    return seen


def saved_and_continued(make: Callable[[], Any], method: str, before: int, after: int) -> tuple[list[Any], list[Any]]:
    """What comes after a save: in the environment itself, and in a fresh one that was loaded."""
    wrap: Callable[[Any], Any] = Tape if method == "replay" else lambda env: env
    one, other = wrap(make()), wrap(make())
    one.action_space.seed(5)
    one.reset(seed=3)
    other.reset(seed=99)
    walk(one, [one.action_space.sample() for _ in range(before)])
    arrays: Arrays = {}
    tree = split(METHODS[method](one).save(), "", arrays)
    ahead = [one.action_space.sample() for _ in range(after)]
    METHODS[method](other).load(join(tree, arrays))
    expected, actual = walk(one, ahead), walk(other, ahead)
    one.close()
    other.close()
    return expected, actual


@pytest.mark.parametrize("env_name", ENVIRONMENTS)
def test_an_environment_is_captured_through_an_episodes_end(env_name: str) -> None:
    make = maker(env_name)
    choice = choose(make)
    method = choice.method
    assert method is not None, choice.reason
    assert method in choice.reason
    assert choice.level == "exact"
    expected, actual = saved_and_continued(make, method, before=10, after=ENVIRONMENTS[env_name] + 20)
    assert any(isinstance(step, bytes) for step in expected), "no episode ended"
    assert expected == actual


def test_the_cheapest_method_that_works_is_chosen() -> None:
    assert choose(maker("CartPole-v1")).method == "attributes"
    assert choose(maker("HalfCheetah-v5")).method == "mujoco"
    assert choose(maker("LunarLander-v3")).method == "replay"


def test_wrappers_are_captured_with_their_environment() -> None:
    make = maker("CartPole-v1", frame_skip=2, transforms=["flatten_observation"])
    method = choose(make).method
    assert method is not None
    expected, actual = saved_and_continued(make, method, before=3, after=200)
    assert expected == actual


class Hidden(gymnasium.Env[Any, Any]):
    """Its state lies where no method looks.

    Args:
        draw: gives the next observation, of whatever it hides.
    """

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (1,), np.float64)
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, draw: Callable[[], float]) -> None:
        self.draw = draw

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed, options=options)
        return np.array([self.draw()]), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        return np.array([self.draw()]), 0.0, False, False, {}


def test_an_environment_that_cannot_be_captured_is_told_with_the_reason() -> None:
    choice = choose(lambda: Hidden(lambda: float(time.perf_counter_ns())))
    reason = choice.reason
    assert (choice.method, choice.level) == (None, "continue")
    assert reason.startswith("environments cannot be captured (")
    assert all(f"{name}: " in reason for name in METHODS)
    assert "step 1 after restoring differs" in reason


def test_a_generator_behind_a_closure_is_no_state_that_can_be_saved() -> None:
    def make() -> Hidden:
        return Hidden(np.random.default_rng(0).standard_normal)

    # Two equal copies drift apart as soon as one has drawn more: no probe may believe them.
    choice = choose(make)
    assert (choice.method, choice.level) == (None, "boundary")


def test_a_restored_state_does_not_move_with_the_environment() -> None:
    env = maker("CartPole-v1")()
    env.reset(seed=0)
    saved = METHODS["attributes"](env).save()
    first = walk(env, [1] * 50)
    METHODS["attributes"](env).load(saved)
    second = walk(env, [1] * 50)
    METHODS["attributes"](env).load(saved)
    assert first == second == walk(env, [1] * 50)


def test_replay_needs_a_tape() -> None:
    with pytest.raises(TypeError, match="Tape"):
        METHODS["replay"](maker("CartPole-v1")())


class Remembering(gymnasium.Env[Any, Any]):
    """Pays by what it saw long ago, which it keeps in a deque: no plain attribute."""

    observation_space = gymnasium.spaces.Box(-10, 10, (1,), np.float64)
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.seen = collections.deque([0.0] * 200, maxlen=200)
        return np.zeros(1), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.seen.append(self.np_random.normal())
        return np.array([self.seen[-1]]), self.seen[0], False, False, {}


def test_state_that_shows_only_later_than_the_probe_goes_is_noticed() -> None:
    choice = choose(Remembering)
    assert choice.method == "replay"
    with_attributes = capture_module.recorded(Remembering).failures["attributes"]
    assert "Remembering.seen" in with_attributes


def test_spaces_of_which_only_one_was_sampled_are_not_mistaken_for_each_other() -> None:
    make = maker("CartPole-v1")
    one, other = make(), make()
    one.reset(seed=0)
    other.reset(seed=0)
    one.action_space.seed(0)
    other.observation_space.seed(0)
    METHODS["attributes"](other).load(METHODS["attributes"](one).save())
    assert other.observation_space.shape == (4,)
