"""NAdam: Adam with Nesterov's momentum (Dozat, 2016)."""

from __future__ import annotations

from rlrecipe.interfaces import Optimizer
from rlrecipe.lazy import torch
from rlrecipe.optim.adam import AdamOptions
from rlrecipe.optim.base import counted, decayed, learning_rate, unmoved
from rlrecipe.recipe.options import option
from rlrecipe.recipe.registry import register


class NAdamOptions(AdamOptions):
    """Adam that looks a step ahead along its momentum."""

    lr: float = learning_rate(2e-3)
    momentum_decay: float = option(4e-3, "How fast the momentum grows to its full size.", ge=0)
    decoupled_weight_decay: bool = option(False, "Let the decay shrink the weights themselves, as AdamW does.")


class NAdam:
    """NAdam on one flat vector, in torch's form."""

    def __init__(self, options: NAdamOptions) -> None:
        self.lr, (self.beta1, self.beta2) = options.lr, options.betas
        self.eps, self.momentum_decay = options.eps, options.momentum_decay
        self.weight_decay, self.decoupled = options.weight_decay, options.decoupled_weight_decay

    def init(self, flat: torch.Tensor) -> dict[str, torch.Tensor]:
        """Zero moments, and the product of no momenta."""
        product = torch.ones((), dtype=torch.float32, device=flat.device)
        return {"mu_product": product, **unmoved(flat, "exp_avg", "exp_avg_sq")}

    def momentum(self, step: torch.Tensor) -> torch.Tensor:
        """The share of the first moment that goes on after ``step`` steps."""
        return self.beta1 * (1 - 0.5 * 0.96 ** (step * self.momentum_decay))

    def step(
        self, flat: torch.Tensor, gradient: torch.Tensor, state: dict[str, torch.Tensor], lr: torch.Tensor
    ) -> None:
        """Move ``flat`` against ``gradient``, in place."""
        gradient = decayed(flat, gradient, lr, self.weight_decay, self.decoupled)
        step = counted(state)
        now, ahead = self.momentum(step), self.momentum(step + 1)
        product = state["mu_product"].mul_(now).to(torch.float64)
        state["exp_avg"].lerp_(gradient, 1 - self.beta1)
        state["exp_avg_sq"].mul_(self.beta2).addcmul_(gradient, gradient, value=1 - self.beta2)
        denominator = state["exp_avg_sq"].div(1 - self.beta2**step).sqrt_().add_(self.eps)
        direction = gradient * ((1 - now) / (1 - product)) + state["exp_avg"] * (ahead / (1 - product * ahead))
        flat.sub_(direction.div_(denominator).mul_(lr))


@register("optimizer", "nadam")
def make_nadam(options: NAdamOptions) -> Optimizer:
    """NAdam with the given options."""
    return NAdam(options)
