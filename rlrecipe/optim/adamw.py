"""AdamW: Adam with decoupled weight decay (Loshchilov and Hutter, 2019)."""

from __future__ import annotations

from collections.abc import Callable

from rlrecipe.interfaces import Optimizer
from rlrecipe.lazy import torch
from rlrecipe.optim.adam import Adam, AdamOptions
from rlrecipe.recipe.options import option
from rlrecipe.recipe.registry import register


class AdamWOptions(AdamOptions):
    """Adam whose weight decay shrinks the weights themselves."""

    weight_decay: float = option(0.01, "Share of the learning rate by which weights shrink a step.", ge=0)


class AdamW(Adam):
    """AdamW on one flat vector, algorithm 2 of the paper."""

    def fused(self) -> Callable[..., None]:
        """Torch's kernel."""
        kernel: Callable[..., None] = torch.ops.aten._fused_adamw_.tensor_lr
        return kernel

    def decay(self, flat: torch.Tensor, gradient: torch.Tensor, lr: torch.Tensor) -> torch.Tensor:
        """Shrinks ``flat`` in place and leaves the gradient alone."""
        flat.mul_(1 - lr * self.weight_decay)
        return gradient


@register("optimizer", "adamw")
def make_adamw(options: AdamWOptions) -> Optimizer:
    """AdamW with the given options."""
    return AdamW(options)
