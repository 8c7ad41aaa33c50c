"""What is usually done to Atari games before anything is learned."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from rlrecipe.lazy import gymnasium
from rlrecipe.recipe.asked import env_name, kwargs_of
from rlrecipe.recipe.errors import ENV, Problem
from rlrecipe.recipe.options import option
from rlrecipe.recipe.registry import register
from rlrecipe.recipe.traits import TransformTraits
from rlrecipe.transforms.base import TransformOptions

if TYPE_CHECKING:
    from rlrecipe.recipe.schema import Recipe


class AtariPreprocessingOptions(TransformOptions):
    """Atari frames skipped, in grey, made small, stacked: bytes (num_frames, screen_size, screen_size)."""

    noop_max: int = option(30, "The most actions that do nothing at an episode's start.", ge=0)
    frame_skip: int = option(4, "Frames an action lasts; the brighter of the last two is seen, pixel by pixel.", gt=0)
    screen_size: int = option(84, "Height and width.", gt=0)
    grayscale: bool = option(True, "In shades of grey; false keeps three channels a frame.")
    num_frames: int = option(4, "Frames seen at once, oldest first; an episode's first one fills all places.", gt=0)


def check(recipe: Recipe) -> Iterable[Problem]:
    """Frames are skipped in one place only."""
    env: Any = recipe.env
    for i, options in enumerate(env.transforms):
        if not isinstance(options, AtariPreprocessingOptions) or options.frame_skip == 1:
            continue
        where = ("env", "transforms", i, "frame_skip")
        own = kwargs_of(env).get("frameskip", 4)
        if (env_name(env) or "").startswith("ALE/") and own != 1:
            message = (
                f"{env.env_name} skips {own} frames already: the preprocessing's {options.frame_skip} stand on top"
            )
            yield Problem("E302", where, message, "set env.kwargs to {frameskip: 1}", (where[:-1], *ENV))
        if env.frame_skip > 1:
            message = f"frames are skipped twice: {env.frame_skip} by env.frame_skip, {options.frame_skip} here"
            yield Problem("E302", where, message, "remove env.frame_skip", (("env", "frame_skip"),))


@register(
    "transform", "atari_preprocessing", requires={"cv2": "atari"}, check=check, traits=TransformTraits(wraps=True)
)
def make_atari_preprocessing(
    options: AtariPreprocessingOptions, env: gymnasium.Env[Any, Any]
) -> gymnasium.Env[Any, Any]:
    """Gymnasium's AtariPreprocessing (Machado et al., 2018), and the newest frames as one."""
    from gymnasium.wrappers import AtariPreprocessing

    from rlrecipe.stepping.wrappers.stack_frames import StackFrames

    single = AtariPreprocessing(
        env,
        noop_max=options.noop_max,
        frame_skip=options.frame_skip,
        screen_size=options.screen_size,
        grayscale_obs=options.grayscale,
    )
    return StackFrames(single, options.num_frames)
