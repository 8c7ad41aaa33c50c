"""Rewards on another scale."""

from __future__ import annotations

from rlrecipe.interfaces import Transform
from rlrecipe.lazy import gymnasium
from rlrecipe.recipe.options import option
from rlrecipe.recipe.registry import register
from rlrecipe.recipe.traits import TransformTraits
from rlrecipe.transforms.base import RewardFunction, RewardTransformOptions


class RewardScalingOptions(RewardTransformOptions):
    """Learn from reward * scale + loc; reports stay raw."""

    scale: float = option(..., "Factor of a reward.")
    loc: float = option(0.0, "Added to it.")


@register("transform", "reward_scaling", traits=TransformTraits(keeps_pictures=True))
def make_reward_scaling(
    options: RewardScalingOptions, space: gymnasium.spaces.Box, num_envs: int, gamma: float
) -> Transform:
    """Scaled rewards."""
    return RewardFunction(lambda reward: reward * options.scale + options.loc)
