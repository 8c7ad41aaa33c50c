"""Sub-batches of a replay buffer, and how many updates a batch brings."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import torch

from rlrecipe.clock import Clock
from rlrecipe.interfaces import Batch, Key, OffPolicy, Params, Prepares, ReplayBuffer, State, Transform
from rlrecipe.stepping.packing import OBSERVATIONS


class Ratio:
    """Updates for each frame once learning has started; fractions are carried over, warm-up leaves no debt.

    Args:
        starts: learning starts when the run has more frames than this; with 0 at the first batch, if that is of a
            dataset and brings no frames, too.
        per_frame: updates for each frame, or row of a dataset.
        per_batch: updates after each batch, in place of ``per_frame``.
    """

    def __init__(self, starts: int, per_frame: float | None, per_batch: int | None) -> None:
        self.starts, self.per_frame, self.per_batch = starts, per_frame, per_batch
        self.frames = self.updates = 0

    def due(self, frames: int, new: int) -> int:
        """Updates after a batch of ``new`` rows that brought the run to ``frames``."""
        if self.starts and frames <= self.starts:
            return 0
        if self.per_batch is not None:
            return self.per_batch
        self.frames += new
        # From whole counts, not from a running sum: ten times 0.1 is less than 1.
        due = math.floor(self.frames * (self.per_frame or 0.0) + 1e-9) - self.updates
        self.updates += due
        return due


class Replay:
    """Rows go into the buffer as they were observed; what is drawn is normalised with the statistics of now.

    Observations here, rewards by the buffer: an n-step return adds up what learning sees of each.

    Args:
        buffer: of past transitions.
        algorithm: says which random numbers its losses take; may prepare sub-batches.
        transforms: what stands between observations and the policy, first to last.
        ratio: how many updates there are.
        clock: frames so far.
        rng: of the losses' random numbers.
        device: where updates run.
    """

    remembers = False

    def __init__(
        self,
        buffer: ReplayBuffer,
        algorithm: OffPolicy,
        transforms: Sequence[Transform],
        ratio: Ratio,
        clock: Clock,
        rng: np.random.Generator,
        device: torch.device,
    ) -> None:
        self.buffer, self.algorithm, self.transforms, self.ratio = buffer, algorithm, transforms, ratio
        self.clock, self.rng, self.device = clock, rng, device
        self._prepare = algorithm.prepare if isinstance(algorithm, Prepares) else None
        self._params: Params = {}
        self._sub_batches: Iterator[Batch] = iter(())
        self._noise: Callable[[], dict[Key, torch.Tensor]] = dict

    def extend(self, params: Params, batch: Batch) -> None:
        """Put a batch ``[T, N, ...]`` into the buffer."""
        self.buffer.extend(batch)
        self._params = params

    def begin(self, batch: Batch) -> int:
        """Draw the sub-batches that follow a batch, and their noise, in one go each."""
        frames = batch["action"].shape[0] * batch["action"].shape[1]
        count = self.ratio.due(self.clock.frames, frames)
        if not count or not self.buffer.ready:
            return 0
        self._sub_batches = self.buffer.sample(count)
        size = self.buffer.batch_size
        drawn = self.algorithm.noise(self.rng, count * size)
        starts = iter(range(0, count * size, size))
        self._noise = lambda: _rows(drawn, next(starts), size)
        return count

    def take(self) -> Batch:
        """The next sub-batch ``[B, ...]``."""
        sub_batch = {**next(self._sub_batches), **self._noise()}
        for transform in self.transforms:
            for key in OBSERVATIONS:
                sub_batch[key] = torch.from_numpy(transform.apply(sub_batch[key].numpy()))
        if self.device.type != "cpu":
            sub_batch = {key: tensor.to(self.device) for key, tensor in sub_batch.items()}
        if self._prepare is not None:
            with torch.no_grad():
                self._prepare(self._params, sub_batch)
        return sub_batch

    def after(self, sub_batch: Batch) -> None:
        """Priorities follow the errors that the loss has written into a sub-batch."""
        self.buffer.update_priority(sub_batch)

    def cut(self) -> None:
        """Returns do not reach over given-up episodes into new ones."""
        self.buffer.cut()

    def state_dict(self) -> State:
        """Frames and updates since learning started; the buffer is saved on its own."""
        return {"frames": self.ratio.frames, "updates": self.ratio.updates}

    def load_state_dict(self, state: State) -> None:
        """Go on from a saved state."""
        self.ratio.frames, self.ratio.updates = state["frames"], state["updates"]


def _rows(drawn: Mapping[Key, np.ndarray], start: int, count: int) -> Batch:
    return {key: torch.from_numpy(numbers[start : start + count]) for key, numbers in drawn.items()}
