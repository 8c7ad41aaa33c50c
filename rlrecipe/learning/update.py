"""One update, shared by all algorithms: for each objective its gradient, guard, clip and step; then the targets.

An algorithm gives pure losses; what turns them into new parameters stands here once, as functions that read and write
nothing but their arguments. So ``update`` is called as it is, or traced and compiled (``learning/compiled``), without
an algorithm's file knowing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from rlrecipe.interfaces import Batch, Objective, Optimizer, Params, Scalars
from rlrecipe.lazy import torch
from rlrecipe.learning.parameters import Parameters

#: Whether an algorithm ends a batch's updates, from what its first loss reports.
Stop: TypeAlias = "Callable[[Scalars], bool | torch.Tensor]"
#: 0 if the update was made; -1 if the algorithm ended the updates instead; k if the gradient of the k-th objective was
#: not finite, and nothing was moved from there on.
Status: TypeAlias = "int | torch.Tensor"
#: Each copy and the vector that it follows.
Pairs: TypeAlias = "Sequence[tuple[torch.Tensor, torch.Tensor]]"


@dataclass(frozen=True, eq=False)
class Piece:
    """One objective, the stretch of the vector that it moves, and the optimizer's state there.

    Attributes:
        objective: its loss, the slots that it moves, and how often.
        layout: the stretch of these slots; its ``flat`` is what a step moves.
        leaves: views of the stretch that carry gradients.
        params: every parameter by slot and name, the leaves among them.
        optimizer: its step.
        state: the optimizer's.
        rate: learning rate as the recipe says it, one number or one for each element of the stretch.
        lr: the rate times the schedule's factor.
        reports_norm: whether the norm of the gradient is reported, too.
    """

    objective: Objective
    layout: Parameters
    leaves: Sequence[torch.Tensor]
    params: Params
    optimizer: Optimizer
    state: dict[str, torch.Tensor]
    rate: torch.Tensor
    lr: torch.Tensor
    reports_norm: bool = False

    @property
    def flat(self) -> torch.Tensor:
        """What a step moves."""
        return self.layout.flat

    @property
    def suffix(self) -> str:
        """Ending of its names: of several objectives each is known by what it moves first."""
        return f"_{self.objective.slots[0]}" if self.objective.slots else ""

    @property
    def name(self) -> str:
        """What reports and hooks call its loss."""
        return f"loss{self.suffix}"


@dataclass(frozen=True, eq=False)
class Pieces:
    """What an update works on.

    Attributes:
        objectives: in the order in which they are taken.
        pairs: target networks and what they follow, if they follow at the end of this update.
        tau: share of the way that they go.
        clip_norm: bound on the norm of each gradient; None for no bound.
        stop: whether the algorithm ends the updates instead.
    """

    objectives: Sequence[Piece]
    pairs: Pairs
    tau: float
    clip_norm: float | None
    stop: Stop


@dataclass(frozen=True)
class Report:
    """What an objective reports: numbers with their names, float32 ``[len(names)]``, and columns ``[B]`` by name."""

    names: tuple[str, ...]
    numbers: torch.Tensor | None
    columns: Scalars


# -- the steps of an update


def gradient(piece: Piece, batch: Batch, inputs: Scalars) -> tuple[torch.Tensor, Scalars]:
    """Flat gradient of an objective's loss, and what to report."""
    value, metrics = piece.objective.loss(piece.params, batch, inputs)
    flat = torch.cat([part.reshape(-1) for part in torch.autograd.grad(value, piece.leaves)])
    return flat, named(piece, value.detach(), metrics, flat)


def named(piece: Piece, value: torch.Tensor, metrics: Scalars, flat: torch.Tensor | None = None) -> Scalars:
    """What is reported of a loss: the only one's value, too, and its gradient's norm if that is asked."""
    reported = metrics if piece.objective.slots else {**metrics, "total": value}
    if piece.reports_norm and flat is not None:
        reported = {**reported, f"gradient_norm{piece.suffix}": torch.linalg.vector_norm(flat)}
    return reported


def report(metrics: Scalars) -> Report:
    """Metrics as a report: what has no dimension is a number."""
    numbers, columns = dict[str, torch.Tensor](), dict[str, torch.Tensor]()
    for name, metric in metrics.items():
        (columns if metric.dim() else numbers)[name] = metric.detach()
    row = torch.stack([number.to(torch.float32) for number in numbers.values()]) if numbers else None
    return Report(tuple(numbers), row, columns)


def finite(gradient: torch.Tensor) -> bool:
    """Whether all of a gradient is finite: a NaN or an infinity anywhere makes the sum one. Reads one number back."""
    return math.isfinite(float(gradient.sum()))


