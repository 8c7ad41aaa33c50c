"""What optimizers of torch really do, counted from outside of a library."""

from __future__ import annotations

from collections import Counter
from typing import Any

from benchmarks.peers.meter import Counts


class Steps:
    """Counts every step of every optimizer of this process, and the rows it was taken on."""

    def __init__(self) -> None:
        from torch.optim.optimizer import register_optimizer_step_post_hook

        self.counts: Counter[Any] = Counter()
        self.sizes: Counter[int] = Counter()
        self.rows = 0
        register_optimizer_step_post_hook(self._stepped)

    def watch(self, module: Any) -> None:
        """Take the rows of a step from the last input of ``module`` before it."""
        module.register_forward_pre_hook(self._called)

    @property
    def updates(self) -> int:
        """Steps of the optimizer that stepped most often."""
        return max(self.counts.values(), default=0)

    @property
    def minibatch(self) -> int:
        """Rows of a step.

        Raises:
            RuntimeError: steps had different numbers of rows.
        """
        if len(self.sizes) != 1:
            raise RuntimeError(f"steps had different numbers of rows: {dict(self.sizes)}")
        return next(iter(self.sizes))

    @property
    def parameters(self) -> int:
        """Numbers that the optimizers learned."""
        groups = [group for optimizer in self.counts for group in optimizer.param_groups]
        return sum({parameter: parameter.numel() for group in groups for parameter in group["params"]}.values())

    def counted(self, frames: int, differs: str | None = None) -> Counts:
        """All of it, of a run of so many frames."""
        return Counts(frames, self.updates, self.minibatch, self.parameters, differs)

    def _called(self, _: Any, inputs: tuple[Any, ...]) -> None:
        self.rows = len(inputs[0])

    def _stepped(self, optimizer: Any, *_: Any) -> None:
        self.counts[optimizer] += 1
        self.sizes[self.rows] += 1
