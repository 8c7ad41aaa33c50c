"""Rewards within bounds."""

from __future__ import annotations

from rlrecipe.interfaces import Transform
from rlrecipe.lazy import gymnasium, np
from rlrecipe.recipe.options import option
from rlrecipe.recipe.registry import register
from rlrecipe.recipe.traits import TransformTraits
from rlrecipe.transforms.base import RewardFunction, RewardTransformOptions


class ClipRewardOptions(RewardTransformOptions):
    """Learn from rewards clipped to bounds; reports stay raw."""

    min: float = option(-1.0, "The least.")
    max: float = option(1.0, "The most.")


@register("transform", "clip_reward", traits=TransformTraits(keeps_pictures=True))
def make_clip_reward(options: ClipRewardOptions, space: gymnasium.spaces.Box, num_envs: int, gamma: float) -> Transform:
    """Clipped rewards."""
    return RewardFunction(lambda reward: np.clip(reward, options.min, options.max))
