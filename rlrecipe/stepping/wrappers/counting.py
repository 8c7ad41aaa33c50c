"""What an episode has brought so far, as part of what is observed."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np

from rlrecipe.stepping.wrappers.life_loss import games_of

Env = gymnasium.Env[Any, Any]


class _Counting(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Adds one number to what the environment observes, under ``key``, or to nothing if that is None.

    Raises:
        ValueError: the environment observes something under this key already.
    """

    low: float

    def __init__(self, env: Env, key: str | None) -> None:
        super().__init__(env)
        self.key = key
        if key is None:
            return
        space = env.observation_space
        entries = dict(space.spaces) if isinstance(space, gymnasium.spaces.Dict) else {"observation": space}
        if key in entries:
            raise ValueError(f"the environment observes a {key!r} already; give this one another key")
        entries[key] = gymnasium.spaces.Box(self.low, np.inf, (1,), np.float32)
        self.observation_space = gymnasium.spaces.Dict(entries)

    def _with(self, observation: Any, number: float) -> Any:
        if self.key is None:
            return observation
        entries = observation if isinstance(self.env.observation_space, gymnasium.spaces.Dict) else None
        entries = {"observation": observation} if entries is None else entries
        return {**entries, self.key: np.array([number], np.float32)}


class StepCounter(_Counting):
    """Counts an episode's steps; of an Atari game, also where its lives are episodes, those of the whole game.

    Args:
        env: whose episodes.
        max_steps: after how many an episode is truncated; None means never.
        key: under which the count is observed; None means not at all.
    """

    low = 0.0

    def __init__(self, env: Env, max_steps: int | None, key: str | None) -> None:
        super().__init__(env, key)
        self.max_steps, self.count = max_steps, 0
        self._games = list(games_of(env))

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """No steps yet, or those of the lives before."""
        observation, info = self.env.reset(seed=seed, options=options)
        if not any(game.continued for game in self._games):
            self.count = 0
        return self._with(observation, self.count), info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """One more step, perhaps the last."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        self.count += 1
        over = self.max_steps is not None and self.count >= self.max_steps
        if over:
            for game in self._games:
                game.end()
        return self._with(observation, self.count), reward, terminated, bool(truncated or over), info


class RewardSum(_Counting):
    """Adds up an episode's rewards.

    Args:
        env: whose episodes.
        key: under which the sum is observed.
    """

    low = -np.inf

    def __init__(self, env: Env, key: str) -> None:
        super().__init__(env, key)
        self.total = 0.0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Nothing yet."""
        observation, info = self.env.reset(seed=seed, options=options)
        self.total = 0.0
        return self._with(observation, 0.0), info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """The step's reward included."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        self.total += float(reward)
        return self._with(observation, self.total), reward, terminated, truncated, info