def guard(status: Status, k: int, gradient: torch.Tensor, metrics: Scalars, stop: Stop) -> Status:
    """What becomes of an update after its k-th gradient; the first objective's metrics may end the updates."""
    if not finite(gradient):
        return k
    return -1 if k == 1 and stop(metrics) else status


def clip(gradient: torch.Tensor, max_norm: float | None) -> torch.Tensor:
    """The gradient scaled to a norm of at most ``max_norm``, as torch's ``clip_grad_norm_`` scales it."""
    if max_norm is None:
        return gradient
    return gradient * torch.clamp(max_norm / (torch.linalg.vector_norm(gradient) + 1e-6), max=1.0)


def step(piece: Piece, gradient: torch.Tensor, clip_norm: float | None, fine: bool | torch.Tensor = True) -> None:
    """Clip a gradient and move the piece's stretch and the optimizer's state by it, in place.

    ``fine`` is for steps that are traced, where nobody can look at the guard's answer; here it is true.
    """
    with torch.no_grad():
        piece.optimizer.step(piece.layout.flat, clip(gradient, clip_norm), piece.state, piece.lr)


def follow(pairs: Pairs, tau: float, fine: bool | torch.Tensor = True) -> None:
    """Polyak update of target networks by ``tau``, in place."""
    with torch.no_grad():
        for copy, followed in pairs:
            copy.lerp_(followed, tau) if tau < 1 else copy.copy_(followed)


@dataclass(frozen=True)
class Steps:
    """What an update is made of: the functions above, or the same in native code."""

    gradient: Callable[[Piece, Batch, Scalars], tuple[torch.Tensor, Scalars]] = gradient
    guard: Callable[[Status, int, torch.Tensor, Scalars, Stop], Status] = guard
    step: Callable[[Piece, torch.Tensor, float | None, bool | torch.Tensor], None] = step
    follow: Callable[[Pairs, float, bool | torch.Tensor], None] = follow


EAGER = Steps()
#: How updates are taken: by ``update``, or by the packages made of it.
Taken: TypeAlias = "Callable[[Pieces, Batch, Scalars], tuple[Status, list[Report]]]"


# -- the update


def update(pieces: Pieces, batch: Batch, inputs: Scalars, steps: Steps = EAGER) -> tuple[Status, list[Report]]:
    """Move what the pieces are views of by a sub-batch ``[B, ...]``; each objective sees what the one before moved.

    Args:
        pieces: what is moved, in place.
        batch: what is learned from.
        inputs: scheduled numbers.
        steps: what it is made of.

    Returns:
        What became of it, and what each objective reports.
    """
    status: Status = 0
    reports = list[Report]()
    for k, piece in enumerate(pieces.objectives, 1):
        flat, metrics = steps.gradient(piece, batch, inputs)
        reports.append(report(metrics))
        status = steps.guard(status, k, flat, metrics, pieces.stop)
        if (fine := status == 0) is False:
            return status, reports
        steps.step(piece, flat, pieces.clip_norm, fine)
    steps.follow(pieces.pairs, pieces.tau, status == 0)
    return status, reports


def split_update(
    pieces: Pieces, batch: Batch, inputs: Scalars, between: Callable[[Report], None], steps: Steps = EAGER
) -> tuple[Status, list[Report]]:
    """The same update, with ``between`` called between the first gradient and its step, for hooks at post_loss."""

    def watched(status: Status, k: int, flat: torch.Tensor, metrics: Scalars, stop: Stop) -> Status:
        status = steps.guard(status, k, flat, metrics, stop)
        if k == 1 and status == 0:
            between(report(metrics))
        return status

    return update(pieces, batch, inputs, Steps(steps.gradient, watched, steps.step, steps.follow))


def hooked_update(
    pieces: Pieces,
    batch: Batch,
    inputs: Scalars,
    between: Callable[[Report], None],
    optimize: Callable[[dict[str, torch.Tensor]], None],
) -> int:
    """An update whose steps hooks at optimizer take: ``optimize`` is given every loss with its graph."""
    losses, metrics = dict[str, torch.Tensor](), dict[str, torch.Tensor]()
    for piece in pieces.objectives:
        losses[piece.name], reported = piece.objective.loss(piece.params, batch, inputs)
        metrics |= named(piece, losses[piece.name].detach(), reported)
    if pieces.stop(metrics):
        return -1
    between(report(metrics))
    optimize(losses)
    follow(pieces.pairs, pieces.tau)
    return 0
