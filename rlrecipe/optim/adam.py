"""Adam (Kingma and Ba, 2015)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from pydantic import Field

from rlrecipe.interfaces import Optimizer
from rlrecipe.lazy import torch
from rlrecipe.optim.base import OptimizerOptions, counted, penalized, unmoved
from rlrecipe.recipe.options import option
from rlrecipe.recipe.registry import register

Beta = Annotated[float, Field(ge=0, lt=1)]


class AdamOptions(OptimizerOptions):
    """Adam: steps scaled by running moments of the gradient."""

    betas: Annotated[list[Beta], Field(min_length=2, max_length=2)] = option(
        [0.9, 0.999], "Decay of the first and the second moment."
    )
    eps: float = option(1e-8, "Added to the denominator; larger damps steps of rare gradients.", gt=0)
    weight_decay: float = option(0.0, "L2 penalty, added to the gradient.", ge=0)


class Adam:
    """Adam on one flat vector, algorithm 1 of the paper in torch's order of operations."""

    def __init__(self, options: AdamOptions) -> None:
        self.lr, (self.beta1, self.beta2) = options.lr, options.betas
        self.eps, self.weight_decay = options.eps, options.weight_decay

    def init(self, flat: torch.Tensor) -> dict[str, torch.Tensor]:
        """Zero moments."""
        return unmoved(flat, "exp_avg", "exp_avg_sq")

    def step(
        self, flat: torch.Tensor, gradient: torch.Tensor, state: dict[str, torch.Tensor], lr: torch.Tensor
    ) -> None:
        """Move ``flat`` against ``gradient``, in place: one pass over memory by torch's fused kernel."""
        if lr.dim():
            self._step_by_rates(flat, gradient, state, lr)
            return
        state["step"].add_(1)
        self.fused()(
            [flat],
            [gradient],
            [state["exp_avg"]],
            [state["exp_avg_sq"]],
            [],
            [state["step"]],
            lr=lr,
            beta1=self.beta1,
            beta2=self.beta2,
            weight_decay=self.weight_decay,
            eps=self.eps,
            amsgrad=False,
            maximize=False,
        )

    def _step_by_rates(
        self, flat: torch.Tensor, gradient: torch.Tensor, state: dict[str, torch.Tensor], lr: torch.Tensor
    ) -> None:
        """The same with a rate for each element, which the fused kernel does not take."""
        gradient = self.decay(flat, gradient, lr)
        step = counted(state)
        state["exp_avg"].lerp_(gradient, 1 - self.beta1)
        state["exp_avg_sq"].mul_(self.beta2).addcmul_(gradient, gradient, value=1 - self.beta2)
        size = lr / (1 - self.beta1**step)
        denominator = state["exp_avg_sq"].sqrt().div_((1 - self.beta2**step).sqrt()).add_(self.eps)
        flat.sub_(state["exp_avg"].div(denominator).mul_(size))

    def fused(self) -> Callable[..., None]:
        """Torch's kernel."""
        kernel: Callable[..., None] = torch.ops.aten._fused_adam_.tensor_lr
        return kernel

    def decay(self, flat: torch.Tensor, gradient: torch.Tensor, lr: torch.Tensor) -> torch.Tensor:
        """The gradient with the penalty's."""
        return penalized(flat, gradient, self.weight_decay)


@register("optimizer", "adam")
def make_adam(options: AdamOptions) -> Optimizer:
    """Adam with the given options."""
    return Adam(options)
