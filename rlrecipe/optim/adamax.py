"""Adamax: Adam with the infinity norm (Kingma and Ba, 2015, section 7)."""

from __future__ import annotations

from rlrecipe.interfaces import Optimizer
from rlrecipe.lazy import torch
from rlrecipe.optim.adam import AdamOptions
from rlrecipe.recipe.options import option
from rlrecipe.recipe.registry import register


class AdamaxOptions(AdamOptions):
    """Adam whose steps are scaled by the largest gradient of late instead of the mean square."""

    lr: float = option(2e-3, "Learning rate: higher learns faster and breaks sooner.", ge=0)
    eps: float = option(1e-8, "Added to the size of each gradient.", ge=0)


class Adamax:
    """Adamax on one flat vector, algorithm 2 of the paper."""

    def __init__(self, options: AdamaxOptions) -> None:
        self.lr, (self.beta1, self.beta2) = options.lr, options.betas
        self.eps, self.weight_decay = options.eps, options.weight_decay

    def init(self, flat: torch.Tensor) -> dict[str, torch.Tensor]:
        """Zero moment and norm."""
        return {
            "exp_avg": torch.zeros_like(flat),
            "exp_inf": torch.zeros_like(flat),
            "step": torch.zeros((), dtype=torch.float32, device=flat.device),
        }

    def step(
        self, flat: torch.Tensor, gradient: torch.Tensor, state: dict[str, torch.Tensor], lr: torch.Tensor
    ) -> None:
        """Move ``flat`` against ``gradient``, in place."""
        if self.weight_decay:
            gradient = gradient.add(flat, alpha=self.weight_decay)
        # In float64, as in Adam: 1 - beta1**t loses digits in float32.
        step = state["step"].add_(1).to(torch.float64)
        state["exp_avg"].lerp_(gradient, 1 - self.beta1)
        largest = torch.maximum(state["exp_inf"] * self.beta2, gradient.abs().add_(self.eps))
        state["exp_inf"].copy_(largest)
        flat.sub_(state["exp_avg"].div(largest).mul_(lr / (1 - self.beta1**step)))


@register("optimizer", "adamax")
def make_adamax(options: AdamaxOptions) -> Optimizer:
    """Adamax with the given options."""
    return Adamax(options)
