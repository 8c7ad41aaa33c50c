"""Uniform replay (Lin, 1992; Mnih et al., 2015)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from rlrecipe.interfaces import Batch, Number, ReplayBuffer
from rlrecipe.lazy import np
from rlrecipe.recipe.registry import register
from rlrecipe.recipe.values import Value
from rlrecipe.replay.base import ReplayOptions, RingBuffer, Transitions

#: Rows gathered at once: many enough to share the cost of a call, few enough for the cache.
ROWS = 2**16


class UniformOptions(ReplayOptions):
    """Every row is as likely as any other; drawn with replacement."""


class UniformReplay(RingBuffer):
    """Rows drawn evenly."""

    def sample(self, count: int) -> Iterator[Batch]:
        """Sub-batches of ``batch_size`` rows, drawn all at once; they must be used before rows come in.

        Raises:
            ValueError: the buffer is empty.
        """
        self.refuse_empty()
        rows = self.rng.integers(0, len(self.ring), (count, self.batch_size))
        return self._sub_batches(rows)

    def _sub_batches(self, rows: np.ndarray) -> Iterator[Batch]:
        """Sub-batches of rows ``[count, B]``: views of few large ones."""
        at_once = max(1, ROWS // self.batch_size)
        for first in range(0, len(rows), at_once):
            part = rows[first : first + at_once]
            batch = self.gather(part.reshape(-1))
            if len(part) == 1:
                # The whole is the sub-batch: the usual case, and views of it would only cost time.
                yield batch
                continue
            views = [tensor.view(*part.shape, *tensor.shape[1:]).unbind() for tensor in batch.values()]
            for sub_batch in zip(*views, strict=True):
                yield dict(zip(batch, sub_batch, strict=True))


@register("replay_buffer", "uniform")
def make_uniform(
    options: UniformOptions, held: Transitions, rng: np.random.Generator, number: Callable[[Value], Number]
) -> ReplayBuffer:
    """Uniform replay."""
    return UniformReplay(options, held, rng)
