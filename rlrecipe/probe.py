"""What only building an environment can tell about a recipe: its id, its spaces, the device."""

from __future__ import annotations

import difflib
import importlib.util
import os
import re
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import torch

from rlrecipe.build import Spaces, spaces_of
from rlrecipe.recipe.errors import Path, Problem
from rlrecipe.recipe.evaluation import evaluation_env
from rlrecipe.recipe.schema import Recipe

ATARI = "pip install 'rlrecipe[atari]'"


def probe(recipe: Recipe) -> list[Problem]:
    """What is wrong with a valid recipe's environment, spaces and device. Builds one environment."""
    try:
        spaces = spaces_of(recipe.env)
    except Exception as error:
        return [environment_problem(recipe.env, error, ("env",))]
    problems = [*_evaluation_problems(recipe, spaces), *_memory_problems(recipe, spaces)]
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
    if isinstance(space, gymnasium.spaces.Discrete):
        return None
    if isinstance(space, gymnasium.spaces.Box) and np.issubdtype(space.dtype, np.floating):
        return None
    return f"no distribution here acts in {space}; use an environment with Discrete or Box actions"


def _evaluation_problems(recipe: Recipe, spaces: Spaces) -> list[Problem]:
    """What keeps the policy from being evaluated; it would show only after training."""
    if not recipe.evaluation.env:
        return []
    where: Path = ("evaluation", "env")
    try:
        other = spaces_of(evaluation_env(recipe), "eval")
    except Exception as error:
        return [environment_problem(evaluation_env(recipe), error, where)]
    return [Problem("E301", where, difference, None) for difference in [differing(spaces, other)] if difference]


def differing(one: Spaces, other: Spaces) -> str | None:
    """Why a policy for one environment cannot act in another, or None."""
    for what in ("observation", "action"):
        a, b = getattr(one, what), getattr(other, what)
        if type(a) is not type(b) or getattr(a, "shape", None) != getattr(b, "shape", None) or _size(a) != _size(b):
            return f"the policy was made for the {what} space {a}, but this environment has {b}"
    return None


def _size(space: Any) -> int | None:
    return int(space.n) if isinstance(space, gymnasium.spaces.Discrete) else None


def _memory_problems(recipe: Recipe, spaces: Spaces) -> list[Problem]:
    """Batches that do not fit into memory: two observations, an action and a few numbers for each frame."""
    frames = getattr(recipe.collector, "frames_per_batch", 0)
    if not isinstance(spaces.observation, gymnasium.spaces.Box):
        return []
    action = int(np.prod(spaces.action.shape or (1,)))
    row = 4 * (2 * int(np.prod(spaces.observation.shape)) + 2 * action + 8)
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
    if frames * row <= there:
        return []
    needed, free = (f"{size / 2**30:.1f} GiB" for size in (frames * row, there))
    message = f"a batch of {frames} frames x {row} bytes needs {needed}; {free} are free"
    cure = f"make collector.frames_per_batch {there // (4 * row)} or less"
    return [Problem("E303", ("collector", "frames_per_batch"), message, cure)]


def environment_problem(options: Any, error: Exception, path: Path) -> Problem:
    """Why an environment cannot be built, as a problem at ``path`` or below."""
    name = getattr(options, "env_name", options.component.name)
    where = (*path, "env_name") if hasattr(options, "env_name") else path
    text = str(error).split("\n")[0]
    extra = re.search(r"gymnasium\[([a-z0-9-]+)\]", text)
    if isinstance(error, gymnasium.error.DependencyNotInstalled | ModuleNotFoundError):
        package = "rlrecipe" if extra and extra[1] in ("box2d", "mujoco", "atari") else "gymnasium"
        cure = f"pip install '{package}[{extra[1]}]'" if extra else f"install what it needs: {text}"
        return Problem("E401", where, f"{name} needs a package that is not installed: {text}", cure)
    if str(name).startswith("ALE/") and importlib.util.find_spec("ale_py") is None:
        return Problem("E401", where, f"{name} needs the Atari emulator, which is not installed", ATARI)
    if isinstance(error, gymnasium.error.UnregisteredEnv | gymnasium.error.DeprecatedEnv):
        near = difflib.get_close_matches(str(name), list(gymnasium.registry), n=1, cutoff=0.5)
        return Problem("E102", where, f"no environment is registered as {name!r}", near[0] if near else None)
    if getattr(options, "kwargs", None):
        where = (*path, "kwargs")
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
