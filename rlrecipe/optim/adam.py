"""Adam (Kingma and Ba, 2015)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from rlrecipe.interfaces import Optimizer
from rlrecipe.lazy import torch
from rlrecipe.optim.base import OptimizerOptions
from rlrecipe.recipe.options import option
from rlrecipe.recipe.registry import register

Beta = Annotated[float, Field(ge=0, lt=1)]


class AdamOptions(OptimizerOptions):
    """Adam: steps scaled by running moments of the gradient."""

    betas: Annotated[list[Beta], Field(min_length=2, max_length=2)] = option(
        [0.9, 0.999], "Decay of the first and the second moment."
    )
    eps: float = option(1e-8, "Added to the denominator; larger damps steps of rare gradients.", gt=0)
    weight_decay: float = option(0.0, "L2 penalty, added to the gradient.", ge=0)


class Adam:
    """Adam on one flat vector, algorithm 1 of the paper in torch's order of operations."""

    def __init__(self, options: AdamOptions) -> None:
        self.lr, (self.beta1, self.beta2) = options.lr, options.betas
        self.eps, self.weight_decay = options.eps, options.weight_decay

    def init(self, flat: torch.Tensor) -> dict[str, torch.Tensor]:
        """Zero moments. The count is float64: 1 - beta2**t loses four digits in float32."""
        return {
            "exp_avg": torch.zeros_like(flat),
            "exp_avg_sq": torch.zeros_like(flat),
            "step": torch.zeros((), dtype=torch.float64, device=flat.device),
        }

    def step(
        self, flat: torch.Tensor, gradient: torch.Tensor, state: dict[str, torch.Tensor], lr: torch.Tensor
    ) -> None:
        """Move ``flat`` against ``gradient``, in place."""
        gradient = self.decay(flat, gradient, lr)
        step = state["step"].add_(1)
        state["exp_avg"].lerp_(gradient, 1 - self.beta1)
        state["exp_avg_sq"].mul_(self.beta2).addcmul_(gradient, gradient, value=1 - self.beta2)
        size = lr / (1 - self.beta1**step)
        denominator = state["exp_avg_sq"].sqrt().div_((1 - self.beta2**step).sqrt()).add_(self.eps)
        flat.sub_(state["exp_avg"].div(denominator).mul_(size))

    def decay(self, flat: torch.Tensor, gradient: torch.Tensor, lr: torch.Tensor) -> torch.Tensor:
        """The gradient with the penalty's."""
        return gradient.add(flat, alpha=self.weight_decay) if self.weight_decay else gradient


@register("optimizer", "adam")
def make_adam(options: AdamOptions) -> Optimizer:
    """Adam with the given options."""
    return Adam(options)
