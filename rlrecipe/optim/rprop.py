"""Rprop: resilient propagation (Riedmiller and Braun, 1993)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from rlrecipe.interfaces import Optimizer
from rlrecipe.lazy import torch
from rlrecipe.optim.base import OptimizerOptions, unmoved
from rlrecipe.recipe.errors import Problem
from rlrecipe.recipe.options import option
from rlrecipe.recipe.registry import register

if TYPE_CHECKING:
    from rlrecipe.recipe.schema import Recipe

Step = Annotated[float, Field(gt=0)]


class RpropOptions(OptimizerOptions):
    """Steps by the signs of the gradient alone, each element's own; made for whole batches, not small ones."""

    lr: float = option(1e-2, "Size of the first step; later ones grow and shrink by themselves.", ge=0)
    etas: tuple[Annotated[float, Field(gt=0, lt=1)], Annotated[float, Field(gt=1)]] = option(
        (0.5, 1.2), "Factors on a step whose gradient changed its sign, and on one whose did not."
    )
    step_sizes: tuple[Step, Step] = option((1e-6, 50.0), "Smallest and largest step.")


class Rprop:
    """Rprop on one flat vector, in torch's form; a rate of zero keeps an element where it is."""

    def __init__(self, options: RpropOptions) -> None:
        self.lr, self.etas, self.step_sizes = options.lr, options.etas, options.step_sizes

    def init(self, flat: torch.Tensor) -> dict[str, torch.Tensor]:
        """No gradient before, and steps that the first rates will be."""
        return unmoved(flat, "prev", "step_size")

    def step(
        self, flat: torch.Tensor, gradient: torch.Tensor, state: dict[str, torch.Tensor], lr: torch.Tensor
    ) -> None:
        """Move ``flat`` against ``gradient``, in place."""
        size = torch.where(state["step"] == 0, lr, state["step_size"])
        state["step"].add_(1)
        shrink, grow = self.etas
        same = gradient * state["prev"]
        factor = torch.where(same > 0, grow, torch.where(same < 0, shrink, 1.0)).to(size.dtype)
        state["step_size"].copy_((size * factor).clamp_(*self.step_sizes))
        # Where the sign has changed, this step is left out and the next one starts as the first.
        state["prev"].copy_(torch.where(same < 0, 0.0, gradient))
        flat.sub_(torch.where(lr > 0, state["prev"].sign() * state["step_size"], 0.0))


def check(recipe: Recipe) -> Iterable[Problem]:
    """Its steps take the learning rate only once."""
    options: Any = recipe.optimizer
    if isinstance(options, RpropOptions) and options.schedule is not None:
        message = "rprop takes its learning rate for the first step only: a schedule would do nothing"
        yield Problem("E302", ("optimizer", "schedule"), message, "remove it, or take another optimizer")


@register("optimizer", "rprop", check=check)
def make_rprop(options: RpropOptions) -> Optimizer:
    """Rprop with the given options."""
    return Rprop(options)
