"""An update and its steps as functions of flat tensors, which is what can be traced."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch

from rlrecipe.interfaces import Batch, Key, Scalars
from rlrecipe.learning.compiled.fingerprint import UntraceableError
from rlrecipe.learning.compiled.trace import apart
from rlrecipe.learning.objectives import Objectives
from rlrecipe.learning.parameters import TARGET, Parameters
from rlrecipe.learning.update import (
    Pairs,
    Piece,
    Pieces,
    Report,
    Status,
    Steps,
    Stop,
    follow,
    gradient,
    report,
    step,
    update,
)

Function = Callable[..., tuple[torch.Tensor, ...]]
Fine = bool | torch.Tensor


def only(function: Callable[..., Any], tensors: Sequence[torch.Tensor], used: Sequence[int]) -> Callable[..., Any]:
    """A function of the tensors that it uses; the others stay empty."""
    places = {i: place for place, i in enumerate(used)}

    def narrow(*given: torch.Tensor) -> Any:
        return function(*(given[places[i]] if i in places else each for i, each in enumerate(tensors)))

    return narrow


class Names:
    """Names of what an objective reports, known once its loss was called."""

    def __init__(self) -> None:
        self.numbers, self.columns = tuple[str, ...](), tuple[str, ...]()

    @property
    def count(self) -> int:
        """Tensors of a report."""
        return len(self.columns) + bool(self.numbers)

    def pack(self, reported: Report) -> list[torch.Tensor]:
        """Numbers as a row, if there are any, then columns."""
        self.numbers, self.columns = reported.names, tuple(reported.columns)
        return [*([] if reported.numbers is None else [reported.numbers]), *reported.columns.values()]

    def unpack(self, tensors: Sequence[torch.Tensor]) -> Report:
        """The report again."""
        count = 1 if self.numbers else 0
        columns = dict(zip(self.columns, tensors[count:], strict=True))
        return Report(self.numbers, tensors[0] if count else None, columns)

    def metrics(self, tensors: Sequence[torch.Tensor]) -> Scalars:
        """What the report was made of."""
        numbers = zip(self.numbers, tensors[0].unbind(), strict=True) if self.numbers else ()
        return {**dict(numbers), **self.unpack(tensors).columns}


class Gradient:
    """The gradient of a piece as a function of flat tensors.

    Args:
        objectives: whose.
        piece: of which loss.
        coefficients: names of the scheduled numbers.
        keys: of a sub-batch.

    Attributes:
        names: of what its loss reports, once the function was called.
        others: every other slot than its own.
    """

    def __init__(self, objectives: Objectives, piece: Piece, coefficients: Sequence[str], keys: Sequence[Key]) -> None:
        self.piece, self.parameters, self.coefficients, self.keys = piece, objectives.parameters, coefficients, keys
        self.names, self.others = Names(), dict[str, Parameters]()
        for vector in vectors_of(objectives):
            self.others |= {slot: vector.stretch((slot,)) for slot in vector.slots if slot not in piece.layout.slots}
        #: What the function takes before coefficients and batch: the piece's own stretch, and every other slot.
        self.tensors = [piece.layout.flat, *(other.flat for other in self.others.values())]

    def __call__(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Flat gradient and report."""
        given = iter(tensors)
        own = self.piece.layout.over(next(given))
        others = {
            slot: named for other in self.others.values() for slot, named in other.over(next(given)).params.items()
        }
        inputs: Scalars = {name: next(given) for name in self.coefficients}
        batch: Batch = {key: next(given) for key in self.keys}
        leaves = [view.detach().requires_grad_() for view in own.views(own.flat)]
        params = self.parameters.joined({**others, **own.by_slot(leaves)})
        flat, metrics = gradient(replace(self.piece, leaves=leaves, params=params), batch, inputs)
        return (flat, *self.names.pack(report(metrics)))


def alone(one: Gradient) -> Function:
    """A gradient as a whole program."""
    return lambda *tensors: tuple(apart(one, "gradient", *tensors))


def step_function(piece: Piece, clip_norm: float | None) -> Function:
    """A piece's step as a function of flat tensors: vector, gradient, rate, state."""

    def function(
        flat: torch.Tensor, given: torch.Tensor, lr: torch.Tensor, *state: torch.Tensor
    ) -> tuple[torch.Tensor]:
        step(over(piece, flat, lr, state), given, clip_norm)
        # The compiler takes no function without a result.
        return (lr.clone(),)

    return function


def over(piece: Piece, flat: torch.Tensor, lr: torch.Tensor, state: Sequence[torch.Tensor]) -> Piece:
    """A piece whose step moves other tensors."""
    layout, named = piece.layout.over(flat), dict(zip(piece.state, state, strict=True))
    # A rate for each element makes an optimizer spell its step out instead of calling a fused kernel.
    return replace(piece, layout=layout, state=named, lr=lr.expand_as(flat), leaves=(), params={})


def follow_function(pieces: Pieces) -> Function:
    """Following as a function of flat tensors: each copy, and what it follows."""

    def function(*tensors: torch.Tensor) -> tuple[torch.Tensor]:
        follow(list(zip(tensors[::2], tensors[1::2], strict=True)), pieces.tau)
        return (tensors[0][:1].clone(),)

    return function


