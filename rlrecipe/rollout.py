"""What environments show when nobody has learned anything yet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import gymnasium
import numpy as np

#: Rows given at a time.
CHUNK = 1024


def random_rollout(make: Callable[[], gymnasium.Env[Any, Any]], frames: int, seed: int) -> Iterator[np.ndarray]:
    """Observations of ``frames`` random steps, first ones of episodes among them, in arrays ``[n, ...]``.

    Args:
        make: builds the environment, which is closed at the end.
        frames: steps to take; episodes start anew where they end.
        seed: of the environment and of the actions.
    """
    env = make()
    try:
        env.action_space.seed(seed)
        observation, _ = env.reset(seed=seed)
        rows = [np.array(observation)]
        for _ in range(frames):
            observation, _, terminated, truncated, _ = env.step(env.action_space.sample())
            rows.append(np.array(observation))
            if terminated or truncated:
                rows.append(np.array(env.reset()[0]))
            if len(rows) >= CHUNK:
                yield np.stack(rows)
                rows = []
        if rows:
            yield np.stack(rows)
    finally:
        env.close()
