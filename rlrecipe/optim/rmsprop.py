"""RMSprop (Tieleman and Hinton, 2012, lecture 6.5)."""

from __future__ import annotations

from rlrecipe.interfaces import Optimizer
from rlrecipe.lazy import torch
from rlrecipe.optim.base import OptimizerOptions, penalized
from rlrecipe.recipe.options import option
from rlrecipe.recipe.registry import register


class RMSpropOptions(OptimizerOptions):
    """Gradient steps divided by a running root mean square."""

    alpha: float = option(0.99, "Decay of the running mean square.", ge=0, lt=1)
    eps: float = option(1e-8, "Added to the denominator.", gt=0)
    weight_decay: float = option(0.0, "L2 penalty, added to the gradient.", ge=0)
    momentum: float = option(0.0, "Share of the last step that goes on.", ge=0, lt=1)
    centered: bool = option(False, "Divide by the root of the variance instead of the mean square (Graves, 2013).")


class RMSprop:
    """RMSprop on one flat vector, with torch's eps outside the root."""

    def __init__(self, options: RMSpropOptions) -> None:
        self.lr, self.alpha, self.eps = options.lr, options.alpha, options.eps
        self.weight_decay = options.weight_decay
        self.momentum, self.centered = options.momentum, options.centered

    def init(self, flat: torch.Tensor) -> dict[str, torch.Tensor]:
        """A zero mean square; a zero mean and momentum buffer, if they are asked for."""
        asked = {"square_avg": True, "grad_avg": self.centered, "momentum_buffer": self.momentum > 0}
        return {name: torch.zeros_like(flat) for name, there in asked.items() if there}

    def step(
        self, flat: torch.Tensor, gradient: torch.Tensor, state: dict[str, torch.Tensor], lr: torch.Tensor
    ) -> None:
        """Move ``flat`` against ``gradient``, in place."""
        gradient = penalized(flat, gradient, self.weight_decay)
        state["square_avg"].mul_(self.alpha).addcmul_(gradient, gradient, value=1 - self.alpha)
        square = state["square_avg"]
        if self.centered:
            mean = state["grad_avg"].lerp_(gradient, 1 - self.alpha)
            square = square.addcmul(mean, mean, value=-1)
        gradient = gradient.div(square.sqrt().add_(self.eps))
        if self.momentum:
            gradient = state["momentum_buffer"].mul_(self.momentum).add_(gradient)
        flat.sub_(gradient * lr)


@register("optimizer", "rmsprop")
def make_rmsprop(options: RMSpropOptions) -> Optimizer:
    """RMSprop with the given options."""
    return RMSprop(options)
