"""RAdam: rectified Adam (Liu et al., 2020)."""

from __future__ import annotations

from rlrecipe.interfaces import Optimizer
from rlrecipe.lazy import torch
from rlrecipe.optim.adam import AdamOptions
from rlrecipe.optim.base import counted, decayed, learning_rate, unmoved
from rlrecipe.recipe.options import option
from rlrecipe.recipe.registry import register


class RAdamOptions(AdamOptions):
    """Adam that trusts its second moment only once it has seen enough gradients: no warm-up is needed."""

    lr: float = learning_rate(1e-3)
    decoupled_weight_decay: bool = option(False, "Let the decay shrink the weights themselves, as AdamW does.")


class RAdam:
    """RAdam on one flat vector, algorithm 2 of the paper with torch's threshold of 5."""

    def __init__(self, options: RAdamOptions) -> None:
        self.lr, (self.beta1, self.beta2) = options.lr, options.betas
        self.eps, self.weight_decay = options.eps, options.weight_decay
        self.decoupled = options.decoupled_weight_decay

    def init(self, flat: torch.Tensor) -> dict[str, torch.Tensor]:
        """Zero moments."""
        return unmoved(flat, "exp_avg", "exp_avg_sq")

    def step(
        self, flat: torch.Tensor, gradient: torch.Tensor, state: dict[str, torch.Tensor], lr: torch.Tensor
    ) -> None:
        """Move ``flat`` against ``gradient``, in place."""
        gradient = decayed(flat, gradient, lr, self.weight_decay, self.decoupled)
        step = counted(state)
        state["exp_avg"].lerp_(gradient, 1 - self.beta1)
        state["exp_avg_sq"].mul_(self.beta2).addcmul_(gradient, gradient, value=1 - self.beta2)
        left = 1 - self.beta2**step
        # Length of the average that the second moment is, at its longest and now.
        longest = 2 / (1 - self.beta2) - 1
        length = longest - 2 * step * self.beta2**step / left
        share = (length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)
        scale = (share.clamp(min=0) * left).sqrt() / state["exp_avg_sq"].sqrt().add_(self.eps)
        scale = torch.where(length > 5, scale, torch.ones_like(scale))
        flat.sub_(state["exp_avg"].mul(scale).mul_(lr / (1 - self.beta1**step)))


@register("optimizer", "radam")
def make_radam(options: RAdamOptions) -> Optimizer:
    """RAdam with the given options."""
    return RAdam(options)
