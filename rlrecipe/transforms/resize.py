"""Pictures of another size."""

from __future__ import annotations

from typing import Any

from rlrecipe.lazy import gymnasium
from rlrecipe.recipe.options import option
from rlrecipe.recipe.registry import register
from rlrecipe.recipe.traits import TransformTraits
from rlrecipe.transforms.base import TransformOptions


class ResizeOptions(TransformOptions):
    """Pictures of bytes (H, W) or (H, W, C) made smaller or larger by averaging areas."""

    size: tuple[int, int] = option((84, 84), "Height and width.")


@register("transform", "resize", requires={"cv2": "atari"}, traits=TransformTraits(wraps=True))
def make_resize(options: ResizeOptions, env: gymnasium.Env[Any, Any]) -> gymnasium.Env[Any, Any]:
    """Gymnasium's ResizeObservation around ``env``."""
    from gymnasium.wrappers import ResizeObservation

    space = env.observation_space
    shape = space.shape or ()
    if space.dtype != "uint8" or len(shape) not in (2, 3) or shape[2:] > (4,):
        raise ValueError(f"pictures are bytes (H, W) or (H, W, C), but the environment observes {space}")
    return ResizeObservation(env, options.size)
