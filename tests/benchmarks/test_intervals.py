"""The statistics of the comparison, against cases worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.intervals import estimate, estimate_difference, interquartile_mean, median, resample


def test_interquartile_mean_drops_a_quarter_rounded_down_from_each_end() -> None:
    assert interquartile_mean(np.array([100.0, 1.0, 3.0, 4.0, 5.0, 6.0, 8.0, -50.0])) == 4.5  # 3, 4, 5, 6
    assert interquartile_mean(np.arange(10.0)) == 4.5  # two from each end: 2 to 7
    assert interquartile_mean(np.array([1.0, 2.0, 9.0])) == 4.0  # too few to drop any
    stacked = interquartile_mean(np.array([[0.0, 1.0, 3.0, 99.0], [7.0, 7.0, 7.0, 7.0]]))
    assert stacked.tolist() == [2.0, 7.0]


def test_the_same_seed_gives_the_same_interval_and_another_one_does_not() -> None:
    scores = np.random.default_rng(1).normal(size=10)
    first = estimate([scores], repetitions=500)
    assert estimate([scores], repetitions=500) == first
    assert estimate([scores], repetitions=500, seed=1) != first
    assert first.low < first.value < first.high


def test_runs_without_spread_have_an_interval_without_width() -> None:
    assert estimate([np.full(10, 500.0)]) == (500.0, 500.0, 500.0)


def test_strata_are_drawn_from_apart() -> None:
    """Every sample holds as many runs of each stratum as there are: constant strata never vary."""
    constant = [np.zeros(4), np.ones(4)]
    mean = estimate(constant, lambda scores: np.asarray(scores.mean(axis=-1)))
    assert mean == (0.5, 0.5, 0.5)


def test_interval_agrees_with_the_normal_one_for_a_mean() -> None:
    scores = np.random.default_rng(0).normal(size=400)
    found = estimate([scores], lambda values: np.asarray(values.mean(axis=-1)))
    half = 1.96 * scores.std() / 20
    assert found.low == pytest.approx(scores.mean() - half, abs=0.01)
    assert found.high == pytest.approx(scores.mean() + half, abs=0.01)


def test_difference_of_shifted_runs_is_the_shift() -> None:
    scores = np.random.default_rng(0).normal(size=10)
    found = estimate_difference([scores + 5], [scores])
    assert found.value == pytest.approx(5.0)
    assert found.low < 5.0 < found.high
    assert found.low > 0.0


def test_median_and_resample_shapes() -> None:
    drawn = resample(np.array([1.0, 2.0]), np.random.default_rng(0), 7)
    assert drawn.shape == (7, 2)
    assert set(drawn.ravel()) <= {1.0, 2.0}
    assert median(np.array([[3.0, 1.0, 2.0]])).tolist() == [2.0]
