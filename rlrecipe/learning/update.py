"""One update, shared by all algorithms: for each objective its gradient, clipping and optimizer step.

An algorithm gives pure losses; what turns them into new parameters stands here once. All of it reads
and writes nothing but its arguments and the flat vector, so that it can be traced and compiled without
an algorithm's file knowing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from rlrecipe.interfaces import Batch, Objective, Optimizer, Params, Scalars, State
from rlrecipe.lazy import torch
from rlrecipe.learning.parameters import Parameters
from rlrecipe.learning.targets import Targets

Loss = Callable[[Params, Batch, Scalars], tuple["torch.Tensor", Scalars]]
#: Whether an algorithm ends a batch's updates, from what its first loss reports.
Stop = Callable[[Scalars], "bool | torch.Tensor"]


@dataclass(frozen=True)
class Whole:
    """What one call has done for a whole update.

    Attributes:
        status: 0 if the update was made; -1 if the algorithm ended the updates instead; k if the gradient of the
            k-th objective was not finite, and nothing was moved from there on.
        rows: names and numbers, float32 ``[k]``, that each objective reports.
        columns: what they report for each row of the sub-batch.
    """

    status: torch.Tensor
    rows: list[tuple[tuple[str, ...], torch.Tensor]]
    columns: Scalars


def clip(gradient: torch.Tensor, max_norm: float) -> torch.Tensor:
    """The gradient scaled to a norm of at most ``max_norm``, as torch's ``clip_grad_norm_`` scales it."""
    return gradient * torch.clamp(max_norm / (torch.linalg.vector_norm(gradient) + 1e-6), max=1.0)


def gradient(
    loss: Loss, params: Params, leaves: Sequence[torch.Tensor], batch: Batch, inputs: Scalars
) -> tuple[torch.Tensor, torch.Tensor, Scalars]:
    """Flat gradient of a loss by the ``leaves`` among ``params``, the loss, and what to report. Pure."""
    value, metrics = loss(params, batch, inputs)
    gradients = torch.autograd.grad(value, leaves)
    return torch.cat([part.reshape(-1) for part in gradients]), value.detach(), metrics


def step(
    optimizer: Optimizer,
    flat: torch.Tensor,
    state: dict[str, torch.Tensor],
    gradient: torch.Tensor,
    lr: torch.Tensor,
    clip_norm: float | None,
) -> None:
    """Clip a gradient and move ``flat`` and ``state`` by it, in place; reads and writes nothing else."""
    if clip_norm is not None:
        gradient = clip(gradient, clip_norm)
    with torch.no_grad():
        optimizer.step(flat, gradient, state, lr)


class Eager:
    """How an update computes: by the pure functions above, operation by operation."""

    def gradient(self, part: Part, batch: Batch, inputs: Scalars) -> tuple[torch.Tensor, Scalars]:
        """Flat gradient of a part's loss, and what to report; nothing changes."""
        flat, value, metrics = gradient(part.objective.loss, part.params, part.leaves, batch, inputs)
        return flat, part.reports(value, metrics, flat)

    def prepare(
        self, update: Update, batch: Batch, inputs: Scalars, clip_norm: float | None, stop: Stop | None
    ) -> None:
        """Make ready for updates with sub-batches like this one; without ``stop`` they go part by part."""

    def whole(self, update: Update, parts: Sequence[Part], batch: Batch, inputs: Scalars) -> Whole | None:
        """A whole update in one call; None where it has to be taken part by part."""
        return None

    def apply(self, part: Part, gradient: torch.Tensor, clip_norm: float | None) -> None:
        """Clip a gradient and move a part's stretch and the optimizer's state by it, in place."""
        step(part.optimizer, part.flat, part.state, gradient, part.lr, clip_norm)

    def follow(self, targets: Targets) -> None:
        """Let target networks follow, in place."""
        targets.follow()


class Part:
    """One objective, the stretch of the vector that it moves, and the optimizer's state there."""

    def __init__(self, objective: Objective, parameters: Parameters, optimizer: Optimizer, engine: Eager) -> None:
        self.objective, self.parameters, self.engine = objective, parameters, engine
        #: What the target networks of its losses are views of.
        self.copies: Parameters | None = None
        self.layout = parameters.stretch(objective.slots)
        self.flat = self.layout.flat
        # Made once: the leaves share the vector's memory, so a step on the vector is one on each of them.
        self.leaves = [view.detach().requires_grad_() for view in self.layout.views(self.flat)]
        all_slots = parameters.by_slot(parameters.views(parameters.flat))
        self.params = parameters.joined({**all_slots, **self.layout.by_slot(self.leaves)})
        #: What reports and hooks call it: of several objectives each is known by what it moves first.
        self.suffix = f"_{objective.slots[0]}" if objective.slots else ""
        self.name = f"loss{self.suffix}"
        #: Told when this part computes something else than before: what was compiled for it serves no longer.
        self.touched: Callable[[], None] = lambda: None
        #: Whether the gradient's norm is reported, too.
        self.reports_norm = False
        self.optimize_with(optimizer)

    def optimize_with(self, optimizer: Optimizer) -> None:
        """Take this objective's steps by an optimizer, from its beginning, with its own learning rate."""
        self.optimizer, self.state = optimizer, optimizer.init(self.flat)
        self.rate = torch.tensor(optimizer.lr, dtype=self.flat.dtype, device=self.flat.device)
        self.lr = self.rate.clone()
        self.touched()

    def report_norm(self) -> None:
        """Report the gradient's norm, too, from now on."""
        self.reports_norm = True
        self.touched()

    def set_rates(self, groups: Mapping[str, float]) -> None:
        """Give slots a learning rate of their own."""
        slots = {part.slot for part in self.layout.parts}
        own = {slot: lr for slot, lr in groups.items() if slot in slots}
        if not own:
            return
        if slots == own.keys() and len(set(own.values())) == 1:
            self.rate.fill_(next(iter(own.values())))
        else:
            self.rate = torch.full_like(self.flat, self.optimizer.lr)
            for slot, lr in own.items():
                start, stop = self.layout.range(slot)
                self.rate[start:stop] = lr
        self.lr = self.rate.clone()

    def losses(self, batch: Batch, inputs: Scalars) -> tuple[torch.Tensor, Scalars]:
        """The loss with its graph, and what to report."""
        return self.objective.loss(self.params, batch, inputs)

    def reports(self, total: torch.Tensor, metrics: Scalars, gradient: torch.Tensor | None = None) -> Scalars:
        """What is reported of a loss: the only one's own value, too, and the norm of its gradient if that is asked."""
        reported = metrics if self.suffix else {**metrics, "total": total}
        if self.reports_norm and gradient is not None:
            reported = {**reported, f"gradient_norm{self.suffix}": torch.linalg.vector_norm(gradient)}
        return reported

    def gradient(self, batch: Batch, inputs: Scalars) -> tuple[torch.Tensor, Scalars]:
        """Flat gradient of the loss, and what to report; nothing changes."""
        return self.engine.gradient(self, batch, inputs)

    def apply(self, gradient: torch.Tensor, clip_norm: float | None) -> None:
        """Clip the gradient and move the stretch and the optimizer's state by it, in place."""
        self.engine.apply(self, gradient, clip_norm)


