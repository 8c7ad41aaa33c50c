"""Environments of torchrl's by their class."""

from __future__ import annotations

import difflib
import functools
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from rlrecipe.envs.base import EnvOptions
from rlrecipe.headless import choose_renderer, hide_windows
from rlrecipe.lazy import gymnasium
from rlrecipe.recipe.errors import Problem
from rlrecipe.recipe.options import option
from rlrecipe.recipe.registry import register
from rlrecipe.torchrl_source import exported

if TYPE_CHECKING:
    from rlrecipe.recipe.schema import Recipe

_BATCHED = "it is several environments in one; name the single one, and set env.num_envs"
_MODEL = "it needs a network for a world"
#: Classes that cannot be named, and why.
REFUSED = {
    **dict.fromkeys(("ParallelEnv", "SerialEnv", "MultiThreadedEnv", "AutoResetEnv"), _BATCHED),
    **dict.fromkeys(("DreamerEnv", "ImaginedEnv", "WorldModelEnv"), _MODEL),
    "TransformedEnv": "name the environment, and its transforms in env.transforms",
    "LLMHashingEnv": "text and other entries that are no tensors are not read here",
    "GymLikeEnv": "it is what other environments derive from; name one of those",
}


@functools.cache
def environments() -> frozenset[str]:
    """Classes that can be named; read from torchrl's source, which is not imported for it."""
    named = {name for name in exported("envs") if name.endswith("Env")}
    return frozenset(named - set(exported("envs", "transforms")) - REFUSED.keys())


class TorchRLOptions(EnvOptions):
    """An environment of torchrl's by its class; kind gym is faster for what gymnasium has."""

    env: str = option(..., "The class in torchrl.envs, such as PendulumEnv.", min_length=1)
    env_name: str | None = option(None, "What the class takes first, such as GymEnv's id.", min_length=1)
    kwargs: dict[str, Any] = option({}, "Further arguments of its constructor.")
    observation_keys: list[str] = option(
        [], "Entries to observe, nested ones with dots; all by default. One is observed as it is, several as a dict."
    )
    reward_key: str | None = option(None, "The entry that is the reward, where there are several.")


def misfit(name: str) -> tuple[str, str | None] | None:
    """Why there is no such environment, and the nearest one that there is; None if there is."""
    if name in environments():
        return None
    if name in REFUSED:
        return f"torchrl's {name} cannot be used: {REFUSED[name]}", None
    nearest = difflib.get_close_matches(name, environments(), 1, 0.5)
    known = ", ".join(sorted(environments()))
    return f"torchrl has no environment {name!r}; there are: {known}", nearest[0] if nearest else None


def check(recipe: Recipe) -> Iterable[Problem]:
    """The class has to be one of torchrl's."""
    options = recipe.env
    assert isinstance(options, TorchRLOptions)
    found = misfit(options.env)
    if found is not None:
        yield Problem("E302", ("env", "env"), *found)


@register("env", "torchrl", check=check)
def make_torchrl(options: TorchRLOptions, render_mode: str | None) -> gymnasium.Env[Any, Any]:
    """One environment.

    Raises:
        ValueError: torchrl has none of this name, or none that can be used here.
    """
    found = misfit(options.env)
    if found is not None:
        raise ValueError(found[0])
    import torchrl.envs

    from rlrecipe.torchrl_env import Played, TorchRLEnv

    kind = getattr(torchrl.envs, options.env)
    kwargs = dict(options.kwargs)
    if render_mode is not None:
        hide_windows()
        choose_renderer()
    if render_mode is not None and issubclass(kind, torchrl.envs.GymWrapper):
        kwargs["render_mode"] = render_mode
    inner = kind(*(() if options.env_name is None else (options.env_name,)), **kwargs)
    try:
        played = Played(inner, options.observation_keys, options.reward_key)
    except Exception:
        inner.close()
        raise
    return TorchRLEnv(played, render_mode)
