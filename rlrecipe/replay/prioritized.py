"""Prioritised replay (Schaul et al., 2016), proportional variant."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Annotated

from rlrecipe.errors import Diverged
from rlrecipe.interfaces import Batch, Number, ReplayBuffer, State
from rlrecipe.lazy import np, torch
from rlrecipe.recipe.options import option
from rlrecipe.recipe.registry import register
from rlrecipe.recipe.traits import ReplayBufferTraits
from rlrecipe.recipe.values import Value, schedulable
from rlrecipe.replay.base import ReplayOptions, RingBuffer, Transitions
from rlrecipe.replay.segment_tree import missing, sum_tree, tree_bytes


class PrioritizedOptions(ReplayOptions):
    """Rows that surprised the value network come more often; new ones come first."""

    alpha: float = option(0.6, "How much the error counts: 0 draws evenly, 1 in proportion to it.", ge=0, le=1)
    beta: Annotated[Value, schedulable(0, 1)] = option(
        0.4, "How far weights make up for rows that come more often: 1 all the way, where it usually ends."
    )
    eps: float = option(1e-8, "Added to every error, so that no row is never drawn.", gt=0)


class PrioritizedReplay(RingBuffer):
    """Rows drawn by their last error.

    P(i) = p_i / sum(p) with p_i = (|td_error| + eps)**alpha, equation 1 of the paper; a row that was
    not drawn yet has the highest |td_error| + eps so far.

    Args:
        options: the numbers.
        held: the transitions.
        rng: the stream of draws.
        beta: the exponent of the weights.

    Raises:
        ImportError: torchrl's compiled part does not load.
    """

    def __init__(self, options: PrioritizedOptions, held: Transitions, rng: np.random.Generator, beta: Number) -> None:
        super().__init__(options, held, rng)
        self.alpha, self.eps, self.beta = options.alpha, options.eps, beta
        self.tree, self.highest = sum_tree(self.capacity), 1.0

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays and the tree."""
        return super().nbytes + 2 * self.tree.capacity * 8

    def extend(self, batch: Batch) -> None:
        """Take the rows of a batch ``[T, N, ...]`` at the highest priority so far.

        Raises:
            ValueError: the batch is of other environments or rows.
        """
        since = self.ring.total
        super().extend(batch)
        for start, stop in self.ring.spans(since):
            self.tree[np.arange(start * self.ring.num_envs, stop * self.ring.num_envs)] = self.highest**self.alpha

    def sample(self, count: int) -> Iterator[Batch]:
        """Sub-batches of ``batch_size`` rows with a ``priority_weight`` each, drawn when asked for.

        Raises:
            ValueError: the buffer is empty.
        """
        self.refuse_empty()
        return (self._draw() for _ in range(count))

    def _draw(self) -> Batch:
        """One sub-batch; its weights are (len * P(i))**-beta over the largest, section 3.4 of the paper."""
        mass = self.rng.random(self.batch_size) * self.tree.query(0, self.capacity)
        # Rounding may lead past the last row, to one that is not there yet.
        rows = np.minimum(self.tree.scan_lower_bound(mass), len(self.ring) - 1)
        priority = self.tree[rows]
        batch = self.gather(rows)
        # len and the sum cancel out, and the largest weight is that of the lowest priority.
        weight = (priority / priority.min()) ** -self.beta.value
        batch["priority_weight"] = torch.from_numpy(weight.astype(np.float32))
        return batch

    def update_priority(self, sub_batch: Batch) -> None:
        """Set the priority of the rows in "index" by "td_error" ``[B]``; of a row that is there twice, the last.

        Raises:
            Diverged: an error is not finite.
        """
        error = sub_batch["td_error"].detach().cpu().numpy().reshape(-1)
        priority = np.abs(error.astype(np.float64)) + self.eps
        top = float(priority.max())
        if not math.isfinite(top):
            raise Diverged("not finite: td_error; lower optimizer.lr, or set trainer.clip_norm")
        self.highest = max(self.highest, top)
        self.tree[sub_batch["index"].cpu().numpy()] = priority**self.alpha

    def state_dict(self) -> State:
        """The rows, and the leaves of the tree: its sums follow from them."""
        priorities = self.tree[np.arange(len(self))] if self.include_content else None
        return {**super().state_dict(), "priorities": priorities, "highest": self.highest}

    def load_state_dict(self, state: State) -> None:
        """Take rows and priorities back, or start empty where the rows are not there.

        Raises:
            ValueError: the rows are of another buffer.
        """
        super().load_state_dict(state)
        self.tree, self.highest = sum_tree(self.capacity), state["highest"]
        if len(self):
            self.tree[np.arange(len(self))] = np.roll(state["priorities"], -self.moved)


@register(
    "replay_buffer", "prioritized", traits=ReplayBufferTraits(probe=missing, weighted=True, index_bytes=tree_bytes)
)
def make_prioritized(
    options: PrioritizedOptions, held: Transitions, rng: np.random.Generator, number: Callable[[Value], Number]
) -> ReplayBuffer:
    """Prioritised replay; its beta follows a schedule where the recipe gives one."""
    return PrioritizedReplay(options, held, rng, number(options.beta))
