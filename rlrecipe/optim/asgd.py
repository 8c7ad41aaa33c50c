"""Averaged stochastic gradient descent (Polyak and Juditsky, 1992), with Bottou's decay of the rate."""

from __future__ import annotations

from rlrecipe.interfaces import Optimizer
from rlrecipe.lazy import torch
from rlrecipe.optim.base import OptimizerOptions, counted, penalized, unmoved
from rlrecipe.recipe.options import option
from rlrecipe.recipe.registry import register


class ASGDOptions(OptimizerOptions):
    """Gradient steps with a rate that decays, and their average kept in the checkpoint; acting does not use it."""

    lr: float = option(1e-2, "Learning rate of the first step.", ge=0)
    lambd: float = option(1e-4, "How fast rate and weights decay.", ge=0)
    alpha: float = option(0.75, "Power by which the rate decays.", ge=0)
    t0: float = option(1e6, "Steps before the average begins; until then it is the weights themselves.")
    weight_decay: float = option(0.0, "L2 penalty, added to the gradient.", ge=0)


class ASGD:
    """ASGD on one flat vector, in torch's form."""

    def __init__(self, options: ASGDOptions) -> None:
        self.lr, self.lambd, self.alpha, self.t0 = options.lr, options.lambd, options.alpha, options.t0
        self.weight_decay = options.weight_decay

    def init(self, flat: torch.Tensor) -> dict[str, torch.Tensor]:
        """No average yet, and rates that the first ones will be."""
        return unmoved(flat, "ax", "eta")

    def step(
        self, flat: torch.Tensor, gradient: torch.Tensor, state: dict[str, torch.Tensor], lr: torch.Tensor
    ) -> None:
        """Move ``flat`` against ``gradient``, in place, and the average along."""
        gradient = penalized(flat, gradient, self.weight_decay)
        eta = torch.where(state["step"] == 0, lr, state["eta"])
        mean = 1 / (state["step"] - self.t0).clamp(min=1)
        step = counted(state)
        flat.mul_(1 - self.lambd * eta).sub_(gradient * eta)
        state["ax"].lerp_(flat, mean.to(flat.dtype))
        state["eta"].copy_(lr / (1 + self.lambd * lr * step) ** self.alpha)


@register("optimizer", "asgd")
def make_asgd(options: ASGDOptions) -> Optimizer:
    """ASGD with the given options."""
    return ASGD(options)
