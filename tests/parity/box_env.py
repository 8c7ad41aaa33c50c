"""A tiny environment with everything that an off-policy update must tell apart.

Its two actions have different, asymmetric bounds (so that scaling to [-1, 1] is no accident), some
episodes are terminated by leaving the middle, others truncated by the time limit.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box
from gymnasium.wrappers import TimeLimit
from numpy.typing import NDArray

TIME_LIMIT, EDGE = 12, 2.0
Array = NDArray[np.float32]


class BoxEnv(gymnasium.Env[Array, Array]):
    """A noisy linear system with three observations and actions in [-2, 3] and [-1, 0.5]."""

    low, high = np.array([-2.0, -1.0], np.float32), np.array([3.0, 0.5], np.float32)

    def __init__(self) -> None:
        self.observation_space = Box(-np.inf, np.inf, (3,), np.float32)
        self.action_space = Box(self.low, self.high, dtype=np.float32)
        self._place = np.zeros(3)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
        super().reset(seed=seed)
        self._place = self.np_random.normal(0.0, 0.5, 3)
        return self._place.astype(np.float32), {}

    def step(self, action: Array) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        push = np.array([0.4 * action[0], 0.8 * action[1], 0.3 * (action[0] - action[1])])
        self._place = 0.9 * self._place + push + self.np_random.normal(0.0, 0.2, 3)
        reward = 1.0 - float(np.square(self._place).sum())
        terminated = bool(abs(self._place[0]) > EDGE)
        return self._place.astype(np.float32), reward, terminated, False, {}


def make_box_env() -> gymnasium.Env[Array, Array]:
    """The environment under its time limit."""
    return TimeLimit(BoxEnv(), TIME_LIMIT)