class WholeUpdate:
    """``update`` as one function of flat tensors; what it moves, it writes.

    Each gradient is a part of the program for itself, as it is one alone: it has the same bits.

    Args:
        objectives: whose.
        pieces: of the kind of update.
        coefficients: names of the scheduled numbers.
        keys: of a sub-batch.

    Raises:
        UntraceableError: two objectives move the same parameters.
    """

    def __init__(
        self, objectives: Objectives, pieces: Pieces, coefficients: Sequence[str], keys: Sequence[Key]
    ) -> None:
        self.pieces, self.coefficients, self.keys = pieces, coefficients, keys
        self.gradients = [Gradient(objectives, piece, coefficients, keys) for piece in pieces.objectives]
        moved = [piece.layout for piece in objectives.parts]
        slots = [slot for layout in moved for slot in layout.slots]
        if len(set(slots)) < len(slots):
            raise UntraceableError("two objectives move the same parameters")
        #: The vectors in disjoint stretches, so that each is written where it lies.
        self.stretches = moved + [
            vector.stretch((slot,)) for vector in vectors_of(objectives) for slot in vector.slots if slot not in slots
        ]
        states = [tensor for piece in pieces.objectives for tensor in (piece.lr, *piece.state.values())]
        #: What the function takes before coefficients and batch.
        self.tensors = [*(stretch.flat for stretch in self.stretches), *states]

    def __call__(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Status and reports."""
        given = iter(tensors)
        stretches = [stretch.over(next(given)) for stretch in self.stretches]
        flats = {tuple(stretch.slots): stretch.flat for stretch in stretches}
        pieces = [
            over(piece, flats[tuple(piece.layout.slots)], next(given), [next(given) for _ in piece.state])
            for piece in self.pieces.objectives
        ]
        vectors = {slot: stretch.flat[slice(*stretch.range(slot))] for stretch in stretches for slot in stretch.slots}
        copies = [slot for slot in vectors if slot.startswith(TARGET)] if self.pieces.pairs else []
        pairs = [(vectors[slot], vectors[slot.removeprefix(TARGET)]) for slot in copies]
        inputs: Scalars = {name: next(given) for name in self.coefficients}
        batch: Batch = {key: next(given) for key in self.keys}

        def apart_gradient(piece: Piece, batch: Batch, inputs: Scalars) -> tuple[torch.Tensor, Scalars]:
            k = pieces.index(piece)
            one = self.gradients[k]
            others = (vectors[slot] for slot in one.others)
            flat, *reported = apart(
                one, f"gradient{k + 1}", piece.layout.flat, *others, *inputs.values(), *batch.values()
            )
            return flat, one.names.metrics(reported)

        traced = Steps(apart_gradient, guard_traced, step_if, follow_if)
        status, reports = update(replace(self.pieces, objectives=pieces, pairs=pairs), batch, inputs, traced)
        assert isinstance(status, torch.Tensor), "the guard that is traced gives one"
        packed = [one.names.pack(each) for one, each in zip(self.gradients, reports, strict=True)]
        return (status, *(tensor for tensors in packed for tensor in tensors))


def vectors_of(objectives: Objectives) -> list[Parameters]:
    """The vector of all parameters, and that of the target networks."""
    targets = objectives.targets
    return [objectives.parameters, *([] if targets is None else [targets.copies])]


# -- the steps that are traced: no number is read back, and nothing is written of what comes after a gradient that is
# not finite


def guard_traced(status: Status, k: int, gradient: torch.Tensor, metrics: Scalars, stop: Stop) -> torch.Tensor:
    """What becomes of an update after its k-th gradient, as a tensor."""
    wrong = ~torch.isfinite(gradient.sum())
    after = torch.where((status == 0) & wrong, float(k), status)
    if k == 1 and (ends := stop(metrics)) is not False:
        after = torch.where((after == 0) & ends, -1.0, after)
    return after


def step_if(piece: Piece, gradient: torch.Tensor, clip_norm: float | None, fine: Fine) -> None:
    """Step, if it is fine."""
    flat, state = piece.layout.flat, piece.state.values()
    moved = over(piece, flat.clone(), piece.lr, [tensor.clone() for tensor in state])
    step(moved, gradient, clip_norm)
    write_if(fine, [(flat, moved.layout.flat), *zip(state, moved.state.values(), strict=True)])


def follow_if(pairs: Pairs, tau: float, fine: Fine) -> None:
    """Follow, if it is fine."""
    moved = [(copy.clone(), followed) for copy, followed in pairs]
    follow(moved, tau)
    write_if(fine, [(copy, new) for (copy, _), (new, _) in zip(pairs, moved, strict=True)])


def write_if(fine: Fine, pairs: Pairs) -> None:
    """Write what each tensor becomes into it, if it is fine."""
    assert isinstance(fine, torch.Tensor), "the guard that is traced gives one"
    for old, new in pairs:
        old.copy_(torch.where(fine, new, old))
