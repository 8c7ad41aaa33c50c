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
    """Mean and variance of a stream of rows in float64, without a prior (Chan et al., 1979, the parallel update).

    stable-baselines3 begins at mean 0 with a weight of 1e-4 rows: where numbers lie far from 0 and close together,
    as pressures do, that prior is most of the variance for as long as anybody trains.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.mean, self.count = np.zeros(shape), np.array(0.0)
        #: The variance; 1 while there are fewer than two different rows, which have none to tell of.
        self.var = np.ones(shape)
        self._differ = False

    def update(self, rows: np.ndarray) -> None:
        """Take rows ``[N, ...]`` in."""
        n = len(rows)
        total = self.count + n
        if not self._differ and bool((rows == (self.mean if self.count else rows[0])).all()):
            # Not computed: a mean of equal numbers can be one rounding off, and would make a variance of its own.
            self.mean, self.count = np.asarray(rows[0], np.float64), np.asarray(total)
            return
        mean, var = rows.mean(0, dtype=np.float64), rows.var(0, dtype=np.float64)
        before = self.var if self._differ else np.zeros_like(self.var)
        delta = mean - self.mean
        # Arrays, where numpy makes scalars of single numbers: a policy's file holds arrays alone.
        self.mean = np.asarray(self.mean + delta * (n / total))
        self.var = np.asarray((before * self.count + var * n + delta**2 * (self.count * n / total)) / total)
        self.count, self._differ = np.asarray(total), True

    def state_dict(self) -> State:
        """The moments, their weight, and whether there were two different rows."""
        return {"mean": self.mean, "var": self.var, "count": self.count, "differ": np.array(self._differ)}

    def load_state_dict(self, state: State) -> None:
        """Go on from saved moments; those of older checkpoints keep the trace of a prior that they began with."""
        self.mean, self.var, self.count = state["mean"], state["var"], state["count"]
        self._differ = bool(state.get("differ", True))
