"""How an Atari game begins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import gymnasium

Env = gymnasium.Env[Any, Any]


@runtime_checkable
class NamesActions(Protocol):
    """An environment that says what its actions mean, as Atari games do."""

    def get_action_meanings(self) -> Sequence[str]:
        """A word for each."""


def meanings(env: Env) -> list[str]:
    """What an Atari game's actions mean.

    Raises:
        ValueError: the environment does not say it.
    """
    if not isinstance(env.unwrapped, NamesActions):
        raise ValueError(f"Atari games say what their actions mean, and {env.unwrapped} does not")
    return list(env.unwrapped.get_action_meanings())


class NoopReset(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Begins each episode with 1 to ``noops`` times the action that does nothing (Mnih et al., 2015).

    Raises:
        ValueError: the environment has no such action.
    """

    def __init__(self, env: Env, noops: int) -> None:
        super().__init__(env)
        if meanings(env)[0] != "NOOP":
            raise ValueError(f"the first action of {env.unwrapped} is {meanings(env)[0]}, not one that does nothing")
        self.noops = noops

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """What is seen after the last of them."""
        observation, info = self.env.reset(seed=seed, options=options)
        for _ in range(int(self.env.unwrapped.np_random.integers(1, self.noops + 1))):
            observation, _, terminated, truncated, info = self.env.step(0)
            if terminated or truncated:
                observation, info = self.env.reset(options=options)
        return observation, info


class FireReset(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Begins each episode with FIRE; does nothing in games that go on without it.

    Raises:
        ValueError: the environment does not say what its actions mean.
    """

    def __init__(self, env: Env) -> None:
        super().__init__(env)
        self.fires = "FIRE" in meanings(env)[:2]

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """What is seen after it."""
        observation, info = self.env.reset(seed=seed, options=options)
        if self.fires:
            observation, _, terminated, truncated, info = self.env.step(1)
            if terminated or truncated:
                observation, info = self.env.reset(options=options)
        return observation, info
