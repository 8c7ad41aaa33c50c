"""The newest steps of some environments, as rows of preallocated arrays."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

from rlrecipe.interfaces import Batch, Key
from rlrecipe.lazy import np, torch
from rlrecipe.replay.storages.base import Storage
from rlrecipe.state import Piece
from rlrecipe.stepping.packing import Packing

#: Shape and type of one row of each key.
Columns: TypeAlias = "Mapping[Key, tuple[tuple[int, ...], np.dtype[Any]]]"
REWARD: Key = ("next", "reward")
#: Rows of a piece at least, and pieces at most: files neither tiny nor too many.
PIECE_ROWS, PIECES = 1024, 200


class Ring:
    """Steps ``[steps, N, ...]``; each new step takes the oldest one's place.

    A step's slot is its count modulo ``steps``; row ``slot * N + i`` is its row of environment i.

    Args:
        columns: what a row holds.
        num_envs: N.
        storage: gives the arrays.
        packings: of keys whose rows are kept as bytes.

    Raises:
        ValueError: the storage holds no step.
        OSError: the storage has too little room.
    """

    def __init__(
        self, columns: Columns, num_envs: int, storage: Storage, packings: Mapping[Key, Packing] | None = None
    ) -> None:
        self.columns, self.packings = columns, packings or {}
        self.num_envs, self.steps = num_envs, storage.max_size // num_envs
        if self.steps == 0:
            raise ValueError(f"a storage of {storage.max_size} rows cannot hold one step of {num_envs} environments")
        self.arrays = {
            key: storage.allocate((self.steps, num_envs, *shape), np.dtype(dtype))
            for key, (shape, dtype) in kept_columns(columns, self.packings).items()
        }
        #: The same memory by rows, ``[steps * N, ...]``.
        self.rows = {key: array.reshape(self.steps * num_envs, *array.shape[2:]) for key, array in self.arrays.items()}
        #: Steps written so far, those that were overwritten included.
        self.total = 0
        rows = max(PIECE_ROWS, math.ceil(self.steps * num_envs / PIECES))
        self.piece_steps = math.ceil(rows / num_envs)
        self._pieces: list[Piece] = []
        #: ``total`` when the pieces were made.
        self._cut = 0

    def __len__(self) -> int:
        return min(self.total, self.steps) * self.num_envs

    def extend(self, batch: Batch) -> None:
        """Write the steps of a batch ``[T, N, ...]`` after the newest one; of too many, the newest.

        Raises:
            ValueError: the batch is of other environments or rows.
        """
        steps, n = batch[REWARD].shape[:2]
        if n != self.num_envs:
            raise ValueError(f"a batch of {n} environments cannot go into a replay buffer of {self.num_envs}")
        if self.total == 0:
            # Once is enough: batches come from one collector. Assignment would broadcast and cast in silence.
            self._check(batch, steps)
        since, self.total = self.total, self.total + steps
        first = max(0, steps - self.steps)
        for start, stop in self.spans(since):
            last = first + stop - start
            for key, array in self.arrays.items():
                given = batch[key].numpy()[first:last]
                if key in self.packings:
                    self.packings[key].pack(given, array[start:stop])
                else:
                    array[start:stop] = given
            first = last

    def take(self, key: Key, rows: np.ndarray) -> np.ndarray:
        """A key's rows ``[B, ...]`` of rows ``[B]``, as batches have them."""
        # numpy's take: a quarter faster than torch's index_select for sub-batches of this size.
        taken: np.ndarray = self.rows[key].take(rows, axis=0)
        return self.packings[key].unpack(taken) if key in self.packings else taken

    def cut(self) -> None:
        """Let the newest step be the last of its episodes."""
        if self.total == 0:
            return
        ended, cut = (self.arrays["next", flag][(self.total - 1) % self.steps] for flag in ("terminated", "truncated"))
        if not (ended | cut).all():
            cut[:] = ~ended
            # Its piece is another one now.
            self._cut = min(self._cut, self.total - 1)

    def spans(self, since: int) -> list[tuple[int, int]]:
        """Ranges of slots written after ``total`` was ``since``; two where they go around the end."""
        count = min(self.total - since, self.steps)
        start = (self.total - count) % self.steps
        stop = start + count
        if stop <= self.steps:
            return [(start, stop)] if count else []
        return [(start, self.steps), (0, stop - self.steps)]

    def _check(self, batch: Batch, steps: int) -> None:
        for key, (row, dtype) in self.columns.items():
            given = batch[key].numpy()
            shape = (steps, self.num_envs, *row)
            if (given.shape, given.dtype) != (shape, dtype):
                raise ValueError(
                    f"{dotted(key)} of a batch is {given.dtype} {list(given.shape)}; "
                    f"the replay buffer takes {dtype} {list(shape)}"
                )
            if key in self.packings and not self.packings[key].holds(given):
                raise ValueError(
                    f"{dotted(key)} of a batch has pictures whose values are no bytes; the replay buffer keeps whole "
                    "numbers from 0 to 255: no hook at batch_process may scale them"
                )

    # -- pieces: what a checkpoint keeps in files of their own

    def pieces(self) -> list[Piece]:
        """The filled steps, cut into pieces; the same ones as before where nothing was written since."""
        filled, size = min(self.total, self.steps), self.piece_steps
        changed = {i for start, stop in self.spans(self._cut) for i in range(start // size, math.ceil(stop / size))}
        self._cut = self.total
        for i, start in enumerate(range(0, filled, size)):
            if i in changed:
                self._pieces[i : i + 1] = [Piece(partial(self._tensors, start, min(start + size, filled)))]
        return list(self._pieces)

    def load(self, total: int, then: int, pieces: Sequence[Piece]) -> int:
        """Take rows back, one piece after the other; those of a ring of another size in the order of their age.

        Args:
            total: steps that had been written.
            then: how many of them were kept.
            pieces: the kept ones.

        Returns:
            The slot whose step is at slot 0 now: 0 but for a full ring that became larger.

        Raises:
            ValueError: they are of another ring, or more than this one holds.
        """
        if then > self.steps:
            raise ValueError(f"{then} saved steps do not fit into a replay buffer of {self.steps}")
        oldest = total % then if total > then != self.steps else 0
        self.clear()
        size, found = self.piece_steps, list[Piece]()
        whole = not oldest
        start = 0
        for piece in pieces:
            saved = piece.tensors()
            packed = self._packed(saved)
            # Of a version that kept pictures as numbers: these rows are written anew.
            whole = whole and packed is saved
            stop = self._take(packed, start, then, oldest)
            # The file that ``piece`` reads is pruned one day.
            found.append(Piece(partial(self._tensors, start, stop), piece.fact))
            whole = whole and start % size == 0 and stop == min(start + size, then)
            start = stop
        if start != then:
            raise ValueError(f"the saved rows are {start} steps, expected {then}")
        self.total = then if oldest else total
        if whole:
            self._pieces, self._cut = found, self.total
        return oldest

    def _packed(self, saved: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Saved steps with the rows as bytes that are kept so here; themselves where nothing has to change."""
        changed = dict[str, torch.Tensor]()
        for key, packing in self.packings.items():
            rows = saved.get(dotted(key))
            if rows is None or rows.dtype != torch.float32 or rows.shape[1:] != (self.num_envs, packing.width):
                continue
            if packing.holds(rows.numpy()):
                packed = np.empty((*rows.shape[:-1], packing.size), np.uint8)
                packing.pack(rows.numpy(), packed)
                changed[dotted(key)] = torch.from_numpy(packed)
        return {**saved, **changed} if changed else saved

    def _take(self, saved: Mapping[str, torch.Tensor], start: int, then: int, oldest: int) -> int:
        """Copy saved steps, the first of which has slot ``start``; the slot after the last one."""
        own = self._tensors(0, self.steps)
        steps = len(next(iter(saved.values()), ()))
        for name, tensor in own.items():
            shape = (steps, *tensor.shape[1:])
            if name not in saved or (saved[name].shape, saved[name].dtype) != (shape, tensor.dtype):
                raise ValueError(f"the saved rows have no {name} of {tensor.dtype} {list(shape)}")
        if start + steps > then:
            raise ValueError(f"the saved rows are more than {then} steps")
        slots = (torch.arange(start, start + steps) - oldest) % then
        for name, tensor in own.items():
            if oldest:
                tensor[slots] = saved[name]
            else:
                tensor[start : start + steps].copy_(saved[name])
        return start + steps

    def clear(self) -> None:
        """Forget every row."""
        self.total = self._cut = 0
        self._pieces = []

    def _tensors(self, start: int, stop: int) -> dict[str, torch.Tensor]:
        """Slots ``[start, stop)`` by dotted key: views."""
        return {dotted(key): torch.from_numpy(array[start:stop]) for key, array in self.arrays.items()}


def kept_columns(columns: Columns, packings: Mapping[Key, Packing]) -> Columns:
    """Shape and type of each key's rows as they are kept: as bytes where there is a packing."""
    packed = {key: ((packing.size,), np.dtype(np.uint8)) for key, packing in packings.items()}
    return {**columns, **packed}


def dotted(key: Key) -> str:
    """A key as one name."""
    return key if isinstance(key, str) else ".".join(key)
