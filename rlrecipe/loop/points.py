"""The hook points of the training loop, and what is registered at them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from types import BuiltinMethodType, MethodType
from typing import Any, Literal, Protocol, runtime_checkable

from rlrecipe.errors import HookError
from rlrecipe.interfaces import Key
from rlrecipe.lazy import torch

Category = Literal["data", "logging", "operation", "optimizer"]
Op = Callable[..., Any]

__all__ = [
    "CATEGORIES",
    "POINTS",
    "Category",
    "Declares",
    "HookError",
    "Op",
    "Points",
    "Registered",
    "declared",
]


class Declares:
    """All that a hook says of itself: its class derives from this, or the function or object has attributes so named.

    Attributes:
        category: of the points that it fits; None says nothing.
        reads_mapping: whether it takes plain mappings, time-major, in place of TensorDicts.
        takes_batch: at process_optim_batch, whether it draws from the whole batch in place of changing a sub-batch.
        logs_newest: which of a logging hook's numbers a row has as they are newest, such as counters, in place of
            their mean.
        observer: whether it neither changes what is trained nor draws random numbers.
        reward_key: the entry whose rewards it changes.
    """

    category: Category | None = None
    reads_mapping: bool = False
    takes_batch: bool = False
    logs_newest: Collection[str] = ()
    observer: bool = False
    reward_key: Key | None = None


@runtime_checkable
class TakesGradients(Protocol):
    """A hook at the point optimizer that takes its gradients before any of them steps."""

    def backward(self, losses: Mapping[str, torch.Tensor]) -> None: ...


@dataclass(frozen=True)
class Registered:
    """A hook at its point, with all that the loop asks of it.

    Attributes:
        op: is called.
        arguments: besides what the point gives it.
        declares: what it said of itself when it was registered.
        owner: the object whose method it is, or itself.
        name: what it is called in messages.
        keeps_batch: of a data hook, whether it says that it returns nothing (``-> None``): it looks at the batch, or
            changes it in place.
        backward: takes the gradients of an optimizer hook that can do so before its step.
    """

    op: Op
    arguments: Mapping[str, Any]
    declares: Declares
    owner: Any
    name: str
    keeps_batch: bool = False
    backward: Callable[[Mapping[str, torch.Tensor]], None] | None = None


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


def declared(op: Any) -> Declares:
    """What a function, a method or an object says of itself, whether its class derives from ``Declares`` or not."""
    found, owner = Declares(), _owner(op)
    for name in Declares.__annotations__:
        # Users' functions and objects need know no class of ours.
        value = getattr(op, name, None) or getattr(owner, name, None)
        if value is not None:
            setattr(found, name, (value,) if name == "logs_newest" and isinstance(value, str) else value)
    return found


class Points:
    """The hooks of one trainer, by point, in the order of their registration.

    Args:
        categories: of the hooks that each point takes.
    """

    def __init__(self, categories: Mapping[str, Category] = POINTS) -> None:
        self.categories = categories
        self.ops: dict[str, list[Registered]] = {point: [] for point in categories}

    @property
    def show_batches(self) -> bool:
        """Whether a hook may be shown a batch."""
        return any(self.ops[point] for point, category in self.categories.items() if category in ("data", "logging"))

    def add(self, point: str, op: Op, arguments: Mapping[str, Any]) -> None:
        """Register ``op`` at ``point``.

        Raises:
            HookError: as ``read`` raises it.
        """
        self.ops[point].append(self.read(point, op, arguments))

    def read(self, point: str, op: Op, arguments: Mapping[str, Any]) -> Registered:
        """All that is asked of a hook for a point.

        Raises:
            HookError: there is no such point, ``op`` cannot be called, or it declares another category.
        """
        # Objects and partial functions have no name of their own.
        name: str = getattr(op, "__qualname__", type(op).__name__)
        if point not in self.categories:
            raise HookError(f"no hook point is named {point!r} (hook {name}); there are: {', '.join(POINTS)}")
        declares = declared(op)
        category, taken = declares.category, self.categories[point]
        if category is not None and category != taken:
            fitting = ", ".join(p for p, c in self.categories.items() if c == category) or "none"
            raise HookError(
                f"the hook {name} declares the category {category!r}, but {point} takes {taken!r} hooks, "
                f"each of which {CATEGORIES[taken]}; points for {category!r}: {fitting}"
            )
        if not callable(op):
            raise HookError(f"the hook {name} at {point} cannot be called; give a function or an object with __call__")
        owner = _owner(op)
        backward = op.backward if isinstance(op, TakesGradients) else None
        return Registered(op, arguments, declares, owner, name, _keeps_batch(op), backward)


def _owner(op: Any) -> Any:
    # Only a bound method has one.
    return op.__self__ if isinstance(op, MethodType | BuiltinMethodType) else op


def _keeps_batch(op: Op) -> bool:
    try:
        return inspect.signature(op).return_annotation in (None, "None")
    except (TypeError, ValueError):
        return False
