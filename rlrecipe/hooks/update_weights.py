"""Brings the newest weights to collectors that keep a copy of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rlrecipe.hooks.base import Hook
from rlrecipe.interfaces import State
from rlrecipe.recipe.options import Options, option
from rlrecipe.recipe.registry import register
from rlrecipe.torchrl.objects import RenewsWeights

if TYPE_CHECKING:
    from rlrecipe.loop.loop import Loop


class UpdateWeightsOptions(Options):
    """Send the newest weights to a collector that keeps a copy; the sync collector acts with them anyway."""

    update_weights_interval: int = option(1, "Batches between two times.", gt=0)


class UpdateWeights(Hook, options=UpdateWeightsOptions, point="post_steps"):
    """Calls ``update_policy_weights_`` of a collector every so many batches.

    Args:
        collector: whose copy is renewed; a recipe's hook takes the trainer's.
        update_weights_interval: batches between two times.
        policy_weights_getter: gives the weights; without it the collector takes those of its policy.
    """

    category = "operation"
    observer = True

    def __init__(
        self,
        collector: Any = None,
        update_weights_interval: int = 1,
        policy_weights_getter: Callable[[], Any] | None = None,
    ) -> None:
        super().__init__(update_weights_interval)
        self.collector, self.getter, self.counter = collector, policy_weights_getter, 0

    def register(self, trainer: Loop, name: str | None = None) -> None:
        """Send after each batch's updates."""
        self.collector = self.collector or trainer.collector
        super().register(trainer, name)

    def __call__(self) -> None:
        """Count a batch, and send when it is time; a collector without a copy has nothing to renew."""
        self.counter += 1
        if not isinstance(self.collector, RenewsWeights) or self.counter % self.options.update_weights_interval:
            return
        self.collector.update_policy_weights_(*(() if self.getter is None else (self.getter(),)))

    def state_dict(self) -> State:
        """Batches so far."""
        return {"counter": self.counter}

    def load_state_dict(self, state: State) -> None:
        """Go on counting."""
        self.counter = state["counter"]


@register("hook", "update_weights")
def make_update_weights(options: UpdateWeightsOptions) -> UpdateWeights:
    """A renewal of a collector's copy."""
    return UpdateWeights.of(options)
