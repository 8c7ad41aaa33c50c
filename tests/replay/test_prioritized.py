from typing import Any

import numpy as np
import pytest
import torch
from torchrl.data import LazyTensorStorage, PrioritizedSampler

from rlrecipe.errors import Diverged
from rlrecipe.interfaces import Batch
from rlrecipe.recipe.slots import Slot
from rlrecipe.replay.prioritized import PrioritizedOptions
from tests.replay.small import REWARD, batch_of, filled, make, needs_trees

pytestmark = needs_trees

EPS = 1e-8


def sub_batch_of(rows: list[int], errors: list[float]) -> Batch:
    return {"index": torch.tensor(rows), "td_error": torch.tensor(errors)}


def priorities(buffer: Any) -> np.ndarray:
    held: np.ndarray = buffer.tree[np.arange(buffer.capacity)]
    return held


def test_options_have_their_defaults() -> None:
    options = Slot("replay_buffer").read({"name": "prioritized", "beta": {"name": "linear", "start": 0.4, "end": 1.0}})
    assert isinstance(options, PrioritizedOptions)
    assert (options.alpha, options.eps, options.batch_size) == (0.6, 1e-8, 256)
    assert PrioritizedOptions().beta == 0.4


# -- priorities


def test_new_rows_have_the_highest_priority_so_far() -> None:
    buffer = make("prioritized", size=6, alpha=0.5)
    buffer.extend(batch_of(2))
    assert priorities(buffer).tolist() == [1, 1, 0, 0, 0, 0]
    buffer.update_priority(sub_batch_of([0, 1], [0.25, -16.0]))
    buffer.extend(batch_of(2, first=2))
    assert priorities(buffer) == pytest.approx([0.5, 4, 4, 4, 0, 0])
    buffer.update_priority(sub_batch_of([1, 2], [1.0, 1.0]))
    # The highest of all, although no row has it any more; rows 0 and 1 are overwritten.
    buffer.extend(batch_of(4, first=4))
    assert priorities(buffer) == pytest.approx([4, 4, 1, 4, 4, 4])


def test_a_batch_longer_than_the_buffer() -> None:
    buffer = make("prioritized", size=7, num_envs=2)
    buffer.extend(batch_of(10, 2))
    assert (priorities(buffer) == 1).all()


def test_of_a_row_that_is_there_twice_the_last_error_holds() -> None:
    buffer = filled("prioritized", size=4)
    buffer.update_priority(sub_batch_of([2, 1, 2, 2], [5.0, 1.0, 9.0, 3.0]))
    assert priorities(buffer) == pytest.approx(np.array([1, 1 + EPS, 3 + EPS, 1]) ** 0.6)
    # The highest is that of all that were given.
    assert buffer.highest == 9.0 + EPS


def test_an_error_of_nothing_leaves_a_row_to_be_drawn() -> None:
    buffer = filled("prioritized", size=4)
    buffer.update_priority(sub_batch_of([0], [0.0]))
    assert priorities(buffer)[0] == pytest.approx(EPS**0.6)


@pytest.mark.parametrize("error", [float("nan"), float("inf"), -float("inf")])
def test_an_error_that_is_not_finite_ends_the_run(error: float) -> None:
    buffer = filled("prioritized", size=4)
    with pytest.raises(Diverged, match="td_error"):
        buffer.update_priority(sub_batch_of([0, 1], [0.5, error]))
    assert (priorities(buffer) == 1).all()


def test_errors_may_carry_a_gradient() -> None:
    buffer = filled("prioritized", size=4)
    error = torch.ones(2, requires_grad=True) * 3
    buffer.update_priority({"index": torch.tensor([0, 1]), "td_error": error})
    assert priorities(buffer)[:2] == pytest.approx((3 + EPS) ** 0.6)


# -- drawing


def unequal(size: int = 50, batch_size: int = 500, **more: Any) -> Any:
    """Rows with errors 0.1, 0.2, ..."""
    buffer = make("prioritized", size=size, batch_size=batch_size, **more)
    buffer.extend(batch_of(size + 3))
    buffer.update_priority(sub_batch_of(list(range(size)), [0.1 * (i + 1) for i in range(size)]))
    return buffer


