"""Observations in single precision."""

from __future__ import annotations

from typing import Any

from rlrecipe.lazy import gymnasium, np
from rlrecipe.recipe.registry import register
from rlrecipe.recipe.traits import TransformTraits
from rlrecipe.transforms.base import TransformOptions


class DoubleToFloatOptions(TransformOptions):
    """Round float64 observations to float32; networks compute in float32 without it, too."""


@register("transform", "double_to_float", traits=TransformTraits(wraps=True))
def make_double_to_float(options: DoubleToFloatOptions, env: gymnasium.Env[Any, Any]) -> gymnasium.Env[Any, Any]:
    """Single precision."""
    from rlrecipe.stepping.wrappers.arrays import changed_boxes

    return changed_boxes(env, lambda space: space.dtype == np.float64, lambda array: array.astype(np.float32))
