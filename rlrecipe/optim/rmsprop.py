"""RMSprop (Tieleman and Hinton, 2012, lecture 6.5)."""

from __future__ import annotations

from rlrecipe.interfaces import Optimizer
from rlrecipe.lazy import torch
from rlrecipe.optim.base import OptimizerOptions
from rlrecipe.recipe.options import option
from rlrecipe.recipe.registry import register


class RMSpropOptions(OptimizerOptions):
    """Gradient steps divided by a running root mean square."""

    alpha: float = option(0.99, "Decay of the running mean square.", ge=0, lt=1)
    eps: float = option(1e-8, "Added to the denominator.", gt=0)
    weight_decay: float = option(0.0, "L2 penalty, added to the gradient.", ge=0)


class RMSprop:
    """RMSprop on one flat vector, with torch's eps outside the root."""

    def __init__(self, options: RMSpropOptions) -> None:
        self.lr, self.alpha, self.eps = options.lr, options.alpha, options.eps
        self.weight_decay = options.weight_decay

    def init(self, flat: torch.Tensor) -> dict[str, torch.Tensor]:
        """A zero mean square."""
        return {"square_avg": torch.zeros_like(flat)}

    def step(
        self, flat: torch.Tensor, gradient: torch.Tensor, state: dict[str, torch.Tensor], lr: torch.Tensor
    ) -> None:
        """Move ``flat`` against ``gradient``, in place."""
        if self.weight_decay:
            gradient = gradient.add(flat, alpha=self.weight_decay)
        state["square_avg"].mul_(self.alpha).addcmul_(gradient, gradient, value=1 - self.alpha)
        flat.sub_(gradient.div(state["square_avg"].sqrt().add_(self.eps)).mul_(lr))


@register("optimizer", "rmsprop")
def make_rmsprop(options: RMSpropOptions) -> Optimizer:
    """RMSprop with the given options."""
    return RMSprop(options)
