"""Interquartile mean and bootstrap intervals, as in rliable.

Agarwal et al., "Deep Reinforcement Learning at the Edge of the Statistical Precipice" (2021).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]
# Maps [..., runs] to [...]: a whole stack of bootstrap samples at once.
Statistic = Callable[[Scores], Scores]
REPETITIONS = 20_000


class Estimate(NamedTuple):
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.4g} [{self.low:.4g}, {self.high:.4g}]"


def interquartile_mean(scores: Scores) -> Scores:
    """Mean of the middle half along the last axis.

    A quarter of the values, rounded down, goes from each end (``scipy.stats.trim_mean`` at 0.25).
    """
    cut = scores.shape[-1] // 4
    middle = np.sort(scores, axis=-1)[..., cut : scores.shape[-1] - cut]
    return np.asarray(middle.mean(axis=-1))


def median(scores: Scores) -> Scores:
    """Median along the last axis."""
    return np.asarray(np.median(scores, axis=-1))


def resample(scores: Scores, generator: np.random.Generator, repetitions: int) -> Scores:
    """``[repetitions, runs]``: runs of one stratum, drawn with replacement."""
    return scores[generator.integers(len(scores), size=(repetitions, len(scores)))]


def estimate(
    strata: Sequence[Scores],
    statistic: Statistic = interquartile_mean,
    *,
    repetitions: int = REPETITIONS,
    seed: int = 0,
) -> Estimate:
    """``statistic`` over all strata together, with the percentile bootstrap interval.

    Runs are drawn again within each stratum (an environment), never across: the environments are
    what is compared on, not a sample of something.
    """
    generator = np.random.default_rng(seed)
    samples = np.concatenate([resample(scores, generator, repetitions) for scores in strata], axis=-1)
    low, high = np.percentile(statistic(samples), [2.5, 97.5])
    return Estimate(float(statistic(np.concatenate(strata))), float(low), float(high))


def estimate_difference(
    ours: Sequence[Scores],
    theirs: Sequence[Scores],
    statistic: Statistic = interquartile_mean,
    *,
    repetitions: int = REPETITIONS,
    seed: int = 0,
) -> Estimate:
    """``statistic(ours) - statistic(theirs)`` with its interval; the two sides are independent."""
    generator = np.random.default_rng(seed)

    def samples(strata: Sequence[Scores]) -> Scores:
        drawn = [resample(scores, generator, repetitions) for scores in strata]
        return statistic(np.concatenate(drawn, axis=-1))

    low, high = np.percentile(samples(ours) - samples(theirs), [2.5, 97.5])
    value = statistic(np.concatenate(ours)) - statistic(np.concatenate(theirs))
    return Estimate(float(value), float(low), float(high))
