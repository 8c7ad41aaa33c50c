"""What updates work on: each objective with its stretch of the vector, its optimizer and rates; the target networks."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from itertools import combinations

from rlrecipe.interfaces import Objective, Optimizer, Params, Scalars, State
from rlrecipe.lazy import torch
from rlrecipe.learning.parameters import Parameters
from rlrecipe.learning.targets import Targets
from rlrecipe.learning.update import Piece, Pieces, Stop


def never(metrics: Scalars) -> bool:
    """No algorithm ends the updates."""
    return False


class Objectives:
    """An algorithm's objectives over one flat vector, and how many updates were begun.

    Args:
        objectives: taken in this order.
        parameters: the vector that they move.
        optimizer: their step.
        groups: learning rates of slots that have one of their own.
        targets: copies that follow the vector.
        clip_norm: bound on the norm of each gradient; None for no bound.
        stop: whether the algorithm ends a batch's updates, from what its first loss reports.

    Attributes:
        parts: the pieces of all objectives; another tuple once one of them computes something else.
    """

    def __init__(
        self,
        objectives: Sequence[Objective],
        parameters: Parameters,
        optimizer: Optimizer,
        groups: Mapping[str, float] | None = None,
        targets: Targets | None = None,
        clip_norm: float | None = None,
        stop: Stop = never,
    ) -> None:
        self.parameters, self.targets, self.clip_norm, self.stop = parameters, targets, clip_norm, stop
        #: Updates begun so far: what an objective's ``every`` counts.
        self.count = 0
        #: By which learning rates are multiplied.
        self.factor = 1.0
        self.parts = tuple(self._piece(objective, optimizer, groups or {}) for objective in objectives)
        self._kinds = dict[tuple[Piece, ...], Pieces]()

    def _piece(self, objective: Objective, optimizer: Optimizer, groups: Mapping[str, float]) -> Piece:
        parameters, layout = self.parameters, self.parameters.stretch(objective.slots)
        # Made once: the leaves share the vector's memory, so a step on the vector is one on each of them.
        leaves = [view.detach().requires_grad_() for view in layout.views(layout.flat)]
        named = parameters.by_slot(parameters.views(parameters.flat)) | layout.by_slot(leaves)
        params = {**parameters.joined(named), **(self.targets.params if self.targets is not None else {})}
        rate = rates(layout, optimizer.lr, groups)
        return Piece(objective, layout, leaves, params, optimizer, optimizer.init(layout.flat), rate, rate.clone())

    # -- what may be changed before the first update

    def start_from(self, parameters: Mapping[str, torch.Tensor]) -> None:
        """Take parameters over by dotted name before the first update; target networks equal them.

        Raises:
            KeyError: a name is missing.
            ValueError: a shape differs.
        """
        self.parameters.load(parameters)
        if self.targets is not None:
            self.targets.equal()

    def optimize_with(self, chosen: Collection[Piece], optimizer: Optimizer, groups: Mapping[str, float]) -> None:
        """Take the steps of some parts by another optimizer, from its beginning, at its own learning rates."""
        pieces = list[Piece]()
        for piece in self.parts:
            if piece in chosen:
                rate = rates(piece.layout, optimizer.lr, groups)
                state = optimizer.init(piece.layout.flat)
                pieces.append(replace(piece, optimizer=optimizer, state=state, rate=rate, lr=rate * self.factor))
            else:
                pieces.append(piece)
        self._change(pieces)

    def report_norms(self) -> None:
        """Report the norm of each gradient, too, from now on."""
        self._change([replace(piece, reports_norm=True) for piece in self.parts])

    def _change(self, pieces: Sequence[Piece]) -> None:
        self.parts, self._kinds = tuple(pieces), {}

    # -- updates

    @property
    def params(self) -> Params:
        """Every parameter by slot and name, those of the first objective with a gradient."""
        return self.parts[0].params

    @property
    def loss_names(self) -> list[str]:
        """Names of the losses, as hooks know them."""
        return [piece.name for piece in self.parts]

    def begin(self) -> Pieces:
        """What the next update works on."""
        if self.targets is not None:
            self.targets.before_update()
        self.count += 1
        return self._taken(self.count)

    def kinds(self) -> list[Pieces]:
        """What each kind of update that there is works on, in the order in which they come first."""
        every = [piece.objective.every for piece in self.parts]
        some = (chosen for size in range(len(every) + 1) for chosen in combinations(every, size))
        kinds = [self._taken(count) for count in sorted({math.lcm(*chosen) for chosen in some})]
        return [kind for kind in kinds if kind.objectives]

    def _taken(self, count: int) -> Pieces:
        taken = tuple([piece for piece in self.parts if count % piece.objective.every == 0])
        if taken not in self._kinds:
            self._kinds[taken] = self._pieces(taken)
        return self._kinds[taken]

    def _pieces(self, taken: Sequence[Piece]) -> Pieces:
        """Target networks follow at the end of an update that takes every objective, unless a duration says when."""
        targets = self.targets
        if targets is None or not targets.after_update or len(taken) < len(self.parts):
            return Pieces(taken, (), 1.0, self.clip_norm, self.stop)
        return Pieces(taken, targets.pairs, targets.tau, self.clip_norm, self.stop)

    def scale_lr(self, factor: float) -> None:
        """Set every learning rate to ``factor`` times what the recipe says."""
        if factor != self.factor:
            self.factor = factor
            for piece in self.parts:
                torch.mul(piece.rate, factor, out=piece.lr)

    # -- state

    def state_dict(self) -> State:
        """Parameters by name, the optimizer's state of each objective, the targets, the count."""
        return {
            "parameters": self.parameters.named(),
            "optimizer": [dict(piece.state) for piece in self.parts],
            "targets": self.targets.state_dict() if self.targets else None,
            "count": self.count,
        }

    def load_state_dict(self, state: State) -> None:
        """Copy values in; memory stays where numpy and the leaves see it."""
        with torch.no_grad():
            self.parameters.load(state["parameters"])
            for piece, saved in zip(self.parts, state["optimizer"], strict=True):
                for name, tensor in piece.state.items():
                    tensor.copy_(saved[name])
            if self.targets is not None:
                self.targets.load_state_dict(state["targets"])
        self.count = state["count"]


def rates(layout: Parameters, usual: float, groups: Mapping[str, float]) -> torch.Tensor:
    """Learning rate of a stretch: one number, or one for each element where slots have rates of their own."""
    own = {slot: groups[slot] for slot in layout.slots if slot in groups}
    if not own or (len(own) == len(layout.slots) and len(set(own.values())) == 1):
        one = next(iter(own.values()), usual)
        return torch.tensor(one, dtype=layout.flat.dtype, device=layout.flat.device)
    rate = torch.full_like(layout.flat, usual)
    for slot, lr in own.items():
        rate[slice(*layout.range(slot))] = lr
    return rate
