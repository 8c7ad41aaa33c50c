"""A small deterministic environment, whose every number a test can know."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np

Ends = list[tuple[int, bool, bool]]


class Counting(gymnasium.Env[Any, Any]):
    """Observes ``[100 * episode + step]``; step t pays t + 1.

    Args:
        ends: length, terminated and truncated of each episode in turn; the last one repeats.
    """

    def __init__(self, ends: Ends) -> None:
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (1,), np.float32)
        self.action_space = gymnasium.spaces.Discrete(2)
        self.ends, self.episode, self.t = ends, -1, 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed, options=options)
        self.episode, self.t = self.episode + 1, 0
        return self._observe(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.t += 1
        length, terminated, truncated = self.ends[min(self.episode, len(self.ends) - 1)]
        over = self.t >= length
        return self._observe(), float(self.t), over and terminated, over and truncated, {}

    def _observe(self) -> Any:
        return np.array([100 * self.episode + self.t], np.float32)
