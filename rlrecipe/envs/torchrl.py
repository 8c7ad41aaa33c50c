"""Environments of torchrl's by their class."""

from __future__ import annotations

import difflib
import functools
import importlib.util
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

from pydantic_core import PydanticCustomError

from rlrecipe.envs.base import EnvOptions
from rlrecipe.errors import UnbuildableError
from rlrecipe.lazy import gymnasium
from rlrecipe.recipe.errors import Path, Problem
from rlrecipe.recipe.names import ASK, NAMED, SHOWN, Arguments, EnvId, is_id, refused, shortened
from rlrecipe.recipe.options import option
from rlrecipe.recipe.registry import leave_out, register
from rlrecipe.stepping.headless import choose_renderer, hide_windows
from rlrecipe.torchrl.source import exported

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


#: Arguments of these classes that are plain words, or ids in a list of their package's own; the texts of others could
#: name modules, files or programs (``UnityMLAgentsEnv(file_name=...)`` starts one).
WORDS = frozenset(
    ("task_name", "task_suite", "scenario", "map_name", "desc", "substrate", "game_string", "dataset_name",
     "registered_name", "render_mode", "obs_type", "camera_name", "pixels_key", "pixels_sensor", "instruction",
     "mc_version", "device", "group_map")
)  # fmt: skip
IDS = frozenset(("env_name", "task", "task_id"))
#: Others would be imported.
ONLY = {"backend": ("gymnasium", "mujoco-torch", "mjx", "mujoco", "generalized", "positional", "spring")}
#: Classes whose first argument is a file or a program.
_STARTED = {"UnityMLAgentsEnv": "registered_name", "CraftGroundEnv": "port"}


class First(EnvId):
    """What a class takes first: an id, which some of them would import, read or start."""

    def problem(self, text: str, path: Path, others: Mapping[str, Any]) -> PydanticCustomError | None:
        """Modules, paths and programs."""
        found = super().problem(text, path, others)
        if found is None and others.get("env") in _STARTED:
            cure = f"use kwargs: {{{_STARTED[others['env']]}: ...}}"
            return refused(f"what {others['env']} takes first is a file or program of this machine", cure)
        if found is None and not is_id(text):
            return refused(f"{shortened(text)!r} could name a file: expected an id such as CartPole-v1", ASK)
        return found


#: The module that a class imports, and the package that has it; torchrl installs none of them.
PACKAGES = {
    "BraxEnv": ("brax", "brax"),
    "ChessEnv": ("chess", "chess"),
    "CraftGroundEnv": ("craftground", "craftground"),
    "DMControlEnv": ("dm_control", "dm_control"),
    "GenesisEnv": ("genesis", "genesis-world"),
    "HabitatEnv": ("habitat", "habitat-sim"),
    "JumanjiEnv": ("jumanji", "jumanji"),
    "LBForagingEnv": ("lbforaging", "lbforaging"),
    "LiberoEnv": ("libero", "git+https://github.com/Lifelong-Robot-Learning/LIBERO.git"),
    "MJLabEnv": ("mjlab", "mjlab"),
    "MOGymEnv": ("mo_gymnasium", "mo-gymnasium"),
    "MeltingpotEnv": ("meltingpot", "dm-meltingpot"),
    "MujocoPlaygroundEnv": ("mujoco_playground", "playground"),
    "OpenMLEnv": ("sklearn", "scikit-learn"),
    "OpenSpielEnv": ("pyspiel", "open_spiel"),
    "PettingZooEnv": ("pettingzoo", "pettingzoo"),
    "ProcgenEnv": ("procgen", "procgen"),
    "RoboHiveEnv": ("robohive", "robohive"),
    "SMACv2Env": ("smacv2", "git+https://github.com/oxwhirl/smacv2.git"),
    "UnityMLAgentsEnv": ("mlagents_envs", "mlagents_envs"),
    "VmasEnv": ("vmas", "vmas"),
}
#: What users call a library besides the name of its class, in any case and without underscores.
CALLED = {
    "dmc": "DMControlEnv",
    "mlagents": "UnityMLAgentsEnv",
    "mlagentsenvs": "UnityMLAgentsEnv",
    "mogymnasium": "MOGymEnv",
    "playground": "MujocoPlaygroundEnv",
    "pyspiel": "OpenSpielEnv",
    "smac": "SMACv2Env",
    "unity": "UnityMLAgentsEnv",
}
#: Libraries that are called like their classes; ``gym`` is a kind of its own.
CALLED |= {name.removesuffix("Env").lower(): name for name in (*PACKAGES, "IsaacGymEnv")}
for _called, _class in (*CALLED.items(), *((name, name) for name in CALLED.values())):
    _written = f"torchrl has it, written as env: {{name: torchrl, env: {_class}}}, with env_name or kwargs of its own"
    leave_out("env", _called, _written, PACKAGES.get(_class))


def _missing(name: str) -> str | None:
    """The package that a class needs, if it is not there."""
    module, package = PACKAGES.get(name, (None, None))
    return package if module is not None and importlib.util.find_spec(module) is None else None


class TorchRLOptions(EnvOptions):
    """An environment of torchrl's by its class; kind gym is faster for what gymnasium has."""

    env: Annotated[str, NAMED] = option(..., "The class in torchrl.envs, such as PendulumEnv.", min_length=1)
    env_name: Annotated[str | None, First()] = option(
        None, "What the class takes first, such as GymEnv's id.", min_length=1
    )
    kwargs: Annotated[dict[str, Any], Arguments(WORDS, IDS, ONLY)] = option({}, "Further arguments of its constructor.")
    observation_keys: Annotated[list[str], SHOWN] = option(
        [], "Entries to observe, nested ones with dots; all by default. One is observed as it is, several as a dict."
    )
    reward_key: Annotated[str | None, SHOWN] = option(None, "The entry that is the reward, where there are several.")


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
        DependencyNotInstalled: its package is missing.
    """
    found = misfit(options.env)
    if found is not None:
        raise ValueError(found[0])
    package = _missing(options.env)
    if package is not None:
        raise gymnasium.error.DependencyNotInstalled(f"{package}; pip install {package}")
    import torchrl.envs

    from rlrecipe.stepping.wrappers.resetting import begin_with
    from rlrecipe.torchrl.env import Played, TorchRLEnv

    kind = getattr(torchrl.envs, options.env)
    kwargs = dict(options.kwargs)
    if render_mode is not None:
        hide_windows()
        choose_renderer()
    if render_mode is not None and issubclass(kind, torchrl.envs.GymWrapper):
        kwargs["render_mode"] = render_mode
    inner = kind(*(() if options.env_name is None else (options.env_name,)), **kwargs)
    try:
        if options.reset_options and not isinstance(inner, torchrl.envs.GymWrapper):
            message = f"torchrl's {options.env} takes no options at its reset"
            raise UnbuildableError(("reset_options",), message, "remove it")
        if options.reset_options:
            begin_with(inner._env, options.reset_options)
        played = Played(inner, options.observation_keys, options.reward_key)
    except Exception:
        inner.close()
        raise
    return TorchRLEnv(played, render_mode)
