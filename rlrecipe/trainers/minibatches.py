"""Sub-batches of an on-policy batch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from rlrecipe.interfaces import Algorithm, Batch


class Minibatches:
    """Gathers the rows of each update from the newest batch, in the order that the algorithm asks for."""

    def __init__(self, algorithm: Algorithm, rng: np.random.Generator) -> None:
        self.algorithm, self.rng = algorithm, rng
        self._rows: Batch = {}
        self._order: Iterator[np.ndarray] = iter(())

    def begin(self, batch: Batch) -> None:
        """Start a new order over the rows of a batch ``[T, N, ...]``."""
        self._rows = {
            key: tensor.reshape(-1, *tensor.shape[2:]) for key, tensor in batch.items() if key in self.algorithm.reads
        }
        frames = len(next(iter(self._rows.values())))
        self._order = self.algorithm.sub_batches(frames, self.rng)

    def take(self) -> Batch:
        """The next sub-batch ``[B, ...]``."""
        index = torch.from_numpy(next(self._order))
        return {key: tensor.index_select(0, index.to(tensor.device)) for key, tensor in self._rows.items()}
