"""What environments show when nobody has learned anything yet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from typing import Any, NamedTuple

import gymnasium
import numpy as np

from rlrecipe.errors import EnvironmentFault
from rlrecipe.stepping.wrappers.checked import told

Env = gymnasium.Env[Any, Any]
Lend = Callable[[], AbstractContextManager[Env] | None]
#: Where none can be built for a rollout, and none be lent.
ALONE = "use statistics: running, or free in close() all that the environment's constructor takes"
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
    make: Callable[[], Env], frames: int, seed: int, action_seed: int, lend: Lend | None = None
) -> Iterator[Step]:
    """``frames`` random steps; episodes start anew where they end.

    Args:
        make: builds the environment, which is closed at the end.
        frames: steps to take.
        seed: of the environment.
        action_seed: of the actions.
        lend: lends one that trains, where none can be built beside it; it gives None where it cannot.

    Raises:
        EnvironmentFault: none can be built, and none is lent.
    """
    with ExitStack() as stack:
        env = _opened(make, lend, stack)
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


def _opened(make: Callable[[], Env], lend: Lend | None, stack: ExitStack) -> Env:
    """An environment that ``stack`` closes, or gives back."""
    try:
        env = make()
    except Exception as error:
        if lend is None:
            raise
        lent = lend()
        if lent is None:
            message = f"no environment can be built for a random rollout beside those that train: {told(error)}"
            raise EnvironmentFault(message, ALONE) from error
        return stack.enter_context(lent)
    stack.callback(env.close)
    return env


def random_rollout(make: Callable[[], Env], frames: int, seed: int, lend: Lend | None = None) -> Iterator[np.ndarray]:
    """Observations of ``frames`` random steps, first ones of episodes among them, in arrays ``[n, ...]``."""
    rows: list[np.ndarray] = []
    for step in random_steps(make, frames, seed, seed, lend):
        rows += [step.observation, step.following] if step.first else [step.following]
        if len(rows) >= CHUNK:
            yield np.stack(rows)
            rows = []
    if rows:
        yield np.stack(rows)
