"""What torchrl's loop has besides: further points, another way of calling optimizer hooks, names to ask by."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from rlrecipe.lazy import torch
from rlrecipe.loop.loop import Loop
from rlrecipe.loop.points import POINTS, Category, Op, Registered

#: Further points, under torchrl's names: all of a batch's updates are one epoch.
FURTHER: Mapping[str, Category] = {
    "setup": "operation",
    "pre_epoch_log": "logging",
    "pre_epoch": "data",
    "post_epoch_log": "logging",
    "post_epoch": "operation",
    "shutdown": "operation",
}


class AsTorchRL(Loop):
    """A loop that hooks written for ``torchrl.trainers.Trainer`` work on."""

    categories: ClassVar[Mapping[str, Category]] = {**POINTS, **FURTHER}
    #: Whether the bound is on the joint norm of gradients, or on each of their numbers.
    clip_grad_norm: bool = True

    def train(self) -> None:
        """Run the loop between the hooks at setup and those at shutdown, which are called after an error, too."""
        self._operate("setup")
        try:
            super().train()
        finally:
            self._operate("shutdown")

    def _before_updates(self, batch: Any) -> Any:
        self._log("pre_epoch_log", batch)
        return self._data("pre_epoch", batch)

    def _after_updates(self, batch: Any) -> None:
        self._log("post_epoch_log", batch)
        self._operate("post_epoch")

    def _read(self, point: str, op: Op, arguments: Mapping[str, Any]) -> Registered:
        """A hook; torchrl's at the point optimizer are told how to clip and by what, and their place."""
        hook = super()._read(point, op, arguments)
        if point != "optimizer" or "clip_grad_norm" not in _parameters(op):
            return hook
        place = len(self.points.ops["optimizer"])

        def call(losses: Any, clip_norm: float | None, index: int, **named: Any) -> None:
            op(losses, self.clip_grad_norm and clip_norm is not None, clip_norm, place, **named)

        return replace(hook, op=call, backward=None)

    def _has_state(self, owner: Any) -> bool:
        """Whether a hook has a state; torchrl's base class has the methods, and raises in both."""
        if not super()._has_state(owner):
            return False
        try:
            owner.state_dict()
        except NotImplementedError:
            return False
        return True

    @property
    def collected_frames(self) -> int:
        """Frames so far."""
        return self.clock.frames

    @property
    def _optim_count(self) -> int:
        return self.clock.updates

    @property
    def _log_dict(self) -> dict[str, list[torch.Tensor]]:
        return {name: [value] for name, value in self.newest.items()}

    @property
    def _stop_training(self) -> bool:
        return self.ending.reason is not None

    def request_stop(self, reason: str | None = None) -> None:
        """End the run after the batch at hand."""
        self.stop(reason or "a hook asked for it")


def _parameters(op: Op) -> Mapping[str, Any]:
    """Parameters of a hook by name; none of one that has no signature."""
    try:
        return inspect.signature(op).parameters
    except (TypeError, ValueError):
        return {}
