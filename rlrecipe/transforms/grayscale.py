"""Pictures in shades of grey."""

from __future__ import annotations

from typing import Any

from rlrecipe.lazy import gymnasium
from rlrecipe.recipe.options import option
from rlrecipe.recipe.registry import register
from rlrecipe.recipe.traits import TransformTraits
from rlrecipe.transforms.base import TransformOptions


class GrayscaleOptions(TransformOptions):
    """Pictures of bytes (H, W, 3) in shades of grey, (H, W)."""

    keep_dim: bool = option(False, "Keep the last dimension: (H, W, 1).")


@register("transform", "grayscale", traits=TransformTraits(wraps=True))
def make_grayscale(options: GrayscaleOptions, env: gymnasium.Env[Any, Any]) -> gymnasium.Env[Any, Any]:
    """Gymnasium's GrayscaleObservation around ``env``."""
    from gymnasium.wrappers import GrayscaleObservation

    space = env.observation_space
    if len(space.shape or ()) != 3 or (space.shape or ())[-1] != 3 or space.dtype != "uint8":
        raise ValueError(f"grey is made of bytes (H, W, 3), but the environment observes {space}")
    return GrayscaleObservation(env, keep_dim=options.keep_dim)
