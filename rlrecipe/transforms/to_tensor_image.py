"""Pictures as torch lays them out."""

from __future__ import annotations

from typing import Any

from rlrecipe.lazy import gymnasium, np
from rlrecipe.recipe.options import option
from rlrecipe.recipe.registry import register
from rlrecipe.recipe.traits import TransformTraits
from rlrecipe.transforms.base import TransformOptions


class ToTensorImageOptions(TransformOptions):
    """Pictures of bytes (H, W, C) channels first, (C, H, W); (H, W) becomes (1, H, W)."""

    from_int: bool = option(False, "Divide by 255; bytes take a quarter of the memory, and pixel networks divide them.")


@register("transform", "to_tensor_image", traits=TransformTraits(wraps=True))
def make_to_tensor_image(options: ToTensorImageOptions, env: gymnasium.Env[Any, Any]) -> gymnasium.Env[Any, Any]:
    """Channels first."""
    from rlrecipe.stepping.wrappers.arrays import changed_boxes, is_picture

    def change(picture: np.ndarray) -> np.ndarray:
        first = picture[None] if picture.ndim == 2 else picture.transpose(2, 0, 1)
        return first.astype(np.float32) / np.float32(255) if options.from_int else np.ascontiguousarray(first)

    return changed_boxes(env, is_picture, change)
