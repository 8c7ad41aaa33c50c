"""What environments show when nobody has learned anything yet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import gymnasium
import numpy as np

#: Rows given at a time.
CHUNK = 1024


class Step(NamedTuple):
    """One random step; arrays are its own, where an environment may hand out the same one each time."""

    observation: np.ndarray
    action: Any
    reward: float
    following: np.ndarray
    first: bool


def random_steps(
    make: Callable[[], gymnasium.Env[Any, Any]], frames: int, seed: int, action_seed: int
) -> Iterator[Step]:
    """``frames`` random steps; episodes start anew where they end.

    Args:
        make: builds the environment, which is closed at the end.
        frames: steps to take.
        seed: of the environment.
        action_seed: of the actions.
    """
    env = make()
    try:
        env.action_space.seed(action_seed)
        observation, first = np.array(env.reset(seed=seed)[0]), True
        for frame in range(frames):
            action = env.action_space.sample()
            shown, reward, terminated, truncated, _ = env.step(action)
            following = np.array(shown)
            yield Step(observation, action, float(reward), following, first)
            observation, first = following, terminated or truncated
            if first and frame < frames - 1:
                observation = np.array(env.reset()[0])
    finally:
        env.close()


def random_rollout(make: Callable[[], gymnasium.Env[Any, Any]], frames: int, seed: int) -> Iterator[np.ndarray]:
    """Observations of ``frames`` random steps, first ones of episodes among them, in arrays ``[n, ...]``."""
    rows: list[np.ndarray] = []
    for step in random_steps(make, frames, seed, seed):
        rows += [step.observation, step.following] if step.first else [step.following]
        if len(rows) >= CHUNK:
            yield np.stack(rows)
            rows = []
    if rows:
        yield np.stack(rows)
