"""Lives as episodes, for learning."""

from __future__ import annotations

from typing import Any, Literal

from rlrecipe.lazy import gymnasium
from rlrecipe.recipe.options import option
from rlrecipe.recipe.registry import register
from rlrecipe.recipe.traits import TransformTraits
from rlrecipe.transforms.base import TransformOptions


class LifeLossOptions(TransformOptions):
    """End an episode of training with each life of an Atari game; the game itself goes on."""

    phase: Literal["train"] = option("train", "Evaluation plays whole games.")


@register("transform", "life_loss", traits=TransformTraits(wraps=True))
def make_life_loss(options: LifeLossOptions, env: gymnasium.Env[Any, Any]) -> gymnasium.Env[Any, Any]:
    """Episodes of one life."""
    from rlrecipe.stepping.wrappers.life_loss import LifeLoss

    return LifeLoss(env)
