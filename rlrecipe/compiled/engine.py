"""An update's gradients and steps by packages, each made when it is first needed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from rlrecipe.compiled import package
from rlrecipe.compiled.cache import Cache, key
from rlrecipe.compiled.fingerprint import UntraceableError, fingerprint
from rlrecipe.interfaces import Batch, Key, Scalars
from rlrecipe.update import Eager, Part, gradient, step

#: A package's run, and which of a function's tensors it takes.
Program = tuple[package.Run, list[int]]


class Compiled(Eager):
    """Packages for the sub-batches that come first; others, and what cannot be compiled, stay eager.

    Args:
        path: where packages are kept.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self._programs: dict[tuple[str, str], Program | None] = {}
        #: Of each part's gradient: what sub-batches must look like, and the names of its reports.
        self._kinds: dict[str, list[Any]] = {}
        self._metrics: dict[str, list[str]] = {}

    def gradient(self, part: Part, batch: Batch, inputs: Scalars) -> tuple[torch.Tensor, torch.Tensor, Scalars]:
        """Flat gradient of a part's loss, the loss, and what to report; nothing changes."""
        place, kind = (part.name, "gradient"), [(k, t.shape, t.stride(), t.dtype) for k, t in batch.items()]
        vectors = [part.parameters.flat, *([part.copies.flat] if part.copies is not None else [])]
        tensors = [*vectors, *inputs.values(), *batch.values()]
        if place not in self._programs:
            function, names = gradient_function(part, list(inputs), list(batch))
            self._programs[place] = self._program(f"the gradient of {part.name}", function, tensors)
            self._metrics[part.name], self._kinds[part.name] = names, kind
        program = self._programs[place]
        # A package hardly looks at what it is given.
        if program is None or kind != self._kinds[part.name]:
            return super().gradient(part, batch, inputs)
        run, used = program
        flat, value, *metrics = run([tensors[i] for i in used])
        return flat, value, dict(zip(self._metrics[part.name], metrics, strict=True))

    def apply(self, part: Part, gradient: torch.Tensor, clip_norm: float | None) -> None:
        """Clip a gradient and move a part's stretch and the optimizer's state by it, in place."""
        tensors = [part.flat, gradient, part.lr, *part.state.values()]
        place = (part.name, f"step within {clip_norm}")
        if place not in self._programs:
            function = step_function(part, clip_norm)
            self._programs[place] = self._program(f"the step of {part.name}", function, tensors)
        program = self._programs[place]
        if program is None:
            super().apply(part, gradient, clip_norm)
        else:
            run, used = program
            run([tensors[i] for i in used])

    def _program(self, what: str, function: Callable[..., Any], tensors: Sequence[torch.Tensor]) -> Program | None:
        """The package of a function, from the cache or newly made; None where it stays eager."""
        try:
            operations, used = fingerprint(function, tensors)
            found = self._package(what, only(function, tensors, used), operations, [tensors[i] for i in used])
            return package.load(found), used
        except UntraceableError as error:
            self.say(f"{what} is not compiled: {error}")
        except (RuntimeError, OSError) as error:
            self.say(f"{what} is not compiled: {error}")
            self.lost(f"{what} could not be compiled on this machine")
        return None

    def _package(self, what: str, function: Any, operations: list[str], tensors: list[torch.Tensor]) -> Any:
        cache, name = Cache(self.path), key(operations, torch.get_num_threads())
        found = cache.get(name)
        if found is None:
            if package.compiler() is None:
                raise RuntimeError("there is no C++ compiler on this machine")
            self.say(f"compiling {what}; later runs find it in {self.path}")
            started, made = time.perf_counter(), cache.staging(name)
            package.build(function, tensors, made)
            found = cache.put(name, made)
            self.say(f"compiled {what} in {time.perf_counter() - started:.0f} s")
        return found


def only(function: Callable[..., Any], tensors: Sequence[torch.Tensor], used: Sequence[int]) -> Callable[..., Any]:
    """A function of the tensors that it uses; the others stay empty."""
    places = {i: place for place, i in enumerate(used)}

    def narrow(*given: torch.Tensor) -> Any:
        return function(*(given[places[i]] if i in places else each for i, each in enumerate(tensors)))

    return narrow


def gradient_function(
    part: Part, coefficients: Sequence[str], keys: Sequence[Key]
) -> tuple[Callable[..., tuple[torch.Tensor, ...]], list[str]]:
    """A part's gradient as a function of flat tensors: vectors, coefficients, batch; and what it reports.

    The names of the reports are there once the function was called.
    """
    names: list[str] = []
    parameters, copies, objective = part.parameters, part.copies, part.objective

    def function(*tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        given = iter(tensors)
        whole = parameters.over(next(given))
        targets = copies.over(next(given)).params if copies is not None else {}
        inputs: Scalars = {name: next(given) for name in coefficients}
        batch: Batch = {key: next(given) for key in keys}
        own = whole.stretch(objective.slots)
        leaves = [view.detach().requires_grad_() for view in own.views(own.flat)]
        params = {**whole.params, **own.by_slot(leaves), **targets}
        flat, value, metrics = gradient(objective.loss, params, leaves, batch, inputs)
        names[:] = metrics
        return (flat, value, *metrics.values())

    return function, names


def step_function(part: Part, clip_norm: float | None) -> Callable[..., tuple[torch.Tensor]]:
    """A part's step as a function of flat tensors: vector, gradient, rate, state."""
    optimizer, names = part.optimizer, list(part.state)

    def function(
        flat: torch.Tensor, given: torch.Tensor, lr: torch.Tensor, *state: torch.Tensor
    ) -> tuple[torch.Tensor]:
        # A rate for each element makes an optimizer spell its step out instead of calling a fused kernel.
        step(optimizer, flat, dict(zip(names, state, strict=True)), given, lr.expand_as(flat), clip_norm)
        # The compiler takes no function without a result.
        return (lr.clone(),)

    return function
