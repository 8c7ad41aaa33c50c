"""A small environment of pictures, and a game of lives, whose every number a test can know."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np

NAME, GAME = "tests/Pictures-v0", "tests/Lives-v0"


class Pictures(gymnasium.Env[Any, Any]):
    """Observes bytes ``(8, 6, channels)`` drawn anew at each step; pays the step's number; ends after ``length``."""

    metadata = {"render_modes": ["rgb_array"]}  # noqa: RUF012 - as gymnasium declares it

    def __init__(self, channels: int = 3, length: int = 10, render_mode: str | None = None) -> None:
        shape = (8, 6, channels) if channels else (8, 6)
        self.observation_space = gymnasium.spaces.Box(0, 255, shape, np.uint8)
        self.action_space = gymnasium.spaces.Discrete(2)
        self.length, self.t, self.render_mode = length, 0, render_mode

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.t = 0
        return self._observe(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.t += 1
        return self._observe(), float(self.t), self.t == self.length, False, {}

    def _observe(self) -> Any:
        return self.np_random.integers(0, 256, self.observation_space.shape, np.uint8)


class Lives(gymnasium.Env[Any, Any]):
    """Observes ``[game, step of the game, lives]``; a life of three lasts four steps that are not action 0; such a
    step pays 5.
    """

    def __init__(self, fires: bool = True) -> None:
        self.observation_space = gymnasium.spaces.Box(0, 1e6, (3,), np.float32)
        self.action_space = gymnasium.spaces.Discrete(3)
        self.game, self.t, self.left, self.hits, self.fires = 0, 0, 3, 0, fires
        self.taken: list[int] = []

    def get_action_meanings(self) -> list[str]:
        return ["NOOP", "FIRE" if self.fires else "UP", "RIGHT"]

    def lives(self) -> int:
        return self.left

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.game, self.t, self.left, self.hits = self.game + 1, 0, 3, 0
        self.taken = []
        return self._observe(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.t += 1
        self.taken.append(int(action))
        self.hits += int(action != 0)
        if self.hits == 4:
            self.left, self.hits = self.left - 1, 0
        return self._observe(), 5.0 * (action != 0), self.left == 0, self.t >= 60, {}

    def _observe(self) -> Any:
        return np.array([self.game, self.t, self.left], np.float32)


for name, kind in ((NAME, "Pictures"), (GAME, "Lives")):
    gymnasium.register(name, entry_point=f"{__name__}:{kind}")
