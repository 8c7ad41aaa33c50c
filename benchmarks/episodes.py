"""The evaluation that every library's final policy goes through: the same start states for all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

#: Episode k starts from ``reset(seed=FIRST_SEED + k)``, away from every training seed.
FIRST_SEED = 1_000_000


def returns_of(act: Callable[[Any], Any], env_id: str, episodes: int) -> list[float]:
    """Returns of a policy in a plain environment, raw rewards, with the same seeds each time."""
    import gymnasium

    env = gymnasium.make(env_id)
    returns = []
    for episode in range(episodes):
        observation, _ = env.reset(seed=FIRST_SEED + episode)
        total, done = 0.0, False
        while not done:
            observation, reward, terminated, truncated, _ = env.step(act(observation))
            total += float(reward)
            done = terminated or truncated
        returns.append(total)
    env.close()
    return returns
