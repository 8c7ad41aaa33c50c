"""Environments as people write them, one oddity each: small inputs that failed. the tests beside
it say what is right.

    rlrecipe run RECIPE --import environments.py        with env: {env_name: Odd-v0, kwargs: {odd: NAME}}
"""

from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from gymnasium import spaces


class Odd(gym.Env[Any, Any]):
    """Twenty steps of three random numbers; two actions; reward 1."""

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 - gymnasium's own declaration
    live = 0

    def __init__(self, odd: str = "none", render_mode: str | None = None) -> None:
        self.odd = odd
        self.observation_space = spaces.Box(-1, 1, (3,), np.float32)
        self.action_space = spaces.Discrete(2)
        if odd == "singleton":
            Odd.live += 1
            if Odd.live > 1:
                raise RuntimeError("the simulator runs already")

    def observe(self) -> Any:
        if self.odd == "shape":
            return np.zeros(4, np.float32)
        return self.np_random.uniform(-1, 1, 3).astype(np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.t = 0
        return self.observe() if self.odd == "old_reset" else (self.observe(), {})

    def step(self, action: Any) -> Any:
        self.t += 1
        end = self.t >= 20
        if self.odd == "endless":
            return self.observe(), 1.0, False, False, {}
        if self.odd == "old_step":
            return self.observe(), 1.0, end, {}
        if self.odd == "text_reward":
            return self.observe(), "1.0", end, False, {}
        if self.odd == "exit" and self.t == 5:
            raise SystemExit("the simulator asked to stop")
        return self.observe(), 1.0, end, False, {}

    def close(self) -> None:
        if self.odd == "singleton":
            Odd.live = 0
        if self.odd == "close_raises":
            raise RuntimeError("nobody is connected")


class SharedBuffer(gym.Env[Any, Any]):
    """All instances answer with one array, as wrappers of native simulators do: (own number, step)."""

    answer: ClassVar[Any] = np.zeros(2, np.float32)

    def __init__(self, render_mode: str | None = None) -> None:
        self.observation_space = spaces.Box(-1e9, 1e9, (2,), np.float32)
        self.action_space = spaces.Discrete(2)

    def observe(self) -> Any:
        self.answer[:] = (self.number, self.t)
        return self.answer

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        if seed is not None:
            self.number = seed % 1000
        self.t = 0
        return self.observe(), {}

    def step(self, action: Any) -> Any:
        self.t += 1
        return self.observe(), float(self.number), self.t == 5, False, {}


class IntegerSpace(gym.Env[Any, Any]):
    """Declares whole numbers and answers with fractions."""

    def __init__(self, render_mode: str | None = None) -> None:
        self.observation_space = spaces.Box(-10, 10, (3,), np.int64)
        self.action_space = spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.t = 0
        return np.array([0.9, 1.5, 0.1]), {}

    def step(self, action: Any) -> Any:
        self.t += 1
        return np.array([0.9, 1.5, 0.1]), 1.0, self.t == 20, False, {}


class Pressure(gym.Env[Any, Any]):
    """Observes 101325 + N(0, 1): the deviation is 1."""

    def __init__(self, render_mode: str | None = None) -> None:
        self.observation_space = spaces.Box(-np.inf, np.inf, (1,), np.float64)
        self.action_space = spaces.Discrete(2)

    def observe(self) -> Any:
        self.sign = self.np_random.normal()
        return np.array([101325.0 + self.sign])

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.t = 0
        return self.observe(), {}

    def step(self, action: Any) -> Any:
        reward = float((self.sign > 0) == bool(action))
        self.t += 1
        return self.observe(), reward, False, self.t == 20, {}


class StrictBounds(gym.Env[Any, Any]):
    """Accepts only actions that its space contains; the best one is the bound itself."""

    def __init__(self, low: float = -3.63, high: float = 0.17, render_mode: str | None = None) -> None:
        self.observation_space = spaces.Box(-1, 1, (1,), np.float32)
        self.action_space = spaces.Box(np.float32(low), np.float32(high), (1,), np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.t = 0
        return np.zeros(1, np.float32), {}

    def step(self, action: Any) -> Any:
        assert self.action_space.contains(action), f"{action!r} is outside {self.action_space}"
        self.t += 1
        return np.zeros(1, np.float32), float(action[0]), False, self.t == 20, {}


class NeedsOptions(gym.Env[Any, Any]):
    """Has to be told at reset which level to load."""

    def __init__(self, render_mode: str | None = None) -> None:
        self.observation_space = spaces.Box(-1, 1, (1,), np.float32)
        self.action_space = spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.level, self.t = options["level"], 0
        return np.full(1, self.level, np.float32), {}

    def step(self, action: Any) -> Any:
        self.t += 1
        return np.full(1, self.level, np.float32), 1.0, self.t == 20, False, {}


class SlowStart(gym.Env[Any, Any]):
    """Takes three seconds to construct, as simulators do."""

    def __init__(self, render_mode: str | None = None) -> None:
        import time

        time.sleep(3)
        self.observation_space = spaces.Box(-1, 1, (1,), np.float32)
        self.action_space = spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.t = 0
        return np.zeros(1, np.float32), {}

    def step(self, action: Any) -> Any:
        self.t += 1
        return np.zeros(1, np.float32), 1.0, self.t == 20, False, {}


kinds: tuple[Any, ...] = (Odd, SharedBuffer, IntegerSpace, Pressure, StrictBounds, NeedsOptions, SlowStart)
for cls in kinds:
    gym.register(f"{cls.__name__}-v0", cls)
