"""Small replay buffers, batches whose every number says where it comes from, and a slow reference."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load, save

from rlrecipe.interfaces import Batch, Key, State
from rlrecipe.recipe.options import Options
from rlrecipe.recipe.slots import Slot
from rlrecipe.replay.base import RingBuffer, Transitions
from rlrecipe.replay.ring import Columns
from rlrecipe.replay.segment_tree import missing
from rlrecipe.state import Arrays, Piece, join, split

#: Of tests that need torchrl's compiled part, which some versions of torch do not load.
needs_trees = pytest.mark.skipif(missing() is not None, reason="torchrl's compiled part does not load")
BOTH = ("uniform", pytest.param("prioritized", marks=needs_trees))
FLOAT, BOOL = np.dtype(np.float32), np.dtype(np.bool_)
OBSERVATION, ACTION = "observation", "action"
NEXT, REWARD = ("next", "observation"), ("next", "reward")
TERMINATED, TRUNCATED = ("next", "terminated"), ("next", "truncated")
COLUMNS: Columns = {
    OBSERVATION: ((2,), FLOAT),
    ACTION: ((), np.dtype(np.int64)),
    NEXT: ((2,), FLOAT),
    REWARD: ((), FLOAT),
    TERMINATED: ((), BOOL),
    TRUNCATED: ((), BOOL),
}
GAMMA = 0.9


class Fixed:
    """A number that a test moves."""

    def __init__(self, value: Any) -> None:
        self.value = value


def options_of(name: str, size: int, batch_size: int = 4, storage: str = "memory", **more: Any) -> Options:
    value = {"name": name, "batch_size": batch_size, "storage": {"name": storage, "max_size": size}, **more}
    return Slot("replay_buffer").read(value)


def make(
    name: str = "uniform",
    size: int = 12,
    num_envs: int = 1,
    n_steps: int = 1,
    seed: int = 0,
    columns: Columns = COLUMNS,
    reward: Callable[[np.ndarray], np.ndarray] | None = None,
    **more: Any,
) -> Any:
    """A buffer as a recipe makes it."""
    options = options_of(name, size, **more)
    rng = np.random.default_rng(seed)
    buffer = options.component.build(options, Transitions(columns, num_envs, n_steps, GAMMA, reward), rng, Fixed)
    assert isinstance(buffer, RingBuffer)
    return buffer


def batch_of(
    steps: int, num_envs: int = 1, first: int = 0, ends: np.ndarray | None = None, cuts: np.ndarray | None = None
) -> Batch:
    """Steps ``first``, ``first + 1``, ...: observation (step, environment), the next one, a reward of both."""
    step, env = np.meshgrid(np.arange(first, first + steps), np.arange(num_envs), indexing="ij")
    none = np.zeros(step.shape, bool)
    arrays: dict[Key, Any] = {
        OBSERVATION: np.stack([step, env], -1).astype(np.float32),
        ACTION: 100 * step + env,
        NEXT: np.stack([step + 0.5, env], -1).astype(np.float32),
        REWARD: (step + 0.25 * env + 1).astype(np.float32),
        TERMINATED: none if ends is None else ends,
        TRUNCATED: none if cuts is None else cuts,
        ("next", "done"): none,
    }
    return {key: torch.from_numpy(np.array(array)) for key, array in arrays.items()}


@dataclass
class Reference:
    """Everything ever written, by environment; a row at a time, in plain Python."""

    steps: int
    num_envs: int
    n_steps: int
    rows: list[list[dict[Key, Any]]] = field(default_factory=list)

    def extend(self, batch: Batch) -> None:
        for step in range(len(batch[REWARD])):
            self.rows.append(
                [{key: batch[key][step, env].numpy().copy() for key in COLUMNS} for env in range(self.num_envs)]
            )

    def held(self) -> int:
        return min(len(self.rows), self.steps) * self.num_envs

    def row(self, index: int) -> dict[Key, Any]:
        slot, env = divmod(index, self.num_envs)
        now = max(step for step in range(len(self.rows)) if step % self.steps == slot)
        row = dict(self.rows[now][env])
        if self.n_steps > 1:
            reward, k, last = 0.0, 0, row
            while k < self.n_steps and now + k < len(self.rows):
                last = self.rows[now + k][env]
                reward += GAMMA**k * float(last[REWARD])
                k += 1
                if last[TERMINATED] or last[TRUNCATED]:
                    break
            row |= {NEXT: last[NEXT], TERMINATED: last[TERMINATED], REWARD: np.float32(reward)}
            row["gamma"] = np.float32(GAMMA**k)
        del row[TRUNCATED]
        row["index"] = np.int64(index)
        return row


def assert_rows(sub_batch: Batch, reference: Reference) -> None:
    """Each row of a sub-batch is what the reference says of its index."""
    for i, index in enumerate(sub_batch["index"].tolist()):
        expected = reference.row(index)
        assert sub_batch.keys() - {"priority_weight"} == expected.keys()
        for key, value in expected.items():
            given = sub_batch[key][i].numpy()
            assert (given.dtype, given.shape) == (value.dtype, value.shape), key
            # Sums in another order differ in the last digit.
            near = 1e-6 * abs(value) if key in (REWARD, "gamma") else 0
            assert (abs(np.subtract(given, value, dtype=np.float64)) <= near).all(), key


def filled(name: str = "uniform", steps: int = 20, num_envs: int = 1, **more: Any) -> Any:
    """A buffer after so many steps, with a terminated step in each ten."""
    buffer = make(name, num_envs=num_envs, **more)
    for first in range(0, steps, 5):
        count = min(5, steps - first)
        ends = np.arange(first, first + count)[:, None] % 10 == np.full((1, num_envs), 9)
        buffer.extend(batch_of(count, num_envs, first, ends))
    return buffer


def learn(buffer: Any, count: int = 3) -> list[Batch]:
    """Draw sub-batches, and give each a priority by its own draw."""
    drawn = []
    for sub_batch in buffer.sample(count):
        sub_batch["td_error"] = torch.cos(sub_batch["index"].to(torch.float32)) * len(buffer)
        buffer.update_priority(sub_batch)
        drawn.append(sub_batch)
    return drawn


def assert_same(one: Batch, other: Batch) -> None:
    """Equal bit for bit."""
    assert one.keys() == other.keys()
    for key in one:
        assert one[key].dtype == other[key].dtype
        assert one[key].numpy().tobytes() == other[key].numpy().tobytes(), key


def contents(piece: Piece) -> bytes:
    """A piece's file."""
    data: bytes = save(piece.tensors())
    return data


def through_files(state: State) -> State:
    """A state as it comes out of a checkpoint."""
    arrays: Arrays = {}
    pieces: dict[str, Piece] = {}
    tree = json.loads(json.dumps(split(state, "", arrays, pieces)))
    stored = {
        name: Piece(partial(load, contents(piece)), {"sha256": name, "bytes": 0}) for name, piece in pieces.items()
    }
    back: State = join(tree, load(save(arrays)), stored)
    return back
