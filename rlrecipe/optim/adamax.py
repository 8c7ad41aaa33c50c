"""Adamax: Adam with the infinity norm (Kingma and Ba, 2015, section 7)."""

from __future__ import annotations

from rlrecipe.interfaces import Optimizer
from rlrecipe.lazy import torch
from rlrecipe.optim.adam import AdamOptions
from rlrecipe.optim.base import counted, learning_rate, penalized, unmoved
from rlrecipe.recipe.options import option
from rlrecipe.recipe.registry import register


class AdamaxOptions(AdamOptions):
    """Adam whose steps are scaled by the largest gradient of late instead of the mean square."""

    lr: float = learning_rate(2e-3)
    eps: float = option(1e-8, "Added to the size of each gradient.", ge=0)


class Adamax:
    """Adamax on one flat vector, algorithm 2 of the paper."""

    def __init__(self, options: AdamaxOptions) -> None:
        self.lr, (self.beta1, self.beta2) = options.lr, options.betas
        self.eps, self.weight_decay = options.eps, options.weight_decay

    def init(self, flat: torch.Tensor) -> dict[str, torch.Tensor]:
        """Zero moment and norm."""
        return unmoved(flat, "exp_avg", "exp_inf")

    def step(
        self, flat: torch.Tensor, gradient: torch.Tensor, state: dict[str, torch.Tensor], lr: torch.Tensor
    ) -> None:
        """Move ``flat`` against ``gradient``, in place."""
        gradient = penalized(flat, gradient, self.weight_decay)
        step = counted(state)
        state["exp_avg"].lerp_(gradient, 1 - self.beta1)
        largest = torch.maximum(state["exp_inf"] * self.beta2, gradient.abs().add_(self.eps))
        state["exp_inf"].copy_(largest)
        flat.sub_(state["exp_avg"].div(largest).mul_(lr / (1 - self.beta1**step)))


@register("optimizer", "adamax")
def make_adamax(options: AdamaxOptions) -> Optimizer:
    """Adamax with the given options."""
    return Adamax(options)