@pytest.mark.parametrize("alpha", [0.0, 0.6, 1.0])
def test_rows_are_drawn_in_proportion(alpha: float) -> None:
    """Chi-square against equation 1 over 50 rows: 49 +- 5 * sqrt(2 * 49)."""
    buffer = unequal(alpha=alpha)
    counts = np.zeros(50)
    for sub_batch in buffer.sample(100):
        counts += np.bincount(sub_batch["index"], minlength=50)
    share = (0.1 * np.arange(1, 51) + EPS) ** alpha
    expected = 50_000 * share / share.sum()
    assert abs(((counts - expected) ** 2 / expected).sum() - 49) < 5 * np.sqrt(2 * 49)


@pytest.mark.parametrize("beta", [0.0, 0.4, 1.0])
def test_weights_are_those_of_the_paper(beta: float) -> None:
    buffer = unequal(beta=beta)
    share = (0.1 * np.arange(1, 51) + EPS) ** 0.6
    (sub_batch,) = buffer.sample(1)
    weight = (50 * share / share.sum())[sub_batch["index"]] ** -beta
    np.testing.assert_allclose(sub_batch["priority_weight"], weight / weight.max(), rtol=1e-6)
    assert sub_batch["priority_weight"].dtype == torch.float32


def test_beta_is_read_at_each_draw() -> None:
    buffer = unequal(beta=0.0)
    draws = buffer.sample(2)
    assert (next(draws)["priority_weight"] == 1).all()
    buffer.beta.value = 1.0
    weight = next(draws)["priority_weight"]
    assert weight.max() == 1 > weight.min()


def test_a_sub_batch_is_drawn_with_the_priorities_of_before() -> None:
    buffer = unequal(size=4, batch_size=100)
    draws = buffer.sample(2)
    next(draws)
    buffer.update_priority(sub_batch_of([0, 1, 2, 3], [0.0, 0.0, 1e9, 0.0]))
    assert set(next(draws)["index"].tolist()) == {2}


def test_only_filled_rows_are_drawn() -> None:
    buffer = make("prioritized", size=1000, batch_size=1000)
    buffer.extend(batch_of(3))
    (sub_batch,) = buffer.sample(1)
    assert set(sub_batch["index"].tolist()) == {0, 1, 2}


def test_a_mass_beyond_the_sum_of_the_rows_finds_the_last() -> None:
    """What rounding may lead to."""

    class Highest:
        def random(self, count: int) -> np.ndarray:
            return np.full(count, 1.5)

    buffer = make("prioritized", size=1000)
    buffer.extend(batch_of(3))
    buffer.rng = Highest()
    (sub_batch,) = buffer.sample(1)
    assert sub_batch["index"].tolist() == [2] * 4
    assert sub_batch[REWARD].tolist() == [3.0] * 4


def test_the_same_masses_give_what_torchrl_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows, and weights up to the factor: torchrl divides by the largest weight of all rows."""
    size, count = 37, 200
    storage = LazyTensorStorage(size)
    storage.set(range(size), torch.zeros(size))
    theirs = PrioritizedSampler(size, alpha=0.7, beta=0.5, dtype=torch.float64)
    ours = make("prioritized", size=size, batch_size=count, alpha=0.7, beta=0.5)
    ours.extend(batch_of(size))
    rng, masses = np.random.default_rng(5), np.random.default_rng(0)
    monkeypatch.setattr(np.random, "uniform", lambda low, high, size: masses.random(size) * high)
    index, error = np.arange(size), rng.normal(size=size)
    for _ in range(20):
        theirs.update_priority(torch.from_numpy(index), torch.from_numpy(np.abs(error)))
        ours.update_priority({"index": torch.from_numpy(index), "td_error": torch.from_numpy(error)})
        drawn, info = theirs.sample(storage, count)
        (sub_batch,) = ours.sample(1)
        assert sub_batch["index"].tolist() == drawn.tolist()
        weight = info["priority_weight"] / info["priority_weight"].max()
        np.testing.assert_allclose(sub_batch["priority_weight"], weight, rtol=1e-6)
        index, error = rng.integers(0, size, 20), 3 * rng.normal(size=20)
