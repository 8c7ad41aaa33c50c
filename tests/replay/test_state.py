import copy
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rlrecipe.state import Piece
from tests.replay.small import (
    BOTH,
    COLUMNS,
    OBSERVATION,
    REWARD,
    Reference,
    assert_rows,
    assert_same,
    batch_of,
    contents,
    filled,
    learn,
    make,
    needs_trees,
    through_files,
)

KINDS = [
    pytest.param({"name": name, "storage": storage, "n_steps": n_steps}, marks=marks)
    for name, marks in (("uniform", ()), ("prioritized", needs_trees))
    for storage in ("memory", "memmap")
    for n_steps in (1, 3)
]


def restored(buffer: Any, **kind: Any) -> Any:
    """Another buffer of the kind, put where ``buffer`` stands; its generator is put there by its owner."""
    other = make(**kind, seed=99)
    other.rng.bit_generator.state = copy.deepcopy(buffer.rng.bit_generator.state)
    other.load_state_dict(through_files(buffer.state_dict()))
    return other


# -- exact continuation


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "-".join(map(str, kind.values())))
@pytest.mark.parametrize("steps", [7, 12, 31], ids=["filling", "full", "overwritten"])
def test_a_restored_buffer_goes_on_as_if_it_never_stopped(kind: dict[str, Any], steps: int) -> None:
    kind = {**kind, "size": 25, "num_envs": 2, "batch_size": 8}
    whole = filled(steps=steps, **kind)
    learn(whole)
    stopped = restored(whole, **kind)
    for first in range(steps, steps + 20, 5):
        assert len(whole) == len(stopped)
        for one, other in zip(learn(whole), learn(stopped), strict=True):
            assert_same(one, other)
        for buffer in (whole, stopped):
            buffer.extend(batch_of(5, 2, first))
        stopped = restored(stopped, **kind)


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 60), st.lists(st.integers(1, 15), max_size=5), st.integers(1, 3))
def test_a_restored_buffer_holds_the_same_rows(steps: int, more: list[int], num_envs: int) -> None:
    kind: dict[str, Any] = {"size": 30, "num_envs": num_envs}
    buffer, reference = make(**kind), Reference(30 // num_envs, num_envs, 1)
    shrink_pieces(buffer, 3)
    for count in (steps, *more):
        batch = batch_of(count, num_envs, len(reference.rows))
        buffer.extend(batch)
        reference.extend(batch)
        other = make(**kind)
        shrink_pieces(other, 3)
        other.load_state_dict(through_files(buffer.state_dict()))
        buffer = other
        assert_rows(buffer.gather(np.arange(len(buffer))), reference)


@needs_trees
def test_priorities_after_many_updates_are_restored_to_the_bit() -> None:
    kind: dict[str, Any] = {"name": "prioritized", "size": 500, "batch_size": 64}
    buffer = filled(steps=700, **kind)
    learn(buffer, 50)
    other = restored(buffer, **kind)
    assert other.highest == buffer.highest > 1
    assert other.tree[np.arange(500)].tobytes() == buffer.tree[np.arange(500)].tobytes()
    assert other.tree.query(0, 500) == buffer.tree.query(0, 500)


@needs_trees
def test_a_load_leaves_nothing_of_before() -> None:
    buffer, other = filled("prioritized", steps=3), filled("prioritized", steps=40)
    other.load_state_dict(through_files(buffer.state_dict()))
    assert len(other) == 3
    assert other.tree.query(0, other.capacity) == 3.0
    other.extend(batch_of(1, first=3))
    assert other.gather(np.array([3]))[REWARD].tolist() == [4.0]


# -- pieces


def shrink_pieces(buffer: Any, steps: int) -> None:
    """As small as a test needs them."""
    buffer.ring.piece_steps = steps


def with_pieces(steps: int) -> Any:
    buffer = make(size=24, num_envs=2)
    shrink_pieces(buffer, 3)
    buffer.extend(batch_of(steps, 2))
    return buffer


def changed(before: list[Piece], after: list[Piece]) -> list[int]:
    return [i for i, piece in enumerate(after) if i >= len(before) or before[i] is not piece]


def test_one_step_changes_one_piece() -> None:
    """A ring of twelve steps in four pieces."""
    buffer = with_pieces(2)
    before = buffer.state_dict()["chunks"]
    assert len(before) == 1
    for step, expected in [(2, 0), (3, 1), (4, 1), (5, 1), (6, 2), *((i, i // 3) for i in range(7, 12)), (12, 0)]:
        buffer.extend(batch_of(1, 2, step))
        after = buffer.state_dict()["chunks"]
        assert changed(before, after) == [expected], step
        before = after


@pytest.mark.parametrize(
    ("steps", "expected"), [(0, []), (1, [0]), (4, [0, 1]), (11, [0, 1, 2, 3]), (12, [0, 1, 2, 3]), (30, [0, 1, 2, 3])]
)
def test_many_steps_change_the_pieces_that_they_reach(steps: int, expected: list[int]) -> None:
    buffer = with_pieces(12)
    before = buffer.state_dict()["chunks"]
    if steps:
        buffer.extend(batch_of(steps, 2, 12))
    assert changed(before, buffer.state_dict()["chunks"]) == expected


def test_steps_around_the_end_change_the_last_and_the_first_piece() -> None:
    buffer = with_pieces(11)
    before = buffer.state_dict()["chunks"]
    buffer.extend(batch_of(2, 2, 11))
    assert changed(before, buffer.state_dict()["chunks"]) == [0, 3]


@needs_trees
def test_drawing_and_learning_change_no_piece() -> None:
    buffer = filled("prioritized", steps=20)
    before = buffer.state_dict()["chunks"]
    learn(buffer)
    assert changed(before, buffer.state_dict()["chunks"]) == []


def test_pieces_follow_from_the_rows_and_not_from_when_they_were_saved() -> None:
    often, once = with_pieces(5), with_pieces(5)
    for first in range(5, 25, 4):
        often.state_dict()
        for buffer in (often, once):
            buffer.extend(batch_of(4, 2, first))
    one, other = often.state_dict(), once.state_dict()
    assert [contents(piece) for piece in one.pop("chunks")] == [contents(piece) for piece in other.pop("chunks")]
    assert one == other


def test_a_piece_holds_the_filled_steps_by_dotted_names() -> None:
    (first, second) = with_pieces(4).state_dict()["chunks"]
    assert sorted(first.tensors()) == sorted(key if isinstance(key, str) else ".".join(key) for key in COLUMNS)
    assert first.tensors()["next.reward"].tolist() == [[1, 1.25], [2, 2.25], [3, 3.25]]
    assert second.tensors()["next.reward"].tolist() == [[4, 4.25]]


def test_restored_pieces_know_the_files_that_they_came_from_and_do_not_read_them() -> None:
    buffer = with_pieces(12)
    state = through_files(buffer.state_dict())
    other = make(size=24, num_envs=2)
    shrink_pieces(other, 3)
    other.load_state_dict(state)
    pieces = other.state_dict()["chunks"]
    assert [piece.fact for piece in pieces] == [piece.fact for piece in state["chunks"]]
    assert None not in [piece.fact for piece in pieces]
    assert [contents(piece) for piece in pieces] == [contents(piece) for piece in buffer.state_dict()["chunks"]]
    for piece in state["chunks"]:
        piece.tensors = None
    assert len(pieces[0].tensors()) == len(COLUMNS)
    other.extend(batch_of(1, 2, 12))
    assert [piece.fact is None for piece in other.state_dict()["chunks"]] == [True, False, False, False]


@pytest.mark.parametrize(
    ("size", "num_envs", "expected"),
    [(1_000_000, 1, 5000), (1_000_000, 8, 625), (10_000, 1, 1024), (10_000, 3, 342), (10, 1, 1024)],
)
def test_pieces_are_neither_tiny_nor_too_many(size: int, num_envs: int, expected: int) -> None:
    assert make(size=size, num_envs=num_envs).ring.piece_steps == expected


def test_rows_are_read_one_piece_at_a_time() -> None:
    """No more than one other piece is in memory when one is read."""
    buffer = with_pieces(12)
    state = through_files(buffer.state_dict())
    alive: list[int] = []

    class Counted(dict[str, torch.Tensor]):
        def __init__(self, tensors: dict[str, torch.Tensor]) -> None:
            super().__init__(tensors)
            alive.append(id(self))

        def __del__(self) -> None:
            alive.remove(id(self))

    most = []

    def counting(piece: Piece) -> Piece:
        def tensors() -> dict[str, torch.Tensor]:
            most.append(len(alive))
            return Counted(read())

        read = piece.tensors
        return Piece(tensors)

    state["chunks"] = [counting(piece) for piece in state["chunks"]]
    other = make(size=24, num_envs=2)
    shrink_pieces(other, 3)
    other.load_state_dict(state)
    assert max(most) <= 1


def test_rows_of_another_buffer_are_refused() -> None:
    state = with_pieces(12).state_dict()
    with pytest.raises(ValueError, match="12 saved steps do not fit into a replay buffer of 5"):
        make(size=10, num_envs=2).load_state_dict(state)
    other = make(size=12, num_envs=1)
    shrink_pieces(other, 3)
    with pytest.raises(ValueError, match=r"the saved rows have no observation of torch\.float32 \[3, 1, 2\]"):
        other.load_state_dict(state)


# -- without the rows


@pytest.mark.parametrize("name", BOTH)
def test_a_buffer_without_its_rows_starts_empty_and_fills_up(name: str) -> None:
    buffer = filled(name, steps=20, size=100, batch_size=8)
    buffer.include_content = False
    state = through_files(buffer.state_dict())
    assert (state["chunks"], state["rows"], state.get("priorities")) == (None, 20, None)
    other = make(name, size=100, batch_size=8)
    with pytest.warns(UserWarning, match="^the replay buffer starts empty: its rows were not saved$"):
        other.load_state_dict(state)
    assert (len(other), other.ready) == (0, False)
    other.extend(batch_of(7))
    assert not other.ready
    other.extend(batch_of(1, first=7))
    assert other.ready
    assert {row for sub_batch in other.sample(50) for row in sub_batch["index"].tolist()} == set(range(8))


def test_it_waits_for_no_more_than_it_had() -> None:
    buffer = filled(steps=3, size=100, batch_size=8)
    buffer.include_content = False
    other = make(size=100, batch_size=8)
    with pytest.warns(UserWarning, match="starts empty"):
        other.load_state_dict(buffer.state_dict())
    other.extend(batch_of(2))
    assert not other.ready
    other.extend(batch_of(1, first=2))
    assert other.ready


@needs_trees
def test_rows_that_are_left_behind() -> None:
    """A checkpoint read without its pieces has None in the place of each."""
    buffer = filled("prioritized", steps=20, size=100, batch_size=8)
    learn(buffer)
    state = {**buffer.state_dict(), "chunks": [None]}
    other = make("prioritized", size=100, batch_size=8)
    with pytest.warns(UserWarning, match="^the replay buffer starts empty: its rows are left behind$"):
        other.load_state_dict(state)
    assert (len(other), other.ready, other.highest) == (0, False, buffer.highest)
    assert other.tree.query(0, other.capacity) == 0


@pytest.mark.parametrize("include", [True, False])
def test_filling_up_goes_on_over_another_stop(include: bool) -> None:
    buffer = filled(steps=20, size=100, batch_size=8)
    buffer.include_content = False
    other, third = make(size=100, batch_size=8), make(size=100, batch_size=8)
    with pytest.warns(UserWarning, match="starts empty"):
        other.load_state_dict(buffer.state_dict())
    other.extend(batch_of(3))
    other.include_content = include
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        third.load_state_dict(through_files(other.state_dict()))
    assert len(warned) == (not include)
    third.extend(batch_of(4, first=3))
    assert not third.ready
    third.extend(batch_of(1 if include else 4, first=7))
    assert third.ready


def test_a_buffer_that_had_no_rows_is_ready_without_a_warning() -> None:
    for include in (True, False):
        buffer, other = make(), make()
        buffer.include_content = include
        other.load_state_dict(through_files(buffer.state_dict()))
        assert other.ready
        assert len(other) == 0


# -- rows of a smaller buffer


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("steps", [5, 12, 19])
def test_a_larger_buffer_takes_the_rows_in_the_order_of_their_age(name: str, steps: int) -> None:
    buffer, other = make(name, size=24, num_envs=2), make(name, size=60, num_envs=2)
    shrink_pieces(buffer, 3)
    shrink_pieces(other, 4)
    buffer.extend(batch_of(steps, 2))
    if name == "prioritized":
        buffer.tree[np.arange(len(buffer))] = 1.0 + np.arange(len(buffer))
    kept = min(steps, 12)
    other.load_state_dict(through_files(buffer.state_dict()))
    assert (len(other), other.ring.total) == (2 * kept, kept if steps > 12 else steps)
    expected = np.roll(buffer.ring.arrays[OBSERVATION][:kept], -(steps % 12) if steps > 12 else 0, axis=0)
    assert np.array_equal(other.ring.arrays[OBSERVATION][:kept], expected)
    if name == "prioritized":
        before, after = buffer.tree[np.arange(2 * kept)], other.tree[np.arange(2 * kept)]
        assert np.array_equal(after, np.roll(before, -2 * (steps % 12) if steps > 12 else 0))
    # What comes next stands behind the newest, and its pieces are those of a buffer that was always as large.
    other.extend(batch_of(1, 2, first=steps))
    again = make(name, size=60, num_envs=2)
    shrink_pieces(again, 4)
    again.load_state_dict(through_files(other.state_dict()))
    assert np.array_equal(again.ring.arrays[OBSERVATION], other.ring.arrays[OBSERVATION])
