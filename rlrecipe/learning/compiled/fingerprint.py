"""Which operations a function of tensors is made of, found by doing it once: cheap enough for every start."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map


class UntraceableError(ValueError):
    """A function does something that a package cannot do."""


#: Ways in which numbers leave torch without an operation that a recorder would see.
HANDED_OUT = {"numpy", "__array__", "tolist", "__dlpack__", "data_ptr", "untyped_storage", "storage"}


class Handed(TorchFunctionMode):
    """Refuses to hand a tensor's numbers to numpy or Python: what is computed of them there would be a constant."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Call a function of torch's.

        Raises:
            UntraceableError: it hands numbers out.
        """
        # Functions of torch's have a name, some objects that are called like them have none.
        if (name := getattr(func, "__name__", "")) in HANDED_OUT:
            raise UntraceableError(f"it hands numbers out by {name}, which may be others next time")
        return func(*args, **(kwargs or {}))


class Recorder(TorchDispatchMode):
    """Notes each operation with the places of its tensors: inputs first, then results in their order.

    Args:
        inputs: tensors that the function is given.

    Attributes:
        lines: one for each operation.
        used: which inputs an operation read or wrote.
    """

    def __init__(self, inputs: Sequence[torch.Tensor]) -> None:
        TorchDispatchMode.__init__(self)
        # Kept, so that no other tensor gets the id of one that is gone.
        self._kept: list[torch.Tensor] = list(inputs)
        self._places = {id(tensor): i for i, tensor in enumerate(inputs)}
        self._inputs = len(inputs)
        self.used: set[int] = set()
        self.lines: list[str] = []

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Torch would hide this mode from its other compiler by importing that: over a second, and 150 MB."""
        return False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Do an operation and note it.

        Raises:
            UntraceableError: it draws random numbers, reads one back, or reads a tensor that nobody gave.
        """
        if torch.Tag.nondeterministic_seeded in func.tags:
            raise UntraceableError(f"{func} draws random numbers")
        if torch.Tag.data_dependent_output in func.tags:
            raise UntraceableError("it reads a number back, which may be another one next time")
        if _sized_by_numbers(func, args):
            raise UntraceableError(f"how many numbers {func} gives depends on numbers, which may be others next time")
        given = tree_map(self._place, (args, kwargs or {}))
        result = func(*args, **(kwargs or {}))
        self.lines.append(f"{func}{given} -> {tree_map(self._keep, result)}")
        return result

    def _place(self, value: Any) -> Any:
        if not isinstance(value, torch.Tensor):
            return value
        place = self._places.get(id(value))
        if place is None:
            raise UntraceableError("it reads a tensor that is neither given nor computed")
        if place < self._inputs:
            self.used.add(place)
        return f"%{place}"

    def _keep(self, value: Any) -> Any:
        if not isinstance(value, torch.Tensor):
            return value
        place = self._places.setdefault(id(value), len(self._kept))
        self._kept.append(value)
        return f"%{place}:{value.dtype}{list(value.shape)}"


def _sized_by_numbers(func: Any, args: tuple[Any, ...]) -> bool:
    if func is torch.ops.aten.index.Tensor:
        # By integers, what comes out is as long as they are.
        return any(index.dtype in (torch.bool, torch.uint8) for index in args[1] if index is not None)
    return torch.Tag.dynamic_output_shape in func.tags


def fingerprint(function: Callable[..., Any], inputs: Sequence[torch.Tensor]) -> tuple[list[str], list[int]]:
    """The operations of a function of flat tensors, as text, and which of its inputs it uses.

    The function is called with copies: what it writes is not kept.

    Raises:
        UntraceableError: it draws random numbers, reads tensors that it was not given, or reads numbers back.
    """
    copies = [tensor.detach().clone() for tensor in inputs]
    recorder = Recorder(copies)
    with Handed(), recorder:
        outputs = tree_leaves(function(*copies))
    kinds = [f"{tensor.dtype}{list(tensor.shape)}{list(tensor.stride())}" for tensor in inputs]
    results = [str(recorder._place(tensor)) for tensor in outputs]
    return [*kinds, *recorder.lines, f"return {results}"], sorted(recorder.used)
