"""Options that every transform has, and running statistics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from rlrecipe.interfaces import State
from rlrecipe.lazy import np
from rlrecipe.recipe.options import Options, option


class TransformOptions(Options):
    """Base of every transform's options."""

    phase: Literal["train", "eval", "both"] = option("both", "Where it applies: train, eval or both.")


class RewardTransformOptions(TransformOptions):
    """Base of options of what changes rewards."""

    phase: Literal["train"] = option("train", "Training learns from the changed rewards; reports stay raw.")


class RewardFunction:
    """Rewards as a function of themselves. It stands behind the count of returns, which are of raw rewards.

    Args:
        function: of rewards ``[N]``.
    """

    #: It leaves observations as they are.
    observes = False

    def __init__(self, function: Callable[[np.ndarray], np.ndarray]) -> None:
        self.apply_reward = function

    def reset(self, observation: np.ndarray) -> np.ndarray:
        """Observations as they are."""
        return observation

    def step(
        self, observation: np.ndarray, final: np.ndarray, reward: np.ndarray, done: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rewards ``[N]`` changed; observations as they are."""
        return observation, final, self.apply_reward(reward)

    def apply(self, observation: np.ndarray) -> np.ndarray:
        """Observations as they are."""
        return observation

    def state_dict(self) -> State:
        """Empty: it remembers nothing."""
        return {}

    def load_state_dict(self, state: State) -> None:
        """Nothing to put back."""


class RunningMoments:
    """Mean and variance of a stream of rows in float64 (Chan et al., 1979, the parallel update)."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.mean, self.var = np.zeros(shape), np.ones(shape)
        # As stable-baselines3 starts: a trace of the prior keeps the first variance finite.
        self.count = np.array(1e-4)

    def update(self, rows: np.ndarray) -> None:
        """Take rows ``[N, ...]`` in."""
        n = len(rows)
        mean, var = rows.mean(0, dtype=np.float64), rows.var(0, dtype=np.float64)
        total = self.count + n
        delta = mean - self.mean
        self.mean = self.mean + delta * (n / total)
        self.var = (self.var * self.count + var * n + delta**2 * (self.count * n / total)) / total
        self.count = np.asarray(total)

    def state_dict(self) -> State:
        """The moments and their weight."""
        return {"mean": self.mean, "var": self.var, "count": self.count}

    def load_state_dict(self, state: State) -> None:
        """Go on from saved moments."""
        self.mean, self.var, self.count = state["mean"], state["var"], state["count"]
