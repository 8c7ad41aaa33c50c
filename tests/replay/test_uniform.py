from itertools import pairwise

import numpy as np
import pytest
import torch

from rlrecipe.recipe.slots import Slot
from rlrecipe.replay.uniform import ROWS, UniformOptions
from tests.replay.small import BOTH, GAMMA, NEXT, OBSERVATION, REWARD, TERMINATED, batch_of, filled, make


def test_options_have_their_defaults() -> None:
    options = Slot("replay_buffer").read("uniform")
    assert isinstance(options, UniformOptions)
    assert options.model_dump() == {"batch_size": 256, "storage": {"name": "memory", "max_size": 1_000_000}}


def test_rows_are_drawn_evenly() -> None:
    """Chi-square over 50 rows, three of four of which the ring has overwritten: 49 +- 5 * sqrt(2 * 49)."""
    buffer = make(size=50, batch_size=500)
    buffer.extend(batch_of(90))
    counts = np.zeros(50)
    for sub_batch in buffer.sample(100):
        counts += np.bincount(sub_batch["index"], minlength=50)
    assert abs(((counts - 1000) ** 2 / 1000).sum() - 49) < 5 * np.sqrt(2 * 49)


def test_only_filled_rows_are_drawn() -> None:
    buffer = make(size=1000, num_envs=2)
    buffer.extend(batch_of(3, 2))
    assert {i for sub_batch in buffer.sample(100) for i in sub_batch["index"].tolist()} == set(range(6))


@pytest.mark.parametrize("count", [1, 2, 7])
def test_one_draw_gives_all_sub_batches(count: int) -> None:
    buffer, rng = filled(seed=3), np.random.default_rng(3)
    rows = rng.integers(0, len(buffer), (count, 4))
    drawn = [sub_batch["index"].tolist() for sub_batch in buffer.sample(count)]
    assert drawn == rows.tolist()
    assert buffer.rng.integers(0, 2**62) == rng.integers(0, 2**62)


def test_sub_batches_of_several_gatherings() -> None:
    buffer = make(size=10, batch_size=ROWS // 2)
    buffer.extend(batch_of(10))
    drawn = list(buffer.sample(5))
    rows = np.random.default_rng(0).integers(0, 10, (5, ROWS // 2))
    for sub_batch, expected in zip(drawn, rows, strict=True):
        assert np.array_equal(sub_batch["index"], expected)
        assert np.array_equal(sub_batch[OBSERVATION][:, 0], expected)
    shared = [one[OBSERVATION].untyped_storage().data_ptr() for one in drawn]
    assert [a == b for a, b in pairwise(shared)] == [True, False, True, False]


def test_a_sub_batch_larger_than_a_gathering() -> None:
    buffer = make(size=10, batch_size=ROWS + 1)
    buffer.extend(batch_of(10))
    assert [len(sub_batch[REWARD]) for sub_batch in buffer.sample(2)] == [ROWS + 1] * 2


def test_a_priority_changes_nothing() -> None:
    buffer, other = filled(), filled()
    (sub_batch,) = buffer.sample(1)
    list(other.sample(1))
    buffer.update_priority({**sub_batch, "td_error": torch.ones(4)})
    assert [s["index"].tolist() for s in buffer.sample(3)] == [s["index"].tolist() for s in other.sample(3)]


def test_a_return_of_three_steps() -> None:
    """Rewards 1, 2, 3, 4, 5; the third step terminates, the fifth is the newest."""
    buffer = make(n_steps=3)
    buffer.extend(batch_of(5, ends=np.array([[False], [False], [True], [False], [False]])))
    rows = buffer.gather(np.arange(5))
    g = GAMMA
    expected = [1 + 2 * g + 3 * g * g, 2 + 3 * g, 3, 4 + 5 * g, 5]
    assert rows[REWARD].tolist() == pytest.approx(expected)
    assert rows["gamma"].tolist() == pytest.approx([g**3, g**2, g, g**2, g])
    assert rows[NEXT][:, 0].tolist() == [2.5, 2.5, 2.5, 4.5, 4.5]
    assert rows[TERMINATED].tolist() == [True, True, True, False, False]
    assert rows[TERMINATED].dtype == torch.bool
    assert rows["gamma"].dtype == torch.float32


@pytest.mark.parametrize("name", BOTH)
def test_a_return_ends_where_episodes_were_given_up(name: str) -> None:
    """Rewards 1, 2 of an episode given up, 3, 4 of the next."""
    buffer = make(name, n_steps=3)
    buffer.cut()
    buffer.extend(batch_of(2))
    buffer.cut()
    buffer.extend(batch_of(2, first=2))
    rows = buffer.gather(np.arange(4))
    g = GAMMA
    assert rows[REWARD].tolist() == pytest.approx([1 + 2 * g, 2, 3 + 4 * g, 4])
    assert rows["gamma"].tolist() == pytest.approx([g**2, g, g**2, g])
    assert rows[NEXT][:, 0].tolist() == [1.5, 1.5, 3.5, 3.5]
    assert not rows[TERMINATED].any()


def test_a_cut_is_saved_even_if_its_rows_were_saved_before() -> None:
    buffer, other = make(n_steps=3), make(n_steps=3)
    buffer.extend(batch_of(2))
    buffer.state_dict()
    buffer.cut()
    other.load_state_dict(buffer.state_dict())
    other.extend(batch_of(2, first=2))
    assert other.gather(np.array([1]))[REWARD].tolist() == [2.0]


def test_a_return_adds_up_what_learning_sees_of_each_reward() -> None:
    """Rewards 1, 2, 3, 4 of which learning sees no more than 2.5."""
    for n_steps, expected in ((1, [1, 2, 2.5, 2.5]), (2, [1 + GAMMA * 2, 2 + GAMMA * 2.5, 2.5 + GAMMA * 2.5, 2.5])):
        buffer = make(n_steps=n_steps, reward=lambda reward: np.minimum(reward, 2.5))
        buffer.extend(batch_of(4))
        assert buffer.gather(np.arange(4))[REWARD].tolist() == pytest.approx(expected)
        assert buffer.gather(np.arange(4))[REWARD].dtype == torch.float32


def test_what_lies_beyond_a_return_does_not_reach_it() -> None:
    buffer = make(n_steps=2, size=3)
    batch = batch_of(2, ends=np.array([[True], [False]]))
    batch[REWARD][1] = float("inf")
    buffer.extend(batch)
    assert buffer.gather(np.array([0]))[REWARD].tolist() == [1.0]
