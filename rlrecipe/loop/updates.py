"""One update after another: gradients, the hooks between them, and the optimizer's steps."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from rlrecipe.interfaces import Algorithm, Batch, Scalars
from rlrecipe.learning.update import Eager, Part, Stop, Update, Whole
from rlrecipe.loop.averages import Averages
from rlrecipe.loop.guard import check_gradient, diverged
from rlrecipe.loop.points import HookError, Points, Registered
from rlrecipe.loop.tensordicts import to_tensordict


class Updates:
    """Takes updates: in one call where no hook stands between gradient and step, else part by part.

    Args:
        update: what is moved.
        algorithm: says when a batch's updates end before their time.
        after: takes each sub-batch with what the loss has written into it.
        points: the hooks.
        losses: means of what the losses report.
        inputs: the algorithm's schedulable numbers as they stand.
        clip_norm: bound on the joint norm of each gradient; None for no bound.
    """

    def __init__(
        self,
        update: Update,
        algorithm: Algorithm,
        after: Callable[[Batch], None],
        points: Points,
        losses: Averages,
        inputs: Scalars,
        clip_norm: float | None,
    ) -> None:
        self.update, self.algorithm, self.after, self.points = update, algorithm, after, points
        self.losses, self.inputs, self.clip_norm = losses, inputs, clip_norm
        #: Whether a hook stood at post_loss, and the update's version, when it was made ready.
        self._ready: tuple[bool, int] | None = None
        #: Seconds that went into getting ready: compiling, or finding what was compiled.
        self.preparing = 0.0

    def take(self, sub_batch: Batch, j: int) -> bool:
        """Make update ``j`` of a batch; False if the algorithm ends the batch's updates instead.

        Raises:
            Diverged: a gradient is not finite.
        """
        ops = self.points.ops
        if not ops["optimizer"] and self._ready != (wanted := (bool(ops["post_loss"]), self.update.version)):
            self._prepare(sub_batch, None if ops["post_loss"] else self.algorithm.stop)
            self._ready = wanted
        parts = self.update.begin()
        if not ops["post_loss"] and not ops["optimizer"]:
            whole = self.update.whole(parts, sub_batch, self.inputs)
            if whole is not None:
                return self._took(whole, parts, sub_batch)
        losses = self._losses(parts, sub_batch) if ops["optimizer"] else self._first(parts, sub_batch)
        if losses is None:
            return False
        self.after(sub_batch)
        for hook in ops["post_loss"]:
            given = sub_batch if hook.declares.reads_mapping else to_tensordict(sub_batch, False)
            hook.op(given, **hook.arguments)
        self._optimize(parts, losses, sub_batch, j)
        self.update.end(parts)
        return True

    def _prepare(self, sub_batch: Batch, stop: Stop | None) -> None:
        begun = time.monotonic()
        self.update.engine.prepare(self.update, sub_batch, self.inputs, self.clip_norm, stop)
        self.preparing += time.monotonic() - begun

    def _took(self, whole: Whole, parts: Sequence[Part], sub_batch: Batch) -> bool:
        """Account for an update in one call."""
        status = int(whole.status)
        if status > 0:
            part = parts[status - 1]
            # Nothing of this part was moved: once more, operation by operation, to say what it was.
            check_gradient(*Eager().gradient(part, sub_batch, self.inputs), part.layout)
            raise diverged(f"the gradient of {part.name}")
        if status < 0:
            return False
        for names, row in whole.rows:
            self.losses.add_row(names, row)
        sub_batch.update(whole.columns)
        self.after(sub_batch)
        return True

    def _first(self, parts: Sequence[Part], sub_batch: Batch) -> torch.Tensor | None:
        """The gradient of the first objective, ready for its step, or None where the algorithm ends the updates."""
        gradient, metrics = self._gradient(parts[0], sub_batch)
        if self.algorithm.stop(metrics):
            return None
        self._report(metrics, sub_batch)
        return gradient

    def _losses(self, parts: Sequence[Part], sub_batch: Batch) -> dict[str, torch.Tensor] | None:
        """Every loss with its graph, for an optimizer hook, or None where the algorithm ends the updates."""
        losses, reported = dict[str, torch.Tensor](), dict[str, torch.Tensor]()
        for part in parts:
            loss, metrics = part.losses(sub_batch, self.inputs)
            losses[part.name] = loss
            reported |= part.reports(loss.detach(), metrics)
        if self.algorithm.stop(reported):
            return None
        self._report(reported, sub_batch)
        return losses

    def _gradient(self, part: Part, sub_batch: Batch) -> tuple[torch.Tensor, Scalars]:
        gradient, metrics = part.gradient(sub_batch, self.inputs)
        check_gradient(gradient, metrics, part.layout)
        return gradient, metrics

    def _report(self, metrics: Scalars, sub_batch: Batch) -> None:
        """Numbers go to the row's means, what has a dimension to the sub-batch."""
        sub_batch.update({name: value for name, value in metrics.items() if value.dim()})
        self.losses.add({name: value for name, value in metrics.items() if not value.dim()})

    def _optimize(self, parts: Sequence[Part], losses: Any, sub_batch: Batch, j: int) -> None:
        if hooks := self.points.ops["optimizer"]:
            self._optimize_by(hooks, losses, j)
            return
        parts[0].apply(losses, self.clip_norm)
        for part in parts[1:]:
            gradient, metrics = self._gradient(part, sub_batch)
            self._report(metrics, sub_batch)
            part.apply(gradient, self.clip_norm)

    def _optimize_by(self, hooks: Sequence[Registered], losses: Mapping[str, torch.Tensor], j: int) -> None:
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
                hook.op(given, self.clip_norm, j, **hook.arguments)
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
