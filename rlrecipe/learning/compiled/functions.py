"""An update's computations as functions of flat tensors, which is what can be traced."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from rlrecipe.interfaces import Batch, Key, Scalars
from rlrecipe.learning.compiled.fingerprint import UntraceableError
from rlrecipe.learning.compiled.trace import apart
from rlrecipe.learning.parameters import TARGET, Parameters
from rlrecipe.learning.targets import Targets
from rlrecipe.learning.update import Part, Stop, Update, gradient, step

Function = Callable[..., tuple[torch.Tensor, ...]]


def only(function: Callable[..., Any], tensors: Sequence[torch.Tensor], used: Sequence[int]) -> Callable[..., Any]:
    """A function of the tensors that it uses; the others stay empty."""
    places = {i: place for place, i in enumerate(used)}

    def narrow(*given: torch.Tensor) -> Any:
        return function(*(given[places[i]] if i in places else each for i, each in enumerate(tensors)))

    return narrow


@dataclass
class Reports:
    """Names of what a part's loss reports, once its function was called: of numbers, and of columns."""

    numbers: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()

    def pack(self, metrics: Scalars) -> list[torch.Tensor]:
        """Numbers as a row, if there are any, then columns."""
        self.numbers = tuple(name for name, metric in metrics.items() if not metric.dim())
        self.columns = tuple(name for name, metric in metrics.items() if metric.dim())
        row = [torch.stack([metrics[name].detach().to(torch.float32) for name in self.numbers])] if self.numbers else []
        return [*row, *(metrics[name].detach() for name in self.columns)]

    def unpack(self, tensors: Iterator[torch.Tensor]) -> tuple[torch.Tensor, Scalars]:
        """Row and columns again, the first of ``tensors``."""
        row = next(tensors) if self.numbers else torch.empty(0)
        return row, {name: next(tensors) for name in self.columns}


