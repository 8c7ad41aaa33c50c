"""What every replay buffer has: its options, its rows, sub-batches of them, and their state."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from typing import Annotated, NamedTuple

from rlrecipe.interfaces import Batch, Key, State
from rlrecipe.lazy import np, torch
from rlrecipe.recipe.options import Options, option
from rlrecipe.recipe.slots import Slot
from rlrecipe.replay.n_step import NStep
from rlrecipe.replay.ring import REWARD, Columns, Ring
from rlrecipe.stepping.packing import Packing


class ReplayOptions(Options):
    """Base of every replay buffer's options."""

    batch_size: int = option(256, "Rows of one update's sub-batch: more give smoother, slower updates.", gt=0)
    storage: Annotated[Options, Slot("storage", default="memory")] = option(
        {"name": "memory"}, "Where the rows are kept."
    )


def bytes_of(columns: Columns, rows: int) -> int:
    """Bytes of so many rows."""
    return rows * sum(math.prod(shape) * dtype.itemsize for shape, dtype in columns.values())


class Transitions(NamedTuple):
    """What a buffer is to hold."""

    #: Shape and type of one row of each key of a batch.
    columns: Columns
    #: Environments in each batch.
    num_envs: int
    #: Steps of a return; with 1, rows are as collected.
    n_steps: int
    #: Discount of each step.
    gamma: float
    #: What learning sees of rewards, with the statistics of now; None where it sees them as they are.
    reward: Callable[[np.ndarray], np.ndarray] | None = None
    #: Keys whose rows are kept as bytes, numbers among them; sub-batches have them as they came.
    packings: Mapping[Key, Packing] | None = None
    #: Whether a state holds the rows; without them a resumed run fills the buffer anew.
    include_content: bool = True


class RingBuffer:
    """Rows of the past and sub-batches of them; what is drawn, and how, a buffer adds.

    Args:
        options: the numbers.
        held: the transitions.
        rng: the stream of draws; it is saved by whoever owns it.

    Raises:
        ValueError: the storage does not hold one step.
        OSError: the storage has too little room.
    """

    #: The row that is at row 0 since a state of a smaller, full buffer was loaded.
    moved = 0

    def __init__(self, options: ReplayOptions, held: Transitions, rng: np.random.Generator) -> None:
        storage = options.storage.component.build(options.storage)
        self.ring = Ring(held.columns, held.num_envs, storage, held.packings)
        self.rng, self.batch_size, self.include_content = rng, options.batch_size, held.include_content
        self.reward = held.reward
        seen = held.reward or np.asarray
        self.n_step = NStep(self.ring, held.n_steps, held.gamma, seen) if held.n_steps > 1 else None
        self.capacity = self.ring.steps * held.num_envs
        #: Rows that must have come in before there are updates again.
        self._refill = 0

    def __len__(self) -> int:
        return len(self.ring)

    @property
    def ready(self) -> bool:
        """False while a buffer whose rows were not saved has not filled up again."""
        return len(self.ring) >= self._refill

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays when they are full."""
        return sum(array.nbytes for array in self.ring.arrays.values())

    def extend(self, batch: Batch) -> None:
        """Take the rows of a batch ``[T, N, ...]``; keys that a row does not have are left aside.

        Raises:
            ValueError: the batch is of other environments or rows.
        """
        self.ring.extend(batch)

    def cut(self) -> None:
        """The newest step's episodes are given up: no return goes on beyond it."""
        self.ring.cut()

    def gather(self, rows: np.ndarray) -> Batch:
        """A sub-batch of rows ``[B]``, their number under "index".

        With n-step returns, what follows a row is what follows the last step of its return, the reward
        is discounted and summed, and "gamma" discounts what comes after.
        """
        last, batch = rows, dict[Key, torch.Tensor]()
        if self.n_step is not None:
            last, reward, gamma = self.n_step(rows)
            batch["gamma"] = torch.from_numpy(gamma)
        for key in self.ring.rows:
            if key == ("next", "truncated"):
                continue
            batch[key] = torch.from_numpy(self.ring.take(key, last if isinstance(key, tuple) else rows))
        if self.n_step is not None:
            batch[REWARD] = torch.from_numpy(reward)
        elif self.reward is not None:
            batch[REWARD] = torch.from_numpy(np.asarray(self.reward(batch[REWARD].numpy()), np.float32))
        batch["index"] = torch.from_numpy(rows)
        return batch

    def update_priority(self, sub_batch: Batch) -> None:
        """Rows are drawn whatever their error."""

    def refuse_empty(self) -> None:
        """Raise where a draw would fail less clearly.

        Raises:
            ValueError: there is no row.
        """
        if self.ring.total == 0:
            raise ValueError("the replay buffer is empty: there is nothing to draw from")

    def state_dict(self) -> State:
        """The rows, in pieces that stay the same while their rows do."""
        return {
            "total": self.ring.total,
            "rows": max(len(self), self._refill),
            "refill": self._refill,
            "chunks": self.ring.pieces() if self.include_content else None,
        }

    def load_state_dict(self, state: State) -> None:
        """Take the rows back, or start empty where they are not there.

        Raises:
            ValueError: the rows are of another buffer.
        """
        chunks = state["chunks"]
        if chunks is not None and None not in chunks:
            # Not yet full: as many steps as were written, whatever the rows that it waits for.
            then = min(state["total"], state["rows"] // self.ring.num_envs)
            self.moved = self.ring.load(state["total"], then, chunks) * self.ring.num_envs
            self._refill = state["refill"]
        else:
            self.ring.clear()
            self._refill = min(self.batch_size, state["rows"])
            if state["rows"]:
                why = "were not saved" if chunks is None else "are left behind"
                warnings.warn(f"the replay buffer starts empty: its rows {why}", stacklevel=2)
