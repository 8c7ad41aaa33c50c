"""Atari games that wait for FIRE."""

from __future__ import annotations

from typing import Any

from rlrecipe.lazy import gymnasium
from rlrecipe.recipe.registry import register
from rlrecipe.recipe.traits import TransformTraits
from rlrecipe.transforms.base import TransformOptions


class FireResetOptions(TransformOptions):
    """Begin each episode of an Atari game with FIRE, where the game has it."""


@register("transform", "fire_reset", traits=TransformTraits(wraps=True))
def make_fire_reset(options: FireResetOptions, env: gymnasium.Env[Any, Any]) -> gymnasium.Env[Any, Any]:
    """Games that have begun."""
    from rlrecipe.stepping.wrappers.starts import FireReset

    return FireReset(env)
