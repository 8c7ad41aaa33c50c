"""Rewards within bounds."""

from __future__ import annotations

from rlrecipe.interfaces import Transform
from rlrecipe.lazy import gymnasium, np
from rlrecipe.recipe.options import option
from rlrecipe.recipe.registry import register
from rlrecipe.transforms.base import RewardFunction, RewardTransformOptions


class ClipRewardOptions(RewardTransformOptions):
    """Learn from rewards clipped to bounds; reports stay raw."""

    min: float | None = option(-1.0, "The least; null leaves it open.")
    max: float | None = option(1.0, "The most; null leaves it open.")


@register("transform", "clip_reward")
def make_clip_reward(options: ClipRewardOptions, space: gymnasium.spaces.Box, num_envs: int, gamma: float) -> Transform:
    """Clipped rewards."""
    low = -np.inf if options.min is None else options.min
    high = np.inf if options.max is None else options.max
    return RewardFunction(lambda reward: np.clip(reward, low, high))
