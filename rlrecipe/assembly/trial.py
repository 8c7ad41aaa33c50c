"""A recipe tried out: what only building can tell of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial

import gymnasium
import numpy as np
import torch

from rlrecipe.assembly.collecting import columns, stored_action
from rlrecipe.assembly.environments import Found, Spaces, environment_problem, make_env, tried
from rlrecipe.assembly.fitted import Fitted, differing
from rlrecipe.assembly.learning import Learner, make_update
from rlrecipe.assembly.memory_needed import memory_problems
from rlrecipe.assembly.resolve import Compiling, resolve, whether_to_compile
from rlrecipe.clock import Clock
from rlrecipe.errors import HookError, UnbuildableError
from rlrecipe.recipe.errors import Path, Problem
from rlrecipe.recipe.evaluation_env import evaluation_env
from rlrecipe.recipe.load import Loaded
from rlrecipe.recipe.options import Options
from rlrecipe.recipe.schema import Recipe
from rlrecipe.recipe.shape import components
from rlrecipe.recipe.traits import AlgorithmTraits, CollectorTraits, EnvTraits, HookTraits, ReplayBufferTraits
from rlrecipe.recipe.values import Duration
from rlrecipe.stepping.capture import Capture, choose


@dataclass(frozen=True, eq=False)
class Trial:
    """A recipe, and what only building can tell of it. Each question is asked once: when its answer is first read.

    It makes one trainer, whose learner is the one that was tried.

    Attributes:
        given: the recipe as it was loaded.
        captures: whether it will be asked how the environment can be saved.
        said: what the run that goes on said of compiling when it began.
    """

    given: Recipe
    captures: bool = True
    said: Compiling | None = None

    @classmethod
    def of(cls, loaded: Loaded, said: Compiling | None = None) -> Trial:
        """The trial of a recipe that was read.

        Raises:
            RecipeError: the recipe has problems.
        """
        trial = cls(loaded.recipe, said=said)
        trial.refuse(loaded)
        return trial

    def refuse(self, loaded: Loaded) -> None:
        """Raise what is wrong, each at its place.

        Raises:
            RecipeError: the recipe has problems.
        """
        if self.problems:
            raise loaded.error(self.problems)

    @cached_property
    def _tried(self) -> Found | Exception:
        try:
            return tried(self.given.env, capture=self.captures)
        except Exception as error:
            return error

    @property
    def fault(self) -> Exception | None:
        """Why the environment cannot be built, or how it breaks gymnasium's interface; one is built, and closed."""
        return self._tried if isinstance(self._tried, Exception) else None

    @property
    def found(self) -> Found:
        """What the environment showed.

        Raises:
            Exception: its fault.
        """
        if isinstance(self._tried, Exception):
            raise self._tried
        return self._tried

    @property
    def spaces(self) -> Spaces:
        """What the environment observes and takes."""
        return self.found.spaces

    @property
    def hints(self) -> tuple[str, ...]:
        """What it does that is no fault, but not as its spaces or the interface say."""
        return () if self.fault is not None else self.found.hints

    @cached_property
    def fitted(self) -> Fitted:
        """The recipe in the spaces of its environment."""
        return Fitted(self.given, self.spaces)

    @cached_property
    def problems(self) -> list[Problem]:
        """All that is wrong with the recipe."""
        recipe = self.given
        if self.fault is not None:
            return [environment_problem(recipe.env, self.fault, ("env",))]
        fitted, fragile = self.fitted, AlgorithmTraits.of(recipe.algorithm).fragile
        found = _evaluation_problems(self.evaluated_in, self.spaces) if recipe.evaluation.env else []
        unfit = list(fragile(recipe, isinstance(self.spaces.action, gymnasium.spaces.Discrete))) if fragile else []
        unfit = [*fitted.observation_problems, *(unfit or fitted.action_problems)]
        found += unfit
        if not unfit:
            # The networks of one that is fragile are made with all of it, below.
            found += [*memory_problems(fitted), *([] if fragile else fitted.network_problems)]
        if fragile and not found:
            found += _algorithm_problems(recipe, self.spaces, lambda: self.learner)
        if not found:
            found += _hook_problems(recipe, lambda: self.learner)
        return [*found, *_missing_problems(recipe), *_device_problems(recipe)]

    @cached_property
    def evaluated_in(self) -> Options:
        """Options of the environment that the policy is evaluated in."""
        return evaluation_env(self.given)

    @cached_property
    def compiling(self) -> Compiling:
        """Whether updates are compiled, and why."""
        return whether_to_compile(self.given, self.said)

    @cached_property
    def recipe(self) -> Recipe:
        """The recipe with every ``auto`` replaced by what was chosen."""
        return resolve(self.given, lambda: self.fitted, self.compiling)

    @cached_property
    def learner(self) -> Learner:
        """What acts and what learns, on the CPU, as it is before training; this process computes as the recipe says.

        Raises:
            UnbuildableError: networks and losses do not fit each other or the environment.
        """
        _compute_as(self.recipe)
        return self.fitted.make_learner()

    def take_learner(self) -> Learner:
        """The learner, for one trainer: another trainer of this trial begins with another.

        Raises:
            UnbuildableError: as ``learner`` raises it.
        """
        learner = self.learner
        del vars(self)["learner"]
        return learner

    @cached_property
    def capture(self) -> Capture:
        """How the environment can be saved; a second one is built, and closed."""
        assert self.captures, "its recording says how the first one was saved"
        return choose(partial(make_env, self.given.env), recording=self.found.recording)

    @property
    def level(self) -> tuple[str, str]:
        """The level at which the run can be resumed, and why."""
        recipe, device = self.recipe, torch.device(self.recipe.runtime.device)
        if device.type != "cpu":
            return "continue", f"sums on {device.type} have no fixed order"
        if recipe.replay_buffer is not None and not recipe.checkpoint.include_buffer:
            return "continue", "checkpoints leave out the replay buffer (checkpoint.include_buffer: false)"
        level = CollectorTraits.of(recipe.collector).level or EnvTraits.of(recipe.env).level
        if level is not None:
            return level
        for place, duration in _durations(recipe):
            if duration is not None and duration.unit == "seconds":
                return "continue", f"{place} depends on the wall clock"
        return self.capture.level, self.capture.reason


