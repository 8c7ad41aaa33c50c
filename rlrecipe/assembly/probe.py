"""What only building an environment can tell about a recipe: its id, its spaces, the device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
import torch

from rlrecipe.assembly.collecting import columns, stored_action
from rlrecipe.assembly.environments import Found, Spaces, environment_problem, tried
from rlrecipe.assembly.learning import (
    action_problems,
    make_learner,
    make_update,
    network_problems,
    observation_problems,
)
from rlrecipe.assembly.memory_needed import memory_problems
from rlrecipe.clock import Clock
from rlrecipe.errors import HookError, UnbuildableError
from rlrecipe.recipe.errors import Path, Problem
from rlrecipe.recipe.evaluation_env import evaluation_env
from rlrecipe.recipe.schema import Recipe
from rlrecipe.recipe.shape import components
from rlrecipe.recipe.traits import AlgorithmTraits, HookTraits, ReplayBufferTraits
from rlrecipe.recipe.values import Duration
from rlrecipe.streams import Streams


@dataclass(frozen=True)
class Examined:
    """What was found about a recipe before anything of it is built for good.

    Attributes:
        problems: what is wrong with it.
        found: what its environment showed; None where that could not be seen.
    """

    problems: list[Problem]
    found: Found | None


def probe(recipe: Recipe) -> list[Problem]:
    """What is wrong with a valid recipe's environment, spaces and device. Builds one environment."""
    return examine(recipe, capture=False).problems


def examine(recipe: Recipe, *, capture: bool = True) -> Examined:
    """What is wrong with a valid recipe, and what its environment showed. Builds one environment, and closes it.

    Args:
        recipe: a valid one.
        capture: whether to try how the environment can be saved, too.
    """
    try:
        found = tried(recipe.env, capture=capture)
    except Exception as error:
        return Examined([environment_problem(recipe.env, error, ("env",))], None)
    return Examined(_problems(recipe, found.spaces), found)


def _problems(recipe: Recipe, spaces: Spaces) -> list[Problem]:
    problems = [*_evaluation_problems(recipe, spaces)]
    unread = observation_problems(recipe, spaces.observation)
    problems += unread
    fragile = AlgorithmTraits.of(recipe.algorithm).fragile
    misfits = list(fragile(recipe, isinstance(spaces.action, gymnasium.spaces.Discrete))) if fragile else []
    misfits = misfits or action_problems(recipe, spaces.action)
    problems += misfits
    if not misfits and not unread:
        problems += memory_problems(recipe, spaces)
        # One that is fragile is built as a whole, below.
        if not fragile:
            problems += network_problems(recipe, spaces)
    if fragile and not problems:
        problems += _building_problems(recipe, spaces)
    problems += [] if problems else _hook_problems(recipe, spaces)
    return [*problems, *_missing_problems(recipe), *_device_problems(recipe)]


def _building_problems(recipe: Recipe, spaces: Spaces) -> list[Problem]:
    """What is wrong with an algorithm that only building it and trying it out can tell."""
    try:
        learner = make_learner(recipe, spaces, Streams(recipe.seed), torch.device("cpu"))
        row = columns(spaces, stored_action(spaces, learner.policy))
        rows = {key: np.zeros((2, *shape), kind) for key, (shape, kind) in row.items()}
        rows |= learner.algorithm.noise(np.random.default_rng(recipe.seed), 2)
        for array in rows.values():
            # Not zeros: what a loss leaves out shows in what it gives.
            if array.dtype == np.float32:
                array += 0.5
        rows["gamma"] = np.full(2, learner.algorithm.gamma**learner.algorithm.n_steps, np.float32)
        if recipe.replay_buffer is not None and ReplayBufferTraits.of(recipe.replay_buffer).weighted:
            rows["priority_weight"] = np.ones(2, np.float32)
        batch = {key: torch.from_numpy(array) for key, array in rows.items()}
        learner.algorithm.try_out(learner.parameters.params, batch)
    except UnbuildableError as error:
        return [Problem("E302", error.path, str(error), error.cure)]
    return []


def _hook_problems(recipe: Recipe, spaces: Spaces) -> list[Problem]:
    """What is wrong with hooks that only building them, and the update that they take part in, can tell."""
    hooks = [(("hooks", i), options) for i, options in enumerate(recipe.hooks)]
    fragile = [(path, options) for path, options in hooks if HookTraits.of(options).fragile]
    if not fragile:
        return []
    learner = make_learner(recipe, spaces, Streams(recipe.seed), torch.device("cpu"))
    # Nothing is computed here that would be worth compiling.
    eager = recipe.model_copy(update={"runtime": recipe.runtime.model_copy(update={"compile": "off"})})
    update = make_update(eager, learner, Clock(Duration(1)))
    problems = []
    for path, options in fragile:
        try:
            options.component.build(options).fits(update)
        except HookError as error:
            problems.append(Problem("E302", path, str(error)))
    return problems


def _missing_problems(recipe: Recipe) -> list[Problem]:
    """What components miss on this machine that only loading it can tell."""
    probes = [options.component.traits.probe for _, options in components(recipe)]
    return [missing for probe in probes if probe is not None and (missing := probe()) is not None]


def _evaluation_problems(recipe: Recipe, spaces: Spaces) -> list[Problem]:
    """What keeps the policy from being evaluated; it would show only after training."""
    if not recipe.evaluation.env:
        return []
    where: Path = ("evaluation", "env")
    try:
        other = tried(evaluation_env(recipe), "eval", capture=False).spaces
    except Exception as error:
        return [environment_problem(evaluation_env(recipe), error, where)]
    return [Problem("E301", where, difference, None) for difference in [differing(spaces, other)] if difference]


def differing(one: Spaces, other: Spaces) -> str | None:
    """Why a policy for one environment cannot act in another, or None."""
    for what in ("observation", "action"):
        a, b = getattr(one, what), getattr(other, what)
        same = type(a) is type(b) and getattr(a, "shape", None) == getattr(b, "shape", None) and _size(a) == _size(b)
        if not same or getattr(a, "entries", None) != getattr(b, "entries", None):
            return f"the policy was made for the {what} space {a}, but this environment has {b}"
    return None


def _size(space: Any) -> object:
    """How many choices there are, and the first one's number."""
    if isinstance(space, gymnasium.spaces.Discrete):
        return int(space.n), int(space.start)
    if isinstance(space, gymnasium.spaces.MultiDiscrete):
        return space.nvec.tolist(), space.start.tolist()
    return None


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
