"""Replaces an on-policy algorithm's advantages, by one of torchrl's value estimators or with other numbers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from rlrecipe.errors import HookError
from rlrecipe.hooks.base import Hook, places
from rlrecipe.interfaces import State, Stateful
from rlrecipe.interfaces.abilities import Discounts
from rlrecipe.recipe.errors import Problem
from rlrecipe.recipe.options import Options, option
from rlrecipe.recipe.registry import register

if TYPE_CHECKING:
    from rlrecipe.loop.loop import Loop
    from rlrecipe.recipe.schema import Recipe


class ValueEstimatorHookOptions(Options):
    """Estimate advantages and value targets again before a batch's updates, with another decay or discount."""

    gamma: float | None = option(None, "Discount factor; null: the algorithm's.", ge=0, le=1)
    lmbda: float = option(0.95, "Decay of the trace: 0 for one step, 1 for whole returns.", ge=0, le=1)
    average_gae: bool = option(False, "Give a batch's advantages mean 0 and deviation 1; value targets stay.")


class ValueEstimatorHook(Hook, options=ValueEstimatorHookOptions, point="pre_epoch"):
    """Writes ``advantage`` and ``value_target`` of the whole batch, once before its updates.

    Args:
        value_estimator: a callable over TensorDicts ``[N, T]``, such as torchrl's ``GAE``; without it the values of
            collection are taken (Schulman et al., 2016, equation 16).
    """

    category = "data"

    def __init__(self, value_estimator: Any = None, **named: Any) -> None:
        super().__init__(**named)
        self.estimator, self.gamma = value_estimator, self.options.gamma

    def register(self, trainer: Loop, name: str | None = None) -> None:
        """Estimate before each batch's updates.

        Raises:
            HookError: nobody says how rewards are discounted.
        """
        if self.gamma is None and isinstance(trainer.algorithm, Discounts):
            self.gamma = trainer.algorithm.gamma
        if self.gamma is None and self.estimator is None:
            raise HookError("value_estimator_hook: the loss says no gamma; give the hook one, or a value estimator")
        super().register(trainer, name)

    def __call__(self, batch: Any) -> Any:
        """The batch with advantages ``[N, T, 1]`` and value targets."""
        if self.estimator is not None:
            return self.estimator(batch)
        from torchrl.objectives.value.functional import generalized_advantage_estimate

        following = batch["next"]
        advantage, target = generalized_advantage_estimate(
            self.gamma,
            self.options.lmbda,
            batch["state_value"],
            following["state_value"],
            following["reward"],
            following["done"],
            following["terminated"],
        )
        if self.options.average_gae:
            advantage = (advantage - advantage.mean()) / advantage.std().clamp_min(1e-4)
        batch["advantage"], batch["value_target"] = advantage, target
        return batch

    def state_dict(self) -> State:
        """The estimator's own."""
        return {"estimator": dict(self.estimator.state_dict())} if isinstance(self.estimator, Stateful) else {}

    def load_state_dict(self, state: State) -> None:
        """Put the estimator's back."""
        if "estimator" in state:
            self.estimator.load_state_dict(state["estimator"])


def check(recipe: Recipe) -> Iterable[Problem]:
    """Only what learns from its newest batch has advantages."""
    if recipe.replay_buffer is None:
        return
    for place, _ in places(recipe, "value_estimator_hook"):
        message = f"{recipe.algorithm.component.name} learns from its replay buffer and has no advantages"
        yield Problem("E302", place, message, "remove it")


@register("hook", "value_estimator_hook", check=check)
def make_value_estimator_hook(options: ValueEstimatorHookOptions) -> ValueEstimatorHook:
    """Another estimate of advantages."""
    return ValueEstimatorHook.of(options)