class Gradient:
    """The gradient of a part as a function of flat tensors.

    Args:
        part: whose.
        coefficients: names of the scheduled numbers.
        keys: of a sub-batch.

    Attributes:
        reports: what its loss reports, once the function was called.
    """

    def __init__(self, part: Part, coefficients: Sequence[str], keys: Sequence[Key]) -> None:
        self.part, self.coefficients, self.keys, self.reports = part, coefficients, keys, Reports()
        parameters, copies = part.parameters, part.copies
        self.others = {slot: parameters.stretch((slot,)) for slot in parameters.slots if slot not in part.layout.slots}
        self.others |= {slot: copies.stretch((slot,)) for slot in copies.slots} if copies is not None else {}
        #: What the function takes before coefficients and batch: the part's own stretch, and every other slot.
        self.tensors = [part.flat, *(other.flat for other in self.others.values())]

    def __call__(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Flat gradient and reports."""
        given = iter(tensors)
        own = self.part.layout.over(next(given))
        others = {
            slot: named for other in self.others.values() for slot, named in other.over(next(given)).params.items()
        }
        inputs: Scalars = {name: next(given) for name in self.coefficients}
        batch: Batch = {key: next(given) for key in self.keys}
        leaves = [view.detach().requires_grad_() for view in own.views(own.flat)]
        params = self.part.parameters.joined({**others, **own.by_slot(leaves)})
        flat, value, metrics = gradient(self.part.objective.loss, params, leaves, batch, inputs)
        return (flat, *self.reports.pack(self.part.reports(value, metrics, flat)))


def alone(one: Gradient) -> Function:
    """A gradient as a whole program."""
    return lambda *tensors: tuple(apart(one, "gradient", *tensors))


def step_function(part: Part, clip_norm: float | None) -> Function:
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


def follow_function(targets: Targets) -> Function:
    """Following as a function of flat tensors: each copy, and what it follows."""

    def function(*tensors: torch.Tensor) -> tuple[torch.Tensor]:
        for copy, followed in zip(tensors[::2], tensors[1::2], strict=True):
            copy.copy_(targets.moved(copy, followed))
        return (tensors[0][:1].clone(),)

    return function


class WholeUpdate:
    """An update from its first gradient to its targets as one function of flat tensors; what it moves, it writes.

    Nothing is written of an objective whose gradient is not finite, and of what comes after it. Each gradient is a
    part of the program for itself, as it is one alone: it has the same bits.

    Args:
        update: whose.
        parts: which objectives it takes.
        clip_norm: bound on each gradient's norm.
        stop: whether the algorithm ends the updates instead.
        coefficients: names of the scheduled numbers.
        keys: of a sub-batch.

    Raises:
        UntraceableError: two objectives move the same parameters.
    """

    def __init__(
        self,
        update: Update,
        parts: Sequence[Part],
        clip_norm: float | None,
        stop: Stop,
        coefficients: Sequence[str],
        keys: Sequence[Key],
    ) -> None:
        self.update, self.parts, self.clip_norm, self.stop = update, parts, clip_norm, stop
        self.gradients = [Gradient(part, coefficients, keys) for part in parts]
        moved = [part.layout for part in update.parts]
        slots = [slot for layout in moved for slot in layout.slots]
        if len(set(slots)) < len(slots):
            raise UntraceableError("two objectives move the same parameters")
        rest = [slot for slot in update.parameters.slots if slot not in slots]
        copies = update.targets.copies if update.targets is not None else None
        #: The vectors in disjoint pieces, so that each is written where it lies: those that objectives move come first.
        self.pieces = [*moved, *(update.parameters.stretch((slot,)) for slot in rest)]
        self.pieces += [copies.stretch((slot,)) for slot in copies.slots] if copies is not None else []
        states = [tensor for part in parts for tensor in (part.lr, *part.state.values())]
        #: What the function takes before coefficients and batch.
        self.tensors = [*(piece.flat for piece in self.pieces), *states]

    def __call__(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Status and the parts' reports."""
        given = iter(tensors)
        pieces = [piece.over(next(given)) for piece in self.pieces]
        steps = [(next(given), {name: next(given) for name in part.state}) for part in self.parts]
        shared = list(given)
        status, packed = torch.zeros((), device=pieces[0].flat.device), list[torch.Tensor]()
        writes = list[tuple[torch.Tensor, torch.Tensor]]()
        for k, (part, one, (lr, state)) in enumerate(zip(self.parts, self.gradients, steps, strict=True), 1):
            place, vectors = self.update.parts.index(part), _vectors(pieces)
            own = pieces[place].flat
            flat, *reports = apart(one, f"gradient{k}", own, *(vectors[slot] for slot in one.others), *shared)
            packed += reports
            status = self._status(k, status, flat, one.reports.unpack(iter(reports)))
            moved = self._step(part, own, flat, state, lr, status == 0)
            writes += zip((own, *state.values()), moved, strict=True)
            pieces[place] = pieces[place].over(moved[0])
        writes += self._follow(_vectors(pieces), status == 0)
        for old, new in writes:
            old.copy_(new)
        return (status, *packed)

    def _status(
        self, k: int, status: torch.Tensor, gradient: torch.Tensor, reports: tuple[torch.Tensor, Scalars]
    ) -> torch.Tensor:
        """What becomes of the update after the k-th gradient."""
        # As in check_gradient: a NaN or an infinity anywhere makes the sum one.
        status = torch.where((status == 0) & ~torch.isfinite(gradient.sum()), float(k), status)
        row, columns = reports
        metrics = {**dict(zip(self.gradients[k - 1].reports.numbers, row.unbind(), strict=True)), **columns}
        if k == 1 and (ends := self.stop(metrics)) is not False:
            status = torch.where((status == 0) & ends, -1.0, status)
        return status

    def _step(
        self,
        part: Part,
        flat: torch.Tensor,
        given: torch.Tensor,
        state: dict[str, torch.Tensor],
        lr: torch.Tensor,
        fine: torch.Tensor,
    ) -> list[torch.Tensor]:
        """What vector and state become."""
        vector, moments = flat.clone(), {name: tensor.clone() for name, tensor in state.items()}
        step(part.optimizer, vector, moments, given, lr.expand_as(flat), self.clip_norm)
        after, before = (vector, *moments.values()), (flat, *state.values())
        return [torch.where(fine, new, old) for new, old in zip(after, before, strict=True)]

    def _follow(
        self, vectors: Mapping[str, torch.Tensor], fine: torch.Tensor
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """What the copies become, if they follow."""
        targets = self.update.following(self.parts)
        if targets is None:
            return
        for slot in targets.copies.slots:
            copy = vectors[slot]
            yield copy, torch.where(fine, targets.moved(copy, vectors[slot.removeprefix(TARGET)]), copy)


def _vectors(pieces: Sequence[Parameters]) -> dict[str, torch.Tensor]:
    """Every slot's stretch of the pieces."""
    return {slot: piece.flat[slice(*piece.range(slot))] for piece in pieces for slot in piece.slots}
