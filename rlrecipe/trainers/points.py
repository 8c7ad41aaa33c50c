"""The ten hook points of the training loop, and what is registered at them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from rlrecipe.errors import Refusal

Category = Literal["data", "logging", "operation", "optimizer"]
Op = Callable[..., Any]

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
#: What each category's hooks are called with and return.
CATEGORIES: Mapping[Category, str] = {
    "data": "takes a batch and returns it, changed",
    "logging": "takes a batch and returns a mapping to log, or None",
    "operation": "takes nothing (post_loss: the sub-batch) and returns nothing",
    "optimizer": "takes the losses, the gradient norm's bound and the update's index, and makes the step",
}


class HookError(Refusal, ValueError):
    """A hook was registered where it cannot work.

    Attributes:
        path: where it stands in the recipe, if it comes from one.
    """

    exit_code = 3
    path: tuple[str | int, ...] = ("hooks",)


class Points:
    """The hooks of one trainer, by point, in the order of their registration."""

    def __init__(self) -> None:
        self.ops: dict[str, list[tuple[Op, bool, dict[str, Any]]]] = {point: [] for point in POINTS}

    def add(self, point: str, op: Op, arguments: dict[str, Any]) -> None:
        """Register ``op`` at ``point``.

        Raises:
            HookError: there is no such point, ``op`` cannot be called, it declares another category, or
                the point has its one optimizer already.
        """
        owner = getattr(op, "__self__", op)
        name = getattr(op, "__qualname__", type(op).__name__)
        if point not in POINTS:
            raise HookError(f"no hook point is named {point!r} (hook {name}); there are: {', '.join(POINTS)}")
        if not callable(op):
            raise HookError(f"the hook {name} at {point} cannot be called; give a function or an object with __call__")
        category = getattr(op, "category", None) or getattr(owner, "category", None)
        if category is not None and category != POINTS[point]:
            fitting = ", ".join(p for p, c in POINTS.items() if c == category) or "none"
            raise HookError(
                f"the hook {name} declares the category {category!r}, but {point} takes {POINTS[point]!r} hooks, "
                f"each of which {CATEGORIES[POINTS[point]]}; points for {category!r}: {fitting}"
            )
        if point == "optimizer" and self.ops[point]:
            raise HookError(f"the point optimizer has a hook already; {name} would be a second one")
        plain = bool(getattr(op, "reads_mapping", False) or getattr(owner, "reads_mapping", False))
        self.ops[point].append((op, plain, arguments))
