"""Dict, tuple and image observations as one vector."""

from __future__ import annotations

from typing import Any

from rlrecipe.lazy import gymnasium
from rlrecipe.recipe.registry import register
from rlrecipe.recipe.traits import TransformTraits
from rlrecipe.transforms.base import TransformOptions


class FlattenObservationOptions(TransformOptions):
    """Flatten whatever the environment observes into one vector, discrete parts one-hot."""


@register("transform", "flatten_observation", traits=TransformTraits(wraps=True))
def make_flatten_observation(
    options: FlattenObservationOptions,
    env: gymnasium.Env[Any, Any],
) -> gymnasium.Env[Any, Any]:
    """Gymnasium's FlattenObservation around ``env``."""
    from gymnasium.wrappers import FlattenObservation

    return FlattenObservation(env)
