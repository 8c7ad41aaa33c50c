"""One update, shared by all algorithms: gradient of a loss, clipping, optimizer step.

An algorithm gives a pure ``loss(params, batch, inputs)``; what turns it into new parameters stands
here once. Both halves read and write nothing but their arguments and the flat vector, so that they
can be traced and compiled without an algorithm's file knowing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rlrecipe.interfaces import Batch, Optimizer, Params, Scalars, State
from rlrecipe.lazy import torch
from rlrecipe.parameters import Parameters

Loss = Callable[[Params, Batch, Scalars], tuple["torch.Tensor", Scalars]]


def clip(gradient: torch.Tensor, max_norm: float) -> torch.Tensor:
    """The gradient scaled to a norm of at most ``max_norm``, as torch's ``clip_grad_norm_`` scales it."""
    return gradient * torch.clamp(max_norm / (torch.linalg.vector_norm(gradient) + 1e-6), max=1.0)


def leaves_of(layout: Parameters, flat: torch.Tensor) -> list[torch.Tensor]:
    """The named parts of a vector as leaves of a graph, over the vector's own memory."""
    return [view.detach().requires_grad_() for view in layout.views(flat)]


def gradient(
    loss: Loss, layout: Parameters, leaves: list[torch.Tensor], batch: Batch, inputs: Scalars
) -> tuple[torch.Tensor, torch.Tensor, Scalars]:
    """Flat gradient of a loss at the vector of ``leaves``, the loss, and what to report. Pure."""
    value, metrics = loss(layout.by_slot(leaves), batch, inputs)
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


class Update:
    """The update of one flat vector by one loss: the pure functions above, with what they work on.

    Args:
        loss: the algorithm's pure loss.
        parameters: the vector that it moves.
        optimizer: the step.
        groups: learning rates of slots that have one of their own.
    """

    def __init__(
        self,
        loss: Loss,
        parameters: Parameters,
        optimizer: Optimizer,
        groups: Mapping[str, float] | None = None,
    ) -> None:
        self.loss, self.parameters, self.optimizer = loss, parameters, optimizer
        # Made once: the leaves share the vector's memory, so a step on the vector is one on each of them.
        self.leaves = leaves_of(parameters, parameters.flat)
        self.params = parameters.by_slot(self.leaves)
        self.state = optimizer.init(parameters.flat)
        self.rate = self._rates(groups or {})
        self.lr = self.rate.clone()

    def _rates(self, groups: Mapping[str, float]) -> torch.Tensor:
        flat = self.parameters.flat
        if not groups:
            return torch.tensor(self.optimizer.lr, dtype=flat.dtype, device=flat.device)
        rates = torch.full_like(flat, self.optimizer.lr)
        for slot, lr in groups.items():
            start, stop = self.parameters.range(slot)
            rates[start:stop] = lr
        return rates

    def scale_lr(self, factor: float) -> None:
        """Set every learning rate to ``factor`` times what the recipe says."""
        torch.mul(self.rate, factor, out=self.lr)

    def losses(self, batch: Batch, inputs: Scalars) -> tuple[torch.Tensor, Scalars]:
        """The loss with its graph, and what to report."""
        return self.loss(self.params, batch, inputs)

    def gradient(self, batch: Batch, inputs: Scalars) -> tuple[torch.Tensor, torch.Tensor, Scalars]:
        """Flat gradient of the loss, the loss, and what to report; nothing changes."""
        return gradient(self.loss, self.parameters, self.leaves, batch, inputs)

    def apply(self, gradient: torch.Tensor, clip_norm: float | None) -> None:
        """Clip the gradient and move parameters and optimizer state by it, in place."""
        step(self.optimizer, self.parameters.flat, self.state, gradient, self.lr, clip_norm)

    def state_dict(self) -> State:
        """Parameters by name and the optimizer's state."""
        return {"parameters": self.parameters.named(), "optimizer": dict(self.state)}

    def load_state_dict(self, state: State) -> None:
        """Copy values in; memory stays where numpy and the leaves see it."""
        with torch.no_grad():
            self.parameters.load(state["parameters"])
            for name, tensor in self.state.items():
                tensor.copy_(state["optimizer"][name])
