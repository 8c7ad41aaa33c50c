"""One update after another: gradients, the hooks between them, and the optimizer's steps."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

import torch

from rlrecipe.interfaces import Batch, Scalars
from rlrecipe.learning.objectives import Objectives
from rlrecipe.learning.update import (
    EAGER,
    Piece,
    Pieces,
    Report,
    Steps,
    Taken,
    gradient,
    hooked_update,
    split_update,
    update,
)
from rlrecipe.loop.averages import Averages
from rlrecipe.loop.guard import check_gradient, diverged
from rlrecipe.loop.points import HookError, Points, Registered
from rlrecipe.loop.tensordicts import to_tensordict


class Compiler(Protocol):
    """Makes updates native for sub-batches like one."""

    def compiled(self, objectives: Objectives, batch: Batch, inputs: Scalars) -> Taken:
        """``update`` in native code."""

    def steps(self, objectives: Objectives, batch: Batch, inputs: Scalars) -> Steps:
        """What an update is made of in native code."""


class Updates:
    """Takes updates by ``update``, or what was compiled of it.

    Where a hook stands at post_loss it is ``split_update``; where hooks at optimizer take the steps, ``hooked_update``.

    Args:
        objectives: what is moved.
        after: takes each sub-batch with what the loss has written into it.
        points: the hooks.
        losses: means of what the losses report.
        inputs: the algorithm's schedulable numbers as they stand.
        native: makes updates native; None leaves them as they are.
    """

    def __init__(
        self,
        objectives: Objectives,
        after: Callable[[Batch], None],
        points: Points,
        losses: Averages,
        inputs: Scalars,
        native: Compiler | None = None,
    ) -> None:
        self.objectives, self.after, self.points, self.losses = objectives, after, points, losses
        self.inputs, self.native = inputs, native
        self.update: Taken = update
        self.steps = EAGER
        #: Whether a hook stood at post_loss, and what was moved, when updates were made native.
        self._made: tuple[bool, tuple[Piece, ...]] | None = None
        #: Seconds that went into that: compiling, or finding what was compiled.
        self.preparing = 0.0

    def take(self, sub_batch: Batch, j: int) -> bool:
        """Make update ``j`` of a batch; False if the algorithm ends the batch's updates instead.

        Raises:
            Diverged: a gradient is not finite.
        """
        made = bool(self.points.ops["post_loss"]), self.objectives.parts
        if self.native is not None and made != self._made and not self.points.ops["optimizer"]:
            self.prepare(self.native, sub_batch)
            self._made = made
        pieces = self.objectives.begin()
        status = self._take(pieces, sub_batch, j)
        if status > 0:
            self._refuse(pieces.objectives[status - 1], sub_batch)
        return status == 0

    def prepare(self, native: Compiler, sub_batch: Batch) -> None:
        """Make updates with sub-batches like this one native, step by step where a hook stands between steps."""
        begun = time.monotonic()
        if self.points.ops["post_loss"]:
            self.steps = native.steps(self.objectives, sub_batch, self.inputs)
        else:
            self.update = native.compiled(self.objectives, sub_batch, self.inputs)
        self.preparing += time.monotonic() - begun

    def _take(self, pieces: Pieces, sub_batch: Batch, j: int) -> int:
        """Make an update as the hooks ask for, and account for what was reported."""
        ops, between = self.points.ops, partial(self._between, sub_batch)
        if ops["optimizer"]:
            optimize = partial(self._optimize_by, ops["optimizer"], j)
            return hooked_update(pieces, sub_batch, self.inputs, between, optimize)
        if ops["post_loss"]:
            status, reports = split_update(pieces, sub_batch, self.inputs, between, self.steps)
            if status == 0:
                self._report(reports[1:], sub_batch)
            return int(status)
        status, reports = self.update(pieces, sub_batch, self.inputs)
        if (status := int(status)) == 0:
            self._report(reports, sub_batch)
            self.after(sub_batch)
        return status

    def _between(self, sub_batch: Batch, report: Report) -> None:
        """What is done between the first loss and its step."""
        self._report([report], sub_batch)
        self.after(sub_batch)
        for hook in self.points.ops["post_loss"]:
            given = sub_batch if hook.declares.reads_mapping else to_tensordict(sub_batch, False)
            hook.op(given, **hook.arguments)

    def _report(self, reports: Sequence[Report], sub_batch: Batch) -> None:
        """Numbers go to the row's means, what has a dimension to the sub-batch."""
        for report in reports:
            if report.numbers is not None:
                self.losses.add_row(report.names, report.numbers)
            if report.columns:
                sub_batch.update(report.columns)

    def _refuse(self, piece: Piece, sub_batch: Batch) -> None:
        """Say what of a gradient is not finite, by taking it once more: nothing of this piece was moved.

        Raises:
            Diverged: always; it says no part where only native code had one.
        """
        check_gradient(*gradient(piece, sub_batch, self.inputs), piece.layout)
        raise diverged(f"the gradient of {piece.name}")

    def _optimize_by(self, hooks: Sequence[Registered], j: int, losses: Mapping[str, torch.Tensor]) -> None:
        """Let the optimizer hooks step; where one stepped before another's gradient, that would be another's.

        Raises:
            HookError: a hook has moved what a later one's gradient needs.
        """
        for hook in hooks:
            if hook.backward is not None:
                hook.backward(losses)
        for hook in hooks:
            given = losses if hook.declares.reads_mapping else _as_tensordict(losses)
            try:
                hook.op(given, self.objectives.clip_norm, j, **hook.arguments)
            except RuntimeError as error:
                if "modified by an inplace operation" not in str(error):
                    raise
                raise HookError(
                    f"the optimizer hook {hook.op!r} takes its gradient after another hook has stepped; use "
                    "rlrecipe.trainers.OptimizerHook for each of them, which take all gradients first"
                ) from error


def _as_tensordict(losses: Mapping[str, torch.Tensor]) -> Any:
    from tensordict import TensorDict

    return TensorDict(dict(losses), batch_size=[])
