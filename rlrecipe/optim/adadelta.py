"""Adadelta (Zeiler, 2012)."""

from __future__ import annotations

from rlrecipe.interfaces import Optimizer
from rlrecipe.lazy import torch
from rlrecipe.optim.base import OptimizerOptions, penalized
from rlrecipe.recipe.options import option
from rlrecipe.recipe.registry import register


class AdadeltaOptions(OptimizerOptions):
    """Steps in proportion to the size of those before: the rate is a factor on them, 1 in the paper."""

    lr: float = option(1.0, "Factor on the steps.", ge=0)
    rho: float = option(0.9, "Decay of the running means of squared gradients and steps.", ge=0, le=1)
    eps: float = option(1e-6, "Added inside both roots; it makes the first steps, so larger starts faster.", ge=0)
    weight_decay: float = option(0.0, "L2 penalty, added to the gradient.", ge=0)


class Adadelta:
    """Adadelta on one flat vector, algorithm 1 of the paper."""

    def __init__(self, options: AdadeltaOptions) -> None:
        self.lr, self.rho, self.eps = options.lr, options.rho, options.eps
        self.weight_decay = options.weight_decay

    def init(self, flat: torch.Tensor) -> dict[str, torch.Tensor]:
        """Zero means."""
        return {"square_avg": torch.zeros_like(flat), "acc_delta": torch.zeros_like(flat)}

    def step(
        self, flat: torch.Tensor, gradient: torch.Tensor, state: dict[str, torch.Tensor], lr: torch.Tensor
    ) -> None:
        """Move ``flat`` against ``gradient``, in place."""
        gradient = penalized(flat, gradient, self.weight_decay)
        square_avg, acc_delta = state["square_avg"], state["acc_delta"]
        square_avg.mul_(self.rho).addcmul_(gradient, gradient, value=1 - self.rho)
        delta = acc_delta.add(self.eps).sqrt_().div_(square_avg.add(self.eps).sqrt_()).mul_(gradient)
        acc_delta.mul_(self.rho).addcmul_(delta, delta, value=1 - self.rho)
        flat.sub_(delta * lr)


@register("optimizer", "adadelta")
def make_adadelta(options: AdadeltaOptions) -> Optimizer:
    """Adadelta with the given options."""
    return Adadelta(options)