def _algorithm_problems(recipe: Recipe, spaces: Spaces, make: Callable[[], Learner]) -> list[Problem]:
    """What is wrong with an algorithm that only making it and trying it out can tell."""
    try:
        learner = make()
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


def _hook_problems(recipe: Recipe, make: Callable[[], Learner]) -> list[Problem]:
    """What is wrong with hooks that only making them, and the update that they take part in, can tell."""
    hooks = [(("hooks", i), options) for i, options in enumerate(recipe.hooks)]
    fragile = [(path, options) for path, options in hooks if HookTraits.of(options).fragile]
    if not fragile:
        return []
    # Nothing is computed here that would be worth compiling.
    eager = recipe.model_copy(update={"runtime": recipe.runtime.model_copy(update={"compile": "off"})})
    update = make_update(eager, make(), Clock(Duration(1)))
    problems = []
    for path, options in fragile:
        try:
            options.component.build(options).fits(update)
        except HookError as error:
            problems.append(Problem("E302", path, str(error)))
    return problems


def _missing_problems(recipe: Recipe) -> list[Problem]:
    """What components miss on this machine that only loading it can tell."""
    problems = []
    for path, options in components(recipe):
        probe = options.component.traits.probe
        missing = None if probe is None else probe()
        if isinstance(missing, tuple):
            missing = Problem("E401", (*path, "name"), *missing)
        if missing is not None:
            problems.append(missing)
    return problems


def _evaluation_problems(options: Options, spaces: Spaces) -> list[Problem]:
    """What keeps the policy from being evaluated; it would show only after training.

    Args:
        options: of an environment for evaluation that is not the one of training.
        spaces: of the one of training.
    """
    where: Path = ("evaluation", "env")
    try:
        other = tried(options, "eval", capture=False).spaces
    except Exception as error:
        return [environment_problem(options, error, where)]
    return [Problem("E301", where, difference, None) for difference in [differing(spaces, other)] if difference]


def _device_problems(recipe: Recipe) -> list[Problem]:
    """A device that this machine has not."""
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


def _durations(recipe: Recipe) -> Iterator[tuple[str, Duration | None]]:
    """What happens at intervals, by its dotted place."""
    yield "trainer.log_interval", recipe.trainer.log_interval
    yield "evaluation.every", recipe.evaluation.every
    for path, options in components(recipe):
        yield from ((".".join(map(str, (*path, key))), value) for key, value in options if isinstance(value, Duration))


def _compute_as(recipe: Recipe) -> None:
    """Threads and arithmetic of this process, as a resolved recipe asks for them."""
    torch.set_num_threads(int(recipe.runtime.threads))
    if recipe.runtime.deterministic and torch.device(recipe.runtime.device).type != "cpu":
        # cuBLAS asks for it, before its first call.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
