"""Environments registered with gymnasium."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

from rlrecipe.envs.base import EnvOptions, is_users_env
from rlrecipe.lazy import gymnasium
from rlrecipe.recipe.errors import ENV, Problem
from rlrecipe.recipe.names import ENV_ID, Arguments
from rlrecipe.recipe.options import option
from rlrecipe.recipe.registry import register
from rlrecipe.stepping.headless import choose_renderer, hide_windows

if TYPE_CHECKING:
    from rlrecipe.recipe.schema import Recipe


#: Arguments of gymnasium's and the Atari emulator's environments that are plain words.
WORDS = frozenset(("render_mode", "map_name", "desc", "obs_type", "camera_name"))


class GymOptions(EnvOptions):
    """An environment by its gymnasium id."""

    env_name: Annotated[str, ENV_ID] = option(..., "The id, such as CartPole-v1.", min_length=1)
    kwargs: Annotated[dict[str, Any], Arguments(WORDS, free=is_users_env)] = option(
        {}, "Arguments of the environment's constructor; those of installed environments hold numbers and plain words."
    )


def check(recipe: Recipe) -> Iterable[Problem]:
    """What in a recipe cannot go with this environment."""
    options = recipe.env
    assert isinstance(options, GymOptions)
    skip = options.frame_skip
    if options.env_name.startswith("ALE/") and skip > 1 and options.kwargs.get("frameskip") != 1:
        yield Problem(
            "E302",
            ("env", "frame_skip"),
            f"{options.env_name} skips 4 frames already: a skip of {skip} on top makes {4 * skip}",
            f"remove frame_skip, or set env.kwargs.frameskip to 1 and keep {skip}",
            ENV,
        )


@register("env", "gym", check=check)
def make_gym(options: GymOptions, render_mode: str | None) -> gymnasium.Env[Any, Any]:
    """One environment.

    The passive checker is left out: it costs more than a CartPole step and changes nothing.
    """
    if render_mode is not None:
        hide_windows()
    spec = gymnasium.registry.get(options.env_name)
    if spec is not None and "mujoco" in str(spec.entry_point):
        _route_mujoco_warnings()
        if render_mode is not None:
            choose_renderer()
    if options.env_name.startswith("ALE/"):
        _silence_atari()
    # Passed only when asked for: a constructor of one's own may not know the word.
    kwargs = options.kwargs if render_mode is None else {**options.kwargs, "render_mode": render_mode}
    env = gymnasium.make(options.env_name, disable_env_checker=True, **kwargs)
    if render_mode is not None and not any("camera" in name for name in options.kwargs):
        _follow(env.unwrapped)
    if type(env.unwrapped).__name__ == "BipedalWalker":
        _renew_world(env.unwrapped)
    return env


def _silence_atari() -> None:
    """Make Atari's games known to gymnasium, and let their emulator print nothing but errors."""
    try:
        import ale_py
    except ModuleNotFoundError:
        return  # the recipe's check says what to install
    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)


def _follow(env: Any) -> None:
    """Have MuJoCo's pictures taken by the model's own camera that follows its body, where it has one.

    gymnasium 1.4 takes a free one, so that a configuration of it takes effect; HalfCheetah's does not follow, and
    what runs leaves the picture.
    """
    # Its class is another in each version of gymnasium, and importing it needs MuJoCo.
    renderer = getattr(env, "mujoco_renderer", None)
    if renderer is not None and renderer.camera_id == -1:
        names = [env.model.camera(i).name for i in range(env.model.ncam)]
        renderer.camera_id = names.index("track") if "track" in names else -1


def _renew_world(env: Any) -> None:
    """Begin each episode in a new Box2D world, as gymnasium's LunarLander does and its BipedalWalker does not.

    A world remembers in which order its bodies ever touched, so that the same seed and actions would give
    another episode after other episodes: no evaluation and no resumed run could be repeated exactly.
    """
    reset = env.reset

    def renewed(**arguments: Any) -> Any:
        env._destroy()
        env.world = type(env.world)(gravity=env.world.gravity)
        return reset(**arguments)

    env.reset = renewed


def _route_mujoco_warnings() -> None:
    """MuJoCo's warnings as log records: by default it prints them and leaves a file in the working folder."""
    try:
        import mujoco
    except ModuleNotFoundError:
        return  # gymnasium says what to install

    def warn(message: str) -> None:
        # Said of gymnasium's own HalfCheetah at every construction; its user cannot do anything about it.
        if "settotalmass" not in message:
            logging.getLogger("mujoco").warning(message)

    mujoco.set_mju_user_warning(warn)
