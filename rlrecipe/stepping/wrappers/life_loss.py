"""The end of a life as the end of what is learned from, not of the game."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol, runtime_checkable

import gymnasium

from rlrecipe.stepping.wrappers.abilities import GoesOn

Env = gymnasium.Env[Any, Any]


@runtime_checkable
class TellsLives(Protocol):
    """A game that tells how many lives are left."""

    def lives(self) -> int:
        """How many."""


@runtime_checkable
class Emulated(Protocol):
    """An environment around an emulator, which tells it instead."""

    ale: Any


class LifeLoss(gymnasium.Wrapper[Any, Any, Any, Any], GoesOn):
    """Terminates when a life is lost; the next reset goes on in the same game by an action that does nothing.

    Mnih et al. (2015), as stable-baselines3's EpisodicLifeEnv.

    Raises:
        ValueError: the environment does not tell its lives.
    """

    def __init__(self, env: Env) -> None:
        super().__init__(env)
        inner = env.unwrapped
        game = inner.ale if isinstance(inner, Emulated) else inner
        if not isinstance(game, TellsLives):
            raise ValueError(f"lives are counted in Atari games, but {inner} has none")
        self._count: Callable[[], int] = game.lives
        self.lives, self.over = 0, True
        #: Whether the last step ended an episode for no more than a life, and whether the last reset went on after it.
        self.lost = self.continued = False

    @property
    def going_on(self) -> bool:
        """Whether the next reset goes on in the same game: not where something around this one ended the episode."""
        return self.lost and not self.over

    def end(self) -> None:
        """Let the next reset begin a new game, whatever was lost."""
        self.over = True

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """A new game where the last one is over or a seed asks for one, else its next life."""
        going_on = seed is None and self.going_on
        if going_on:
            observation, _, terminated, truncated, info = self.env.step(0)
            going_on = not (terminated or truncated)
        if not going_on:
            observation, info = self.env.reset(seed=seed, options=options)
        self.lives, self.over, self.lost, self.continued = self._count(), False, False, going_on
        return observation, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Terminated where the game is, or where a life was lost."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        self.over = bool(terminated or truncated)
        lives = self._count()
        # Some games show no lives for a few frames before they go on: a life is lost while others are left.
        self.lost = 0 < lives < self.lives
        self.lives = lives
        return observation, reward, bool(terminated or self.lost), truncated, info


def games_of(env: Env) -> Iterator[LifeLoss]:
    """What makes episodes of lives, among an environment's wrappers."""
    while isinstance(env, gymnasium.Wrapper):
        if isinstance(env, LifeLoss):
            yield env
        env = env.env
