"""The hook points of the training loop, and what is registered at them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any, Literal

from rlrecipe.errors import HookError

Category = Literal["data", "logging", "operation", "optimizer"]
Op = Callable[..., Any]
#: A hook, whether it reads plain mappings, and further arguments.
Registered = tuple[Op, bool, dict[str, Any]]

__all__ = [
    "CATEGORIES",
    "FURTHER",
    "POINTS",
    "Category",
    "HookError",
    "Op",
    "Points",
    "Registered",
    "keeps_batch",
    "logs_newest",
    "takes_batch",
]

#: Every point in the order of the loop, with the category of the hooks that it takes.
POINTS: Mapping[str, Category] = {
    "batch_process": "data",
    "pre_steps_log": "logging",
    "pre_optim_steps": "operation",
    "process_optim_batch": "data",
    "post_loss": "operation",
    "optimizer": "optimizer",
    "post_optim": "operation",
    "post_optim_log": "logging",
    "post_steps": "operation",
    "post_steps_log": "logging",
}
#: Further points of torchrl's loop, under its names: all of a batch's updates are one epoch.
FURTHER: Mapping[str, Category] = {
    "setup": "operation",
    "pre_epoch_log": "logging",
    "pre_epoch": "data",
    "post_epoch_log": "logging",
    "post_epoch": "operation",
    "shutdown": "operation",
}
_ALL = {**POINTS, **FURTHER}
#: What each category's hooks are called with and return.
CATEGORIES: Mapping[Category, str] = {
    "data": "takes a batch and returns it, changed",
    "logging": "takes a batch and returns a mapping to log, or None",
    "operation": "takes nothing (post_loss: the sub-batch) and returns nothing",
    "optimizer": "takes the losses, the gradient norm's bound and the update's index, and makes the step",
}


def takes_batch(op: Op) -> bool:
    """Whether a hook at process_optim_batch draws from the whole batch itself, instead of changing a sub-batch."""
    return bool(getattr(getattr(op, "__self__", op), "takes_batch", False))


def logs_newest(op: Op) -> Collection[str]:
    """Which of a logging hook's numbers a row has as they are newest, such as counters, in place of their mean."""
    names: Collection[str] = getattr(getattr(op, "__self__", op), "logs_newest", ())
    return (names,) if isinstance(names, str) else names


class Points:
    """The hooks of one trainer, by point, in the order of their registration."""

    def __init__(self) -> None:
        self.ops: dict[str, list[Registered]] = {point: [] for point in _ALL}
        #: Whether the bound is on the joint norm of gradients, or on each of their numbers.
        self.clip_by_norm = True

    @property
    def show_batches(self) -> bool:
        """Whether a hook may be shown a batch."""
        return any(self.ops[point] for point, category in _ALL.items() if category in ("data", "logging"))

    def add(self, point: str, op: Op, arguments: dict[str, Any]) -> None:
        """Register ``op`` at ``point``.

        Raises:
            HookError: there is no such point, ``op`` cannot be called, or it declares another category.
        """
        owner = getattr(op, "__self__", op)
        name = getattr(op, "__qualname__", type(op).__name__)
        if point not in _ALL:
            raise HookError(f"no hook point is named {point!r} (hook {name}); there are: {', '.join(POINTS)}")
        category = getattr(op, "category", None) or getattr(owner, "category", None)
        if category is not None and category != _ALL[point]:
            fitting = ", ".join(p for p, c in _ALL.items() if c == category) or "none"
            raise HookError(
                f"the hook {name} declares the category {category!r}, but {point} takes {_ALL[point]!r} hooks, "
                f"each of which {CATEGORIES[_ALL[point]]}; points for {category!r}: {fitting}"
            )
        if not callable(op):
            raise HookError(f"the hook {name} at {point} cannot be called; give a function or an object with __call__")
        if point == "optimizer" and "clip_grad_norm" in _parameters(op):
            op = self._as_torchrl_calls(op)
        plain = bool(getattr(op, "reads_mapping", False) or getattr(owner, "reads_mapping", False))
        self.ops[point].append((op, plain, arguments))

    def _as_torchrl_calls(self, op: Op) -> Op:
        """An optimizer hook of torchrl's: it is told how to clip and by what, and its own place among the hooks."""
        place = len(self.ops["optimizer"])

        def call(losses: Any, clip_norm: float | None, index: int, **arguments: Any) -> None:
            op(losses, self.clip_by_norm and clip_norm is not None, clip_norm, place, **arguments)

        return call


def keeps_batch(op: Op) -> bool:
    """Whether a data hook says that it returns nothing (``-> None``): it looks at the batch, or changes it in place."""
    try:
        return inspect.signature(op).return_annotation in (None, "None")
    except (TypeError, ValueError):
        return False


def _parameters(op: Op) -> Mapping[str, Any]:
    """Parameters of a hook by name; none of one that has no signature."""
    try:
        return inspect.signature(op).parameters
    except (TypeError, ValueError):
        return {}
