"""Another optimizer for some of an algorithm's losses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from rlrecipe.errors import HookError
from rlrecipe.hooks.base import Hook
from rlrecipe.interfaces import State
from rlrecipe.lazy import torch
from rlrecipe.recipe.options import Options, Slot, option
from rlrecipe.recipe.registry import register

if TYPE_CHECKING:
    from rlrecipe.trainers.loop import Loop


class OptimizerHookOptions(Options):
    """Take some losses' steps by another optimizer than the recipe's; several hooks divide the losses among them."""

    optimizer: Annotated[Options, Slot("optimizer")] = option(..., "What takes the steps.")
    loss_components: tuple[str, ...] | None = option(
        None, "Losses by name, such as loss_policy; null: all of them.", min_length=1
    )


class OptimizerHook(Hook, options=OptimizerHookOptions, point="optimizer"):
    """Steps by an optimizer of its own.

    Args:
        optimizer: options of a recipe's optimizer, which take the place of the built-in one's (updates stay
            compiled); or one of torch's over the trainer's own leaves (``trainer.update.parts[0].leaves``), which is
            called with the losses' gradients.
        loss_components: names of the losses that it is for; None for all of them.
    """

    category = "optimizer"

    def __init__(self, optimizer: Any, loss_components: Sequence[str] | None = None) -> None:
        if loss_components is not None and not loss_components:
            raise HookError("optimizer_hook: loss_components is empty; leave it out to take all losses")
        self.optimizer = optimizer
        self.components = None if loss_components is None else tuple(loss_components)
        self._gradients: list[torch.Tensor | None] | None = None

    def fits(self, update: Any) -> None:
        """The losses that it is for are among the algorithm's.

        Raises:
            HookError: no loss has one of the names.
        """
        self._find(update.loss_names)

    def _find(self, names: Sequence[str]) -> None:
        unknown = [each for each in self.components or () if each not in names]
        if unknown:
            raise HookError(f"optimizer_hook: no loss is named {', '.join(unknown)}; there are: {', '.join(names)}")

    def register(self, trainer: Loop, name: str | None = None) -> None:
        """Take the place of the built-in optimizer, or of its step.

        Raises:
            HookError: no loss has one of the names.
        """
        if (names := trainer.loss_names()) is not None:
            self._find(names)
        trainer.register_module(name or self.usual_name, self)
        if isinstance(self.optimizer, Options):
            for part in trainer.update.parts:
                if self.components is None or part.name in self.components:
                    part.optimize_with(self.optimizer.component.build(self.optimizer))
        else:
            trainer.register_op(self.point, self)

    def backward(self, losses: Mapping[str, torch.Tensor]) -> None:
        """Take the gradients before anybody steps: the losses' graphs hold the parameters as they are now."""
        # A TensorDict is iterated by rows, not by names.
        found = [name for name in losses.keys() if name.startswith("loss")]  # noqa: SIM118 - a TensorDict iterates over rows
        chosen = [losses[name] for name in (found if self.components is None else self.components)]
        total = torch.stack([loss.reshape(()) for loss in chosen]).sum()
        leaves = self._leaves()
        self._gradients = list(torch.autograd.grad(total, leaves, retain_graph=True, allow_unused=True))

    def __call__(self, losses: Mapping[str, torch.Tensor], clip_norm: float | None, index: int) -> None:
        """Clip the gradients and step."""
        if self._gradients is None:
            self.backward(losses)
        leaves = self._leaves()
        for leaf, gradient in zip(leaves, self._gradients or (), strict=True):
            leaf.grad = gradient
        if clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(leaves, clip_norm)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self._gradients = None

    def _leaves(self) -> list[torch.Tensor]:
        return [leaf for group in self.optimizer.param_groups for leaf in group["params"]]

    def state_dict(self) -> State:
        """The state of an optimizer of torch's; a recipe's is the update's."""
        if isinstance(self.optimizer, Options):
            return {}
        state = self.optimizer.state_dict()
        # Numbers are keys there, which a checkpoint does not hold.
        return {"groups": state["param_groups"], "state": {str(key): value for key, value in state["state"].items()}}

    def load_state_dict(self, state: State) -> None:
        """Put an optimizer of torch's back."""
        if state:
            moments = {int(key): value for key, value in state["state"].items()}
            self.optimizer.load_state_dict({"param_groups": state["groups"], "state": moments})


@register("hook", "optimizer_hook", fragile=True)
def make_optimizer_hook(options: OptimizerHookOptions) -> OptimizerHook:
    """Another optimizer for some losses."""
    return OptimizerHook(options.optimizer, options.loss_components)
