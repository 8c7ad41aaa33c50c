"""Moves target networks after updates, besides or instead of the algorithm's own rule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rlrecipe.errors import HookError
from rlrecipe.hooks.base import Hook
from rlrecipe.interfaces import State
from rlrecipe.lazy import torch
from rlrecipe.recipe.options import Options, option
from rlrecipe.recipe.registry import register
from rlrecipe.recipe.traits import HookTraits
from rlrecipe.torchrl.objects import CountsSteps, StepsTargets

if TYPE_CHECKING:
    from rlrecipe.loop.loop import Loop


class TargetNetUpdaterHookOptions(Options):
    """Move target networks every so many updates, besides algorithm.target, such as a full copy now and then."""

    tau: float = option(1.0, "Share of the way to the networks that they follow; 1 copies them.", gt=0, le=1)
    interval: int = option(1000, "Updates between two times.", gt=0)


class TargetNetUpdaterHook(Hook, options=TargetNetUpdaterHookOptions, point="post_optim"):
    """Steps after each update.

    Args:
        target_params_updater: one of torchrl's (``SoftUpdate``, ``HardUpdate``) or another object with ``step``, which
            knows the networks that it moves; without it the trainer's own target networks are moved.
        tau: share of the way, of the trainer's own.
        interval: updates between two times, of the trainer's own.
    """

    category = "operation"

    def __init__(self, target_params_updater: Any = None, **named: Any) -> None:
        if target_params_updater is not None and not isinstance(target_params_updater, StepsTargets):
            kind = type(target_params_updater).__name__
            raise HookError(
                f"target_net_updater_hook: a {kind} has no step(); give SoftUpdate, HardUpdate or their like"
            )
        super().__init__(**named)
        self.updater: StepsTargets | None = target_params_updater
        self.count = 0

    def fits(self, update: Any) -> None:
        """The trainer's own target networks are there to be moved.

        Raises:
            HookError: there are none.
        """
        if update.targets is None:
            raise HookError("target_net_updater_hook: this algorithm has no target networks; remove the hook")

    def register(self, trainer: Loop, name: str | None = None) -> None:
        """Step after each update.

        Raises:
            HookError: there is nothing to move.
        """
        if self.updater is None:
            self.fits(trainer.update)
        self.targets = None if self.updater is not None else trainer.update.targets
        super().register(trainer, name)

    def __call__(self) -> None:
        """Move what there is to move, if it is time."""
        self.count += 1
        if self.updater is not None:
            self.updater.step()
        elif self.targets is not None and self.count % self.options.interval == 0:
            with torch.no_grad():
                for copy, followed in self.targets.pairs:
                    copy.lerp_(followed, self.options.tau)

    def state_dict(self) -> State:
        """Updates so far, and a given updater's own counter."""
        return {"count": self.count, "updater": self.updater.counter if isinstance(self.updater, CountsSteps) else None}

    def load_state_dict(self, state: State) -> None:
        """Go on counting."""
        self.count = state["count"]
        if isinstance(self.updater, CountsSteps) and state["updater"] is not None:
            self.updater.counter = state["updater"]


@register("hook", "target_net_updater_hook", traits=HookTraits(fragile=True))
def make_target_net_updater_hook(options: TargetNetUpdaterHookOptions) -> TargetNetUpdaterHook:
    """A rule of one's own for target networks."""
    return TargetNetUpdaterHook.of(options)
