"""Observations with mean 0 and variance 1, of all that were seen or of a random rollout."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, Literal, TypeAlias

from rlrecipe.interfaces import State, Transform
from rlrecipe.lazy import gymnasium, np
from rlrecipe.recipe.options import Options, option
from rlrecipe.recipe.registry import register
from rlrecipe.recipe.traits import TransformTraits
from rlrecipe.transforms.base import RunningMoments, TransformOptions

#: Rows ``[n, ...]`` of that many random steps.
Rollout: TypeAlias = "Callable[[int], Iterable[np.ndarray]]"


class RandomRollout(Options):
    """Statistics of observations under random actions."""

    random_rollout: int = option(..., "Steps that are taken before training, and not counted as its frames.", gt=1)


class ObservationNormOptions(TransformOptions):
    """Subtract the mean of the training observations, divide by their deviation, clip; pictures stay bytes."""

    clip: float = option(10.0, "Bound on a normalised observation.", gt=0)
    eps: float = option(1e-8, "Added to the variance.", gt=0)
    statistics: Literal["running"] | RandomRollout = option(
        "running", "running: of all observations so far; {random_rollout: N}: of N random steps before training, fixed."
    )


class ObservationNorm:
    """Update, then normalise; the final observation of an episode is normalised, not counted.

    Attributes:
        rollout: random steps that the statistics come from, or 0 where they run along.
        observe: gives the rows ``[n, ...]`` of that many steps; asked once, when the statistics are first needed.

    Args:
        options: clip, eps and where the statistics come from.
        shape: of an observation.
        columns: of a row, those that are normalised; None for all of the observation.
        observe: gives the rows of so many random steps; None where its statistics are loaded.
    """

    def __init__(
        self,
        options: ObservationNormOptions,
        shape: tuple[int, ...],
        columns: np.ndarray | None = None,
        observe: Rollout | None = None,
    ) -> None:
        self.clip, self.eps = options.clip, options.eps
        self.rollout = 0 if isinstance(options.statistics, str) else options.statistics.random_rollout
        self.observe, self.columns = observe, columns
        self._moments = RunningMoments(shape if columns is None else columns.shape)

    @property
    def moments(self) -> RunningMoments:
        """The statistics as they stand, measured where that is still to be done."""
        if self.rollout and self.observe is not None and self._moments.count < 1:
            for rows in self.observe(self.rollout):
                self._moments.update(self._chosen(rows))
        return self._moments

    def reset(self, observation: np.ndarray) -> np.ndarray:
        """First observations ``[N, ...]``.

        Raises:
            RuntimeError: its statistics were neither measured nor loaded, and there is nothing to measure them in.
        """
        if not self.rollout:
            self._moments.update(self._chosen(observation))
        elif self.moments.count < 1:
            raise RuntimeError("observation_norm has no environment for its random rollout; give make_transforms one")
        return self.apply(observation)

    def step(
        self, observation: np.ndarray, final: np.ndarray, reward: np.ndarray, done: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Observations and true next observations, normalised; rewards as they are."""
        if not self.rollout:
            self._moments.update(self._chosen(observation))
        shown = self.apply(observation)
        if not done.any():
            return shown, shown, reward
        final = np.where(done.reshape(-1, *[1] * (shown.ndim - 1)), self.apply(final), shown)
        return shown, final, reward

    def apply(self, observation: np.ndarray) -> np.ndarray:
        """Observations normalised with the statistics as they stand."""
        moments = self.moments
        scaled = (self._chosen(observation) - moments.mean) / np.sqrt(moments.var + self.eps)
        normalised = np.clip(scaled, -self.clip, self.clip).astype(np.float32)
        if self.columns is None:
            return normalised
        shown = observation.astype(np.float32)
        shown[..., self.columns] = normalised
        return shown

    def _chosen(self, observation: np.ndarray) -> np.ndarray:
        return observation if self.columns is None else observation[..., self.columns]

    def apply_reward(self, reward: np.ndarray) -> np.ndarray:
        """Rewards as they are."""
        return reward

    def state_dict(self) -> State:
        """The statistics: ``policy.safetensors`` carries them."""
        return {"statistics": self.moments.state_dict()}

    def as_it_stands(self) -> State:
        """``state_dict`` without measuring: for who only looks, such as a run that is about to load its own."""
        return {"statistics": self._moments.state_dict()}

    def load_state_dict(self, state: State) -> None:
        """Go on from saved statistics; none are measured again."""
        self._moments.load_state_dict(state["statistics"])


def numbers(space: gymnasium.spaces.Box) -> list[int]:
    """Columns of an observation's row that belong to no picture; those are bytes, which networks divide by 255."""
    from rlrecipe.stepping.observations import entries_of

    return [i for entry in entries_of(space).values() if not entry.pixels for i in range(entry.start, entry.stop)]


def fits(space: gymnasium.Space[Any]) -> str | None:
    """Why there is nothing to normalise in ``space``, or None."""
    if not isinstance(space, gymnasium.spaces.Box) or numbers(space):
        return None
    return "observation_norm normalises numbers, and networks divide the bytes of a picture by 255 already"


@register("transform", "observation_norm", traits=TransformTraits(fits=fits, keeps_pictures=True, measures=True))
def make_observation_norm(
    options: ObservationNormOptions,
    space: gymnasium.spaces.Box,
    num_envs: int,
    gamma: float,
    observe: Rollout | None = None,
) -> Transform:
    """Normalisation of observations of ``space``, but for pictures among their entries."""
    columns = numbers(space)
    everything = len(columns) == math.prod(space.shape)
    return ObservationNorm(options, space.shape, None if everything else np.array(columns), observe)
