"""Sub-batches of the newest batch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from rlrecipe.interfaces import SEQUENCE_STEP, Batch, OnPolicy, Params, State
from rlrecipe.interfaces.abilities import Sequences
from rlrecipe.stepping.packing import Packing, unpacked


class Minibatches:
    """Gathers the rows of each update from the newest batch, in the order that the algorithm asks for.

    Args:
        algorithm: says which rows.
        rng: of their order.
        remembers: whether a memory learns from them, so that they come as sequences.
        packing: how a batch keeps observations as bytes, if it does; sub-batches have numbers.
    """

    def __init__(
        self,
        algorithm: OnPolicy,
        rng: np.random.Generator,
        *,
        remembers: bool = False,
        packing: Packing | None = None,
    ) -> None:
        self.algorithm, self.rng, self.remembers, self.packing = algorithm, rng, remembers, packing
        self._sequences = algorithm.sequences if remembers and isinstance(algorithm, Sequences) else None
        self._rows: Batch = {}
        self._order: Iterator[np.ndarray] = iter(())

    def extend(self, params: Params, batch: Batch) -> None:
        """Move a batch to where updates run, and let the algorithm add to it what they share."""
        device = next(iter(next(iter(params.values())).values())).device
        if device.type != "cpu":
            batch.update({key: tensor.to(device) for key, tensor in batch.items()})
        self.algorithm.prepare(params, batch)

    def begin(self, batch: Batch) -> int:
        """Start a new order over the rows of a batch ``[T, N, ...]``."""
        self._rows = {
            key: tensor.reshape(-1, *tensor.shape[2:]) for key, tensor in batch.items() if key in self.algorithm.reads
        }
        frames = len(next(iter(self._rows.values())))
        if self._sequences is not None:
            steps, envs = next(iter(batch.values())).shape[:2]
            self._order = self._sequences(steps, envs, self.rng)
        else:
            self._order = self.algorithm.sub_batches(frames, self.rng)
        return self.algorithm.updates_per_batch(frames)

    def take(self) -> Batch:
        """The next sub-batch ``[B, ...]``; of sequences of L steps ``[L * M, ...]``, the steps of all first."""
        rows = next(self._order)
        index = torch.from_numpy(rows.reshape(-1))
        taken: Batch = {key: tensor.index_select(0, index.to(tensor.device)) for key, tensor in self._rows.items()}
        if rows.ndim > 1:
            steps = torch.eye(len(rows), device=next(iter(taken.values())).device)
            taken[SEQUENCE_STEP] = steps.repeat_interleave(rows.shape[1], 0)
        return taken if self.packing is None else unpacked(taken, self.packing)

    def after(self, sub_batch: Batch) -> None:
        """Nothing is learned from it."""

    def cut(self) -> None:
        """Batches know nothing of each other."""

    def state_dict(self) -> State:
        """Empty: a batch is used up when it ends."""
        return {}

    def load_state_dict(self, state: State) -> None:
        """Nothing to put back."""
