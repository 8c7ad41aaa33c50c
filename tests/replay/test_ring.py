import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rlrecipe.interfaces import Batch
from rlrecipe.replay.base import bytes_of
from rlrecipe.replay.ring import Columns, Ring
from rlrecipe.replay.storages.memory import Memory, MemoryOptions
from tests.replay.small import (
    ACTION,
    BOOL,
    BOTH,
    COLUMNS,
    FLOAT,
    NEXT,
    OBSERVATION,
    REWARD,
    TERMINATED,
    TRUNCATED,
    Reference,
    assert_rows,
    batch_of,
    make,
    needs_trees,
)


@st.composite
def histories(draw: st.DrawFn) -> tuple[dict[str, Any], list[Batch]]:
    """A buffer and the batches that it takes: some longer than it, with ends anywhere."""
    num_envs = draw(st.integers(1, 3))
    size = draw(st.integers(num_envs, 12 * num_envs))
    n_steps = draw(st.integers(1, 5))
    batches, first = [], 0
    for steps in draw(st.lists(st.integers(1, 15), min_size=1, max_size=6)):
        chances = st.lists(st.sampled_from("....et"), min_size=steps * num_envs, max_size=steps * num_envs)
        ends = np.array(draw(chances)).reshape(steps, num_envs)
        batches.append(batch_of(steps, num_envs, first, ends == "e", ends == "t"))
        first += steps
    return {"size": size, "num_envs": num_envs, "n_steps": n_steps}, batches


@pytest.mark.parametrize("name", BOTH)
@settings(deadline=None, max_examples=100)
@given(histories())
def test_every_row_is_what_a_slow_reference_says(name: str, history: tuple[dict[str, Any], list[Batch]]) -> None:
    shape, batches = history
    buffer = make(name, **shape, batch_size=16)
    reference = Reference(shape["size"] // shape["num_envs"], shape["num_envs"], shape["n_steps"])
    for batch in batches:
        buffer.extend(batch)
        reference.extend(batch)
        assert len(buffer) == reference.held()
        assert_rows(buffer.gather(np.arange(len(buffer))), reference)
        for sub_batch in buffer.sample(2):
            assert_rows(sub_batch, reference)


def test_what_was_collected_is_copied() -> None:
    """A collector writes its next batch into the same memory."""
    buffer, batch = make(), batch_of(3)
    buffer.extend(batch)
    batch[OBSERVATION].zero_()
    assert buffer.gather(np.arange(3))[OBSERVATION][:, 0].tolist() == [0, 1, 2]


def test_what_was_drawn_is_not_overwritten() -> None:
    buffer = make(size=4)
    buffer.extend(batch_of(4))
    drawn = list(buffer.sample(2))
    before = [sub_batch[OBSERVATION].clone() for sub_batch in drawn]
    buffer.extend(batch_of(4, first=4))
    assert all(torch.equal(sub_batch[OBSERVATION], rows) for sub_batch, rows in zip(drawn, before, strict=True))


def test_the_capacity_is_whole_steps() -> None:
    buffer = make(size=11, num_envs=3)
    buffer.extend(batch_of(7, 3))
    assert (buffer.capacity, len(buffer), buffer.ring.steps) == (9, 9, 3)


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.float64, np.float16, np.uint16])
def test_rows_of_any_type_and_shape(dtype: Any) -> None:
    columns = {**COLUMNS, OBSERVATION: ((3, 2, 2), np.dtype(dtype)), ACTION: ((2,), FLOAT)}
    buffer = make(columns=columns, size=6)
    batch = batch_of(4)
    observation = np.arange(48).reshape(4, 1, 3, 2, 2).astype(dtype)
    batch |= {OBSERVATION: torch.from_numpy(observation), ACTION: torch.ones(4, 1, 2)}
    buffer.extend(batch)
    assert np.array_equal(buffer.gather(np.array([3, 1]))[OBSERVATION].numpy(), observation[[3, 1], 0])


# -- errors


def test_another_number_of_environments_is_refused() -> None:
    with pytest.raises(ValueError, match="a batch of 3 environments cannot go into a replay buffer of 2"):
        make(num_envs=2).extend(batch_of(2, 3))


@pytest.mark.parametrize(
    ("key", "tensor", "message"),
    [
        (REWARD, torch.zeros(2, 1, 1), r"next\.reward of a batch is float32 \[2, 1, 1\]; .* takes float32 \[2, 1\]"),
        (NEXT, torch.zeros(2, 1, 2, dtype=torch.float64), r"next\.observation of a batch is float64"),
        (ACTION, torch.zeros(1, 1, dtype=torch.int64), r"action of a batch is int64 \[1, 1\]"),
    ],
)
def test_rows_that_would_be_broadcast_or_cast_are_refused(key: Any, tensor: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make().extend({**batch_of(2), key: tensor})


def test_a_storage_for_less_than_a_step_is_refused() -> None:
    with pytest.raises(ValueError, match="2 rows cannot hold one step of 3 environments"):
        make(size=2, num_envs=3)


@pytest.mark.parametrize("name", BOTH)
def test_an_empty_buffer_says_so(name: str) -> None:
    with pytest.raises(ValueError, match="the replay buffer is empty"):
        make(name).sample(1)


# -- memory

HALFCHEETAH: Columns = {
    OBSERVATION: ((17,), FLOAT),
    ACTION: ((6,), FLOAT),
    NEXT: ((17,), FLOAT),
    REWARD: ((), FLOAT),
    TERMINATED: ((), BOOL),
    TRUNCATED: ((), BOOL),
}


def test_a_buffer_takes_the_bytes_of_its_rows() -> None:
    assert bytes_of(HALFCHEETAH, 1) == 4 * (17 + 6 + 17 + 1) + 2
    buffer = make(size=1_000_003, num_envs=4, columns=HALFCHEETAH)
    assert buffer.nbytes == bytes_of(HALFCHEETAH, 1_000_000)


@needs_trees
def test_priorities_take_little_more() -> None:
    """A priority is part of its row; inner sums come on top, and room up to a power of two."""
    buffer = make("prioritized", size=1_000_000, columns=HALFCHEETAH)
    assert buffer.nbytes <= 1.1 * (bytes_of(HALFCHEETAH, 1_000_000) + 8 * 1_000_000)


def test_memory_is_taken_as_rows_come_in() -> None:
    columns = {**COLUMNS, OBSERVATION: ((50_000,), FLOAT), NEXT: ((), FLOAT)}
    before = resident()
    ring = Ring(columns, 1, Memory(MemoryOptions(max_size=10_000)))
    ring.extend({**batch_of(1), OBSERVATION: torch.ones(1, 1, 50_000), NEXT: torch.ones(1, 1)})
    assert ring.arrays[OBSERVATION].nbytes == 2_000_000_000
    assert resident() - before < 100_000_000


def resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_what_is_written_after_a_count() -> None:
    ring = Ring(COLUMNS, 1, Memory(MemoryOptions(max_size=5)))
    ring.total = 3
    assert (ring.spans(3), ring.spans(1), ring.spans(0)) == ([], [(1, 3)], [(0, 3)])
    ring.total = 7
    assert (ring.spans(6), ring.spans(4), ring.spans(0)) == ([(1, 2)], [(4, 5), (0, 2)], [(2, 5), (0, 2)])
    ring.total = 10
    assert (ring.spans(9), ring.spans(2)) == ([(4, 5)], [(0, 5)])
