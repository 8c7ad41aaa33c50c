"""Stochastic gradient descent with momentum."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from rlrecipe.interfaces import Optimizer
from rlrecipe.lazy import torch
from rlrecipe.optim.base import OptimizerOptions, penalized
from rlrecipe.recipe.errors import Problem
from rlrecipe.recipe.options import option
from rlrecipe.recipe.registry import register

if TYPE_CHECKING:
    from rlrecipe.recipe.schema import Recipe


class SGDOptions(OptimizerOptions):
    """Plain gradient steps, with momentum if asked for."""

    momentum: float = option(0.0, "Share of the last step that goes on.", ge=0, lt=1)
    weight_decay: float = option(0.0, "L2 penalty, added to the gradient.", ge=0)
    nesterov: bool = option(False, "Look a step ahead along the momentum.")


class SGD:
    """SGD on one flat vector, with torch's form of momentum (no dampening)."""

    def __init__(self, options: SGDOptions) -> None:
        self.lr, self.momentum, self.weight_decay = options.lr, options.momentum, options.weight_decay
        self.nesterov = options.nesterov

    def init(self, flat: torch.Tensor) -> dict[str, torch.Tensor]:
        """A zero momentum buffer, if there is momentum."""
        return {"momentum_buffer": torch.zeros_like(flat)} if self.momentum else {}

    def step(
        self, flat: torch.Tensor, gradient: torch.Tensor, state: dict[str, torch.Tensor], lr: torch.Tensor
    ) -> None:
        """Move ``flat`` against ``gradient``, in place."""
        gradient = penalized(flat, gradient, self.weight_decay)
        if self.momentum:
            buffer = state["momentum_buffer"].mul_(self.momentum).add_(gradient)
            gradient = gradient.add(buffer, alpha=self.momentum) if self.nesterov else buffer
        flat.sub_(gradient * lr)


def check(recipe: Recipe) -> Iterable[Problem]:
    """Nesterov's form is one of the momentum."""
    options: Any = recipe.optimizer
    # It may be a hook that names it.
    if isinstance(options, SGDOptions) and options.nesterov and not options.momentum:
        message = "nesterov looks ahead along the momentum, which is 0"
        yield Problem("E302", ("optimizer", "nesterov"), message, "add momentum: 0.9, or remove nesterov")


@register("optimizer", "sgd", check=check)
def make_sgd(options: SGDOptions) -> Optimizer:
    """SGD with the given options."""
    return SGD(options)
