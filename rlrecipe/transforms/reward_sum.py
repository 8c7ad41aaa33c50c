"""What an episode has paid so far."""

from __future__ import annotations

from typing import Annotated, Any

from rlrecipe.lazy import gymnasium
from rlrecipe.recipe.names import SHOWN
from rlrecipe.recipe.options import option
from rlrecipe.recipe.registry import register
from rlrecipe.recipe.traits import TransformTraits
from rlrecipe.transforms.base import TransformOptions


class RewardSumOptions(TransformOptions):
    """Show the policy the episode's rewards so far; logs have every episode's return without it."""

    out_key: Annotated[str, SHOWN] = option(
        "episode_reward", "Observe the sum under this key, beside what the environment observes."
    )


@register("transform", "reward_sum", traits=TransformTraits(wraps=True))
def make_reward_sum(options: RewardSumOptions, env: gymnasium.Env[Any, Any]) -> gymnasium.Env[Any, Any]:
    """Added rewards."""
    from rlrecipe.stepping.wrappers.counting import RewardSum

    return RewardSum(env, options.out_key)
