"""Adagrad (Duchi, Hazan and Singer, 2011)."""

from __future__ import annotations

from rlrecipe.interfaces import Optimizer
from rlrecipe.lazy import torch
from rlrecipe.optim.base import OptimizerOptions, penalized
from rlrecipe.recipe.options import option
from rlrecipe.recipe.registry import register


class AdagradOptions(OptimizerOptions):
    """Gradient steps divided by the root of all squared gradients so far: they only get smaller."""

    lr: float = option(1e-2, "Learning rate of the first steps.", ge=0)
    lr_decay: float = option(0.0, "After t steps the rate is divided by 1 + t times this.", ge=0)
    initial_accumulator_value: float = option(0.0, "Sum of squares before the first step; larger damps it.", ge=0)
    eps: float = option(1e-10, "Added to the denominator.", ge=0)
    weight_decay: float = option(0.0, "L2 penalty, added to the gradient.", ge=0)


class Adagrad:
    """Adagrad on one flat vector."""

    def __init__(self, options: AdagradOptions) -> None:
        self.lr, self.lr_decay, self.eps = options.lr, options.lr_decay, options.eps
        self.first, self.weight_decay = options.initial_accumulator_value, options.weight_decay

    def init(self, flat: torch.Tensor) -> dict[str, torch.Tensor]:
        """The sum of squares that the options give."""
        return {
            "sum": torch.full_like(flat, self.first),
            "step": torch.zeros((), dtype=torch.float32, device=flat.device),
        }

    def step(
        self, flat: torch.Tensor, gradient: torch.Tensor, state: dict[str, torch.Tensor], lr: torch.Tensor
    ) -> None:
        """Move ``flat`` against ``gradient``, in place."""
        gradient = penalized(flat, gradient, self.weight_decay)
        size = lr / (1 + state["step"] * self.lr_decay)
        state["step"].add_(1)
        state["sum"].addcmul_(gradient, gradient)
        flat.sub_(gradient.div(state["sum"].sqrt().add_(self.eps)).mul_(size))


@register("optimizer", "adagrad")
def make_adagrad(options: AdagradOptions) -> Optimizer:
    """Adagrad with the given options."""
    return Adagrad(options)