class Update:
    """The updates of one flat vector: the pure functions above, with what they work on.

    Args:
        objectives: taken in this order.
        parameters: the vector that they move.
        optimizer: the step.
        groups: learning rates of slots that have one of their own.
        targets: copies that follow the vector.
        engine: how it computes.
    """

    def __init__(
        self,
        objectives: Sequence[Objective],
        parameters: Parameters,
        optimizer: Optimizer,
        groups: Mapping[str, float] | None = None,
        targets: Targets | None = None,
        engine: Eager | None = None,
    ) -> None:
        self.parameters, self.targets, self.engine = parameters, targets, engine or Eager()
        self.parts = [Part(objective, parameters, optimizer, self.engine) for objective in objectives]
        #: Updates begun so far: what an objective's ``every`` counts.
        self.count = 0
        #: By which learning rates are multiplied.
        self.factor = 1.0
        #: Rises when a part is changed; a package is of one version.
        self.version = 0
        for part in self.parts:
            part.touched = self._touch
            part.set_rates(groups or {})
            if targets is not None:
                part.copies = targets.copies
                part.params.update(targets.params)

    def start_from(self, parameters: Mapping[str, torch.Tensor]) -> None:
        """Take parameters over by dotted name before the first update; target networks equal them.

        Raises:
            KeyError: a name is missing.
            ValueError: a shape differs.
        """
        self.parameters.load(parameters)
        if self.targets is not None:
            self.targets.equal()

    @property
    def params(self) -> Params:
        """Every parameter by slot and name, those of the first objective with a gradient."""
        return self.parts[0].params

    @property
    def loss_names(self) -> list[str]:
        """Names of the losses, as hooks know them."""
        return [part.name for part in self.parts]

    def _touch(self) -> None:
        self.version += 1

    def begin(self) -> list[Part]:
        """The objectives of the next update."""
        if self.targets is not None:
            self.targets.before_update()
        self.count += 1
        return self._taken(self.count)

    def _taken(self, count: int) -> list[Part]:
        return [part for part in self.parts if count % part.objective.every == 0]

    def kinds(self) -> list[list[Part]]:
        """The objectives of each kind of update that there is, in the order in which they come first."""
        every = [part.objective.every for part in self.parts]
        some = (chosen for size in range(len(every) + 1) for chosen in combinations(every, size))
        kinds = [self._taken(count) for count in sorted({math.lcm(*chosen) for chosen in some})]
        return [kind for kind in kinds if kind]

    def whole(self, parts: Sequence[Part], batch: Batch, inputs: Scalars) -> Whole | None:
        """All from the first gradient to ``end`` in one call; None where the engine cannot."""
        return self.engine.whole(self, parts, batch, inputs)

    def end(self, taken: Sequence[Part]) -> None:
        """After the last objective's step."""
        if (targets := self.following(taken)) is not None:
            self.engine.follow(targets)

    def following(self, taken: Sequence[Part]) -> Targets | None:
        """The target networks, if they follow at the end of an update that took these objectives."""
        whole = len(taken) == len(self.parts)
        return self.targets if whole and self.targets is not None and self.targets.after_update else None

    def scale_lr(self, factor: float) -> None:
        """Set every learning rate to ``factor`` times what the recipe says."""
        if factor != self.factor:
            self.factor = factor
            for part in self.parts:
                torch.mul(part.rate, factor, out=part.lr)

    def state_dict(self) -> State:
        """Parameters by name, the optimizer's state of each objective, the targets, the count."""
        return {
            "parameters": self.parameters.named(),
            "optimizer": [dict(part.state) for part in self.parts],
            "targets": self.targets.state_dict() if self.targets else None,
            "count": self.count,
        }

    def load_state_dict(self, state: State) -> None:
        """Copy values in; memory stays where numpy and the leaves see it."""
        with torch.no_grad():
            self.parameters.load(state["parameters"])
            for part, saved in zip(self.parts, state["optimizer"], strict=True):
                for name, tensor in part.state.items():
                    tensor.copy_(saved[name])
            if self.targets is not None:
                self.targets.load_state_dict(state["targets"])
        self.count = state["count"]
