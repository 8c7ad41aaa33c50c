"""The newest observations as one."""

from __future__ import annotations

from typing import Any

from rlrecipe.lazy import gymnasium
from rlrecipe.recipe.options import option
from rlrecipe.recipe.registry import register
from rlrecipe.recipe.traits import TransformTraits
from rlrecipe.transforms.base import TransformOptions


class FrameStackOptions(TransformOptions):
    """Show the newest observations as one: pictures channels first, (frames * C, H, W); vectors end to end."""

    size: int = option(4, "How many; an episode's first observation fills all places.", gt=0)


@register("transform", "frame_stack", traits=TransformTraits(wraps=True))
def make_frame_stack(options: FrameStackOptions, env: gymnasium.Env[Any, Any]) -> gymnasium.Env[Any, Any]:
    """Stacked observations."""
    from rlrecipe.stepping.wrappers.stack_frames import StackFrames

    return StackFrames(env, options.size)
