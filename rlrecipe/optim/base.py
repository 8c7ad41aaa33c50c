"""Options that every optimizer has."""

from __future__ import annotations

from typing import Annotated, Any

from rlrecipe.lazy import torch
from rlrecipe.recipe.options import Options, option
from rlrecipe.recipe.slots import Slot


def learning_rate(default: float) -> Any:
    """The option of a learning rate with this default."""
    return option(default, "Learning rate: higher learns faster and breaks sooner.", ge=0)


class GroupOptions(Options):
    """What may differ for the parameters of one network."""

    lr: float = option(..., "Learning rate of these parameters.", ge=0)


class OptimizerOptions(Options):
    """Base of every optimizer's options."""

    lr: float = learning_rate(3e-4)
    schedule: Annotated[Options, Slot("schedule")] | None = option(
        None, "Factor on every learning rate over the run; linear goes from 1 to 0."
    )
    groups: dict[str, GroupOptions] = option({}, "Learning rates by network slot, where they differ.")


def unmoved(flat: torch.Tensor, *names: str) -> dict[str, torch.Tensor]:
    """Zeros as ``flat`` under each name, and no ``step`` made yet."""
    state = {name: torch.zeros_like(flat) for name in names}
    return {**state, "step": torch.zeros((), dtype=torch.float32, device=flat.device)}


def counted(state: dict[str, torch.Tensor]) -> torch.Tensor:
    """The number of this step, in float64: ``1 - beta**step`` would lose four digits in float32."""
    return state["step"].add_(1).to(torch.float64)


def penalized(flat: torch.Tensor, gradient: torch.Tensor, weight_decay: float) -> torch.Tensor:
    """The gradient with that of the L2 penalty."""
    return gradient.add(flat, alpha=weight_decay) if weight_decay else gradient


def decayed(
    flat: torch.Tensor, gradient: torch.Tensor, lr: torch.Tensor, weight_decay: float, decoupled: bool
) -> torch.Tensor:
    """``penalized``; where the decay is decoupled, ``flat`` shrinks in place and the gradient stays."""
    if not (weight_decay and decoupled):
        return penalized(flat, gradient, weight_decay)
    flat.mul_(1 - lr * weight_decay)
    return gradient
