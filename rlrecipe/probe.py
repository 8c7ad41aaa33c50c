"""What only building an environment can tell about a recipe: its id, its spaces, the device."""

from __future__ import annotations

import difflib
import importlib.util
import re
from collections.abc import Callable
from typing import Any

import gymnasium
import torch

from rlrecipe.build import spaces_of
from rlrecipe.recipe.errors import Problem
from rlrecipe.recipe.schema import Recipe

ATARI = "pip install 'rlrecipe[atari]'"


def probe(recipe: Recipe) -> list[Problem]:
    """What is wrong with a valid recipe's environment, spaces and device. Builds one environment."""
    try:
        spaces = spaces_of(recipe)
    except Exception as error:
        return [_environment_problem(recipe, error)]
    problems = []
    shape = getattr(spaces.observation, "shape", None)
    if not isinstance(spaces.observation, gymnasium.spaces.Box) or shape is None:
        problems.append(
            Problem(
                "E301",
                ("env",),
                f"{recipe.algorithm.component.name} reads one array, but the environment observes {spaces.observation}",
                "add the transform flatten_observation to env.transforms",
            )
        )
    options: Any = getattr(recipe.networks["policy"], "distribution", None)
    fits: Callable[[Any], str | None] = _any_fits if options is None else options.component.traits["fits"]
    misfit = fits(spaces.action)
    if misfit is not None:
        path = ("env",) if options is None else ("networks", "policy", "distribution")
        problems.append(Problem("E301", path, misfit, None))
    return [*problems, *_device_problems(recipe)]


def _any_fits(space: Any) -> str | None:
    if isinstance(space, gymnasium.spaces.Discrete | gymnasium.spaces.Box):
        return None
    return f"no distribution here acts in {space}; use an environment with Discrete or Box actions"


def _environment_problem(recipe: Recipe, error: Exception) -> Problem:
    name = getattr(recipe.env, "env_name", recipe.env.component.name)
    where = ("env", "env_name") if hasattr(recipe.env, "env_name") else ("env",)
    text = str(error).split("\n")[0]
    extra = re.search(r"gymnasium\[([a-z0-9-]+)\]", text)
    if isinstance(error, gymnasium.error.DependencyNotInstalled | ModuleNotFoundError):
        cure = f"pip install 'rlrecipe[{extra[1]}]'" if extra else f"pip install what it needs: {text}"
        return Problem("E401", where, f"{name} needs a package that is not installed: {text}", cure)
    if str(name).startswith("ALE/") and importlib.util.find_spec("ale_py") is None:
        return Problem("E401", where, f"{name} needs the Atari emulator, which is not installed", ATARI)
    if isinstance(error, gymnasium.error.UnregisteredEnv | gymnasium.error.DeprecatedEnv):
        near = difflib.get_close_matches(str(name), list(gymnasium.registry), n=1, cutoff=0.5)
        return Problem("E102", where, f"no environment is registered as {name!r}", near[0] if near else None)
    if getattr(recipe.env, "kwargs", None):
        where = ("env", "kwargs")
    return Problem("E102", where, f"{name} cannot be built: {type(error).__name__}: {text}", "check env.kwargs")


def _device_problems(recipe: Recipe) -> list[Problem]:
    device = recipe.runtime.device
    kind = device.split(":")[0]
    there = {
        "auto": True,
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if there.get(kind, False):
        return []
    return [Problem("E402", ("runtime", "device"), f"this machine has no {device}", "use auto or cpu")]
