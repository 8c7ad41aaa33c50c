"""Rewards of -1, 0 and 1."""

from __future__ import annotations

from rlrecipe.interfaces import Transform
from rlrecipe.lazy import gymnasium, np
from rlrecipe.recipe.registry import register
from rlrecipe.recipe.traits import TransformTraits
from rlrecipe.transforms.base import RewardFunction, RewardTransformOptions


class SignRewardOptions(RewardTransformOptions):
    """Learn from the sign of each reward (Mnih et al., 2015); reports stay raw."""


@register("transform", "sign_reward", traits=TransformTraits(keeps_pictures=True))
def make_sign_reward(options: SignRewardOptions, space: gymnasium.spaces.Box, num_envs: int, gamma: float) -> Transform:
    """The sign of rewards."""
    return RewardFunction(np.sign)
