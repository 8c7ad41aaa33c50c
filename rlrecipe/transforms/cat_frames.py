"""The newest observations as one, under torchrl's name."""

from __future__ import annotations

from typing import Any

from rlrecipe.lazy import gymnasium
from rlrecipe.recipe.options import option
from rlrecipe.recipe.registry import register
from rlrecipe.recipe.traits import TransformTraits
from rlrecipe.transforms.base import TransformOptions


class CatFramesOptions(TransformOptions):
    """Show the newest N observations as one, oldest first; an episode's first one fills all N places."""

    N: int = option(..., "How many.", gt=0)
    dim: int | None = option(
        None, "Dimension along which they lie; null: pictures channels first, (N * C, H, W), vectors end to end."
    )


@register("transform", "cat_frames", traits=TransformTraits(wraps=True))
def make_cat_frames(options: CatFramesOptions, env: gymnasium.Env[Any, Any]) -> gymnasium.Env[Any, Any]:
    """Stacked observations."""
    from rlrecipe.stepping.wrappers.stack_frames import StackFrames

    return StackFrames(env, options.N, options.dim)
