"""What only building an environment can tell about a recipe: its id, its spaces, the device."""

from __future__ import annotations

import difflib
import importlib.util
import re
from typing import Any

import gymnasium
import numpy as np
import torch

from rlrecipe.build import acting_slot, columns, distribution_options, make_learner
from rlrecipe.environments import Spaces, spaces_of
from rlrecipe.errors import UnbuildableError
from rlrecipe.memory import memory_problems
from rlrecipe.recipe.errors import Path, Problem
from rlrecipe.recipe.evaluation import evaluation_env
from rlrecipe.recipe.registry import search
from rlrecipe.recipe.schema import Recipe
from rlrecipe.recipe.shape import components
from rlrecipe.streams import Streams

ATARI = "pip install 'rlrecipe[atari]'"


def probe(recipe: Recipe) -> list[Problem]:
    """What is wrong with a valid recipe's environment, spaces and device. Builds one environment."""
    try:
        spaces = spaces_of(recipe.env)
    except Exception as error:
        return [environment_problem(recipe.env, error, ("env",))]
    problems = [*_evaluation_problems(recipe, spaces)]
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
    fragile = recipe.algorithm.component.traits.get("fragile")
    misfits = list(fragile(recipe, isinstance(spaces.action, gymnasium.spaces.Discrete))) if fragile else []
    misfits = misfits or action_problems(recipe, spaces.action)
    problems += misfits
    if not misfits:
        problems += memory_problems(recipe, spaces)
    if fragile and not problems:
        problems += _building_problems(recipe, spaces)
    return [*problems, *_missing_problems(recipe), *_device_problems(recipe)]


def action_problems(recipe: Recipe, space: Any) -> list[Problem]:
    """Why the algorithm, its distribution or its exploration cannot act in a space."""
    algorithm, kind = recipe.algorithm.component, type(space).__name__
    if kind not in algorithm.traits["acts_in"]:
        others = [c.name for c in search("algorithm") if kind in c.traits.get("acts_in", {})]
        kinds = " and ".join(algorithm.traits["acts_in"])
        message = f"{algorithm.name} acts in {kinds} spaces, but the environment takes {space}"
        cure = f"use {', '.join(others)}" if others else "wrap the environment so that it takes Discrete or Box actions"
        return [Problem("E301", ("algorithm",), message, cure)]
    slot = acting_slot(recipe)
    given = getattr(recipe.networks[slot], "distribution", None)
    distribution, path = distribution_options(recipe, space), ("networks", slot, "distribution")
    found = [(distribution, ("env",) if given is None else path)]
    if recipe.exploration is not None:
        found.append((recipe.exploration, ("exploration",)))
    problems = []
    for options, place in found:
        misfit = options.component.traits["fits"](space)
        if misfit is not None:
            problems.append(Problem("E301", place, misfit, None))
    return problems


def _building_problems(recipe: Recipe, spaces: Spaces) -> list[Problem]:
    """What is wrong with an algorithm that only building it and trying it out can tell."""
    try:
        learner = make_learner(recipe, spaces, Streams(recipe.seed), torch.device("cpu"))
        rows = {key: np.zeros((2, *shape), kind) for key, (shape, kind) in columns(learner.policy, spaces).items()}
        rows |= learner.algorithm.noise(np.random.default_rng(recipe.seed), 2)
        for array in rows.values():
            # Not zeros: what a loss leaves out shows in what it gives.
            if array.dtype == np.float32:
                array += 0.5
        rows["gamma"] = np.full(2, learner.algorithm.gamma**learner.algorithm.n_steps, np.float32)
        if recipe.replay_buffer is not None and recipe.replay_buffer.component.traits.get("weighted"):
            rows["priority_weight"] = np.ones(2, np.float32)
        batch = {key: torch.from_numpy(array) for key, array in rows.items()}
        learner.algorithm.try_out(learner.parameters.params, batch)
    except UnbuildableError as error:
        return [Problem("E302", error.path, str(error), error.cure)]
    return []


def _missing_problems(recipe: Recipe) -> list[Problem]:
    """What components miss on this machine that only loading it can tell."""
    probes = [(path, options.component.traits.get("probe")) for path, options in components(recipe)]
    found = [(path, check()) for path, check in probes if check is not None]
    return [Problem("E401", (*path, "name"), *missing) for path, missing in found if missing is not None]


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


def environment_problem(options: Any, error: Exception, path: Path) -> Problem:
    """Why an environment cannot be built, as a problem at ``path`` or below."""
    if isinstance(error, UnbuildableError):
        return Problem("E301", (*path, *error.path), str(error), error.cure)
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
    kind, _, number = device.partition(":")
    there = {
        "auto": True,
        "cpu": True,
        "cuda": (number or "0").isdecimal() and int(number or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available(),
    }
    if there.get(kind, False):
        return []
    return [Problem("E402", ("runtime", "device"), f"this machine has no {device}", "use auto or cpu")]
