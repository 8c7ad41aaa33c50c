"""Atari games that begin differently each time."""

from __future__ import annotations

from typing import Any

from rlrecipe.lazy import gymnasium
from rlrecipe.recipe.options import option
from rlrecipe.recipe.registry import register
from rlrecipe.recipe.traits import TransformTraits
from rlrecipe.transforms.base import TransformOptions


class NoopResetOptions(TransformOptions):
    """Begin each episode of an Atari game with a random number of actions that do nothing."""

    noops: int = option(30, "The most of them.", gt=0)


@register("transform", "noop_reset", traits=TransformTraits(wraps=True))
def make_noop_reset(options: NoopResetOptions, env: gymnasium.Env[Any, Any]) -> gymnasium.Env[Any, Any]:
    """Random beginnings."""
    from rlrecipe.stepping.wrappers.starts import NoopReset

    return NoopReset(env, options.noops)
