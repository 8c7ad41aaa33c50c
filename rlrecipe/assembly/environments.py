"""Environments and what stands between them and the policy, from the options of ``env``."""

from __future__ import annotations

import difflib
import importlib.util
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import gymnasium
import numpy as np

from rlrecipe.errors import EnvironmentFault, UnbuildableError
from rlrecipe.interfaces import Spaces as Spaces
from rlrecipe.interfaces import Transform, Vectored
from rlrecipe.recipe.asked import HasEnvClass, discount, env_name, has, kwargs_of
from rlrecipe.recipe.errors import Path, Problem
from rlrecipe.recipe.imports import Imported
from rlrecipe.recipe.options import Options
from rlrecipe.recipe.registry import package_of, reason_of
from rlrecipe.recipe.schema import Recipe
from rlrecipe.recipe.traits import EnvTraits, TransformTraits
from rlrecipe.stepping.capture import Recording, record
from rlrecipe.stepping.observations import as_rows
from rlrecipe.stepping.rollout import Lend, random_rollout
from rlrecipe.stepping.vector import Vector
from rlrecipe.stepping.wrappers.checked import checked, layer_of, told
from rlrecipe.stepping.wrappers.resetting import begin_with
from rlrecipe.streams import Stream, Streams

Env = gymnasium.Env[Any, Any]
ATARI = "pip install 'rlrecipe[atari]'"
OCCUPIED = "set env.num_envs to 1 where one can live at a time, and free in close() all that the constructor takes"
FAILING = "run its reset and step with actions of action_space.sample(); env.reset_options are handed to each reset"


def make_env(options: Any, phase: str = "train", render_mode: str | None = None) -> Env:
    """One environment with its frame skip and the transforms that wrap it; it observes one array.

    Args:
        options: of ``env``.
        phase: "train" or "eval": transforms of the other phase are left out.
        render_mode: gymnasium's.

    Raises:
        UnbuildableError: a transform does not fit the environment; its path begins below the environment's.
        EnvironmentFault: it breaks gymnasium's interface.
    """
    return dressed(_bare(options, render_mode), options, phase)


def name_of(options: Any) -> str:
    """What an environment is called in messages."""
    name: str = env_name(options) or options.component.name
    return name


def _bare(options: Any, render_mode: str | None) -> Env:
    """An environment by its kind, its answers looked at; nothing of a recipe stands around it."""
    name = name_of(options)
    try:
        env: Env = options.component.build(options, render_mode)
    except (Exception, KeyboardInterrupt):
        raise
    except BaseException as error:
        cure = "raise an exception that says what went wrong"
        raise EnvironmentFault(f"{name} cannot be built: its constructor raised {told(error)}", cure) from error
    try:
        begin_with(env, options.reset_options)
        return checked(env, name, copies=_wraps(options))
    except (UnbuildableError, EnvironmentFault):
        env.close()
        raise


def _wraps(options: Any) -> bool:
    return any(TransformTraits.of(transform).wraps for transform in options.transforms)


def dressed(env: Env, options: Any, phase: str) -> Env:
    """An environment under its frame skip and the transforms of a phase."""
    if options.frame_skip > 1:
        env = _FrameSkip(env, options.frame_skip)
    for i, transform in enumerate(options.transforms):
        if TransformTraits.of(transform).wraps and transform.phase in (phase, "both"):
            env = _wrapped(env, transform, i)
    if layer_of(env) is None:
        env = checked(env, name_of(options), dressed=True)
    env = as_rows(env)
    try:
        _refuse_misfits(options, env.observation_space, phase)
    except UnbuildableError:
        env.close()
        raise
    return env


def _refuse_misfits(options: Any, space: Any, phase: str) -> None:
    """Raise where a transform behind the environments has no use for what they observe."""
    for i, transform in enumerate(options.transforms):
        fits = TransformTraits.of(transform).fits
        misfit = fits(space) if fits is not None and transform.phase in (phase, "both") else None
        if misfit is not None:
            raise UnbuildableError(("transforms", i), misfit, "remove it")


def _wrapped(env: Env, options: Any, index: int) -> Env:
    name = options.component.name
    try:
        wrapped: Env = options.component.build(options, env)
    except (gymnasium.error.DependencyNotInstalled, ModuleNotFoundError):
        env.close()
        raise
    except Exception as error:
        env.close()
        said = str(error).split("\n")[0]
        what = said if isinstance(error, ValueError) else f"{type(error).__name__}: {said}"
        cure = f"rlrecipe describe transform/{name} shows its options"
        raise UnbuildableError(("transforms", index), f"{name} cannot stand here: {what}", cure) from error
    return wrapped


class _FrameSkip(gymnasium.Wrapper):
    """Repeats each action; rewards add up, and an episode's end ends the repetition."""

    def __init__(self, env: Env, skip: int) -> None:
        super().__init__(env)
        self.skip = skip

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        total = 0.0
        for _ in range(self.skip):
            observation, reward, terminated, truncated, info = self.env.step(action)
            total += float(reward)
            if terminated or truncated:
                break
        return observation, total, terminated, truncated, info


@dataclass(frozen=True)
class Environments:
    """Builds the environments of a run, or some of them; plain data, so that it can be sent to another process.

    Attributes:
        options: of ``env``.
        seed: of each environment, by index.
        capture: the method that saves one in the middle of its episode, or None.
        imports: what another process has to load for them; by default what ``Sent`` says.
    """

    options: Any
    seed: Callable[[int], int]
    capture: str | None = None
    imports: Sequence[Imported] | None = None

    @property
    def num_envs(self) -> int:
        """How many there are."""
        n: int = self.options.num_envs
        return n

    def __call__(self, rows: range | None = None) -> Vectored:
        """Those of a range, or all, stepped in this process: in turn, or as their kind steps several (``vector``)."""
        chosen, make = range(self.num_envs) if rows is None else rows, partial(make_env, self.options)
        own = EnvTraits.of(self.options).vector
        try:
            if own is not None:
                return own(self.options, make, chosen, self.seed, self.capture)
            return Vector([make] * len(chosen), self.seed, self.capture, chosen.start, self.num_envs)
        except (EnvironmentFault, UnbuildableError):
            raise
        except Exception as error:
            # It was tried before, and could be built.
            message = f"{name_of(self.options)}: {len(chosen)} to train in cannot be built: {told(error)}"
            raise EnvironmentFault(message, OCCUPIED) from error


def spaces_of(options: Any, phase: str = "train") -> Spaces:
    """The spaces of an environment by its options."""
    env = make_env(options, phase)
    try:
        return Spaces(env.observation_space, env.action_space)
    finally:
        env.close()


@dataclass(frozen=True)
class Found:
    """What an environment showed that was built to be tried, and closed; nothing trains in it.

    Attributes:
        spaces: what it observes and takes.
        recording: what it did.
        hints: answers of another type than its spaces or the interface say.
    """

    spaces: Spaces
    recording: Recording
    hints: tuple[str, ...]


def tried(options: Any, phase: str = "train", *, capture: bool = True) -> Found:
    """One environment, after random actions.

    Args:
        options: of ``env``.
        phase: "train" or "eval".
        capture: whether to try how it can be saved, too.

    Raises:
        EnvironmentFault: it breaks gymnasium's interface, or fails.
    """
    env, name = make_env(options, phase), name_of(options)
    try:
        recording = record(env, capture=capture)
    except (EnvironmentFault, gymnasium.error.DependencyNotInstalled, ModuleNotFoundError):
        raise
    except Exception as error:
        raise EnvironmentFault(f"{name} failed under random actions: {told(error)}", FAILING) from error
    finally:
        env.close()
    layer = layer_of(env)
    hints = layer.hints if layer is not None else ()
    return Found(Spaces(env.observation_space, env.action_space), recording, tuple(f"{name}: {hint}" for hint in hints))


def make_transforms(
    options: Any, space: Any, gamma: float, streams: Streams | None = None, lend: Lend | None = None
) -> dict[str, Transform]:
    """The transforms that stand between the environments and the policy, by the name of their state.

    Args:
        options: of ``env``.
        space: of observations.
        gamma: the algorithm's discount.
        streams: the run's, where what a random rollout shows may be measured; None where all of it is loaded.
        lend: lends a random rollout an environment that trains, where none can be built beside it.
    """
    # The others wrap each environment.
    between = {name: one for name, one in named(options.transforms).items() if not TransformTraits.of(one).wraps}
    made: dict[str, Transform] = {}
    for i, (name, transform) in enumerate(between.items()):
        given: list[Any] = [space, options.num_envs, gamma]
        if TransformTraits.of(transform).measures:
            given.append(None if streams is None else partial(_rows, options, streams, i, lend))
        made[name] = transform.component.build(transform, *given)
    return made


def _rows(options: Any, streams: Streams, i: int, lend: Lend | None, steps: int) -> Iterator[np.ndarray]:
    """What the environment shows of so many random steps, for the transform of that place."""
    return random_rollout(partial(make_env, options), steps, seed=streams.integer(Stream.ROLLOUT, i), lend=lend)


def transforms_of(
    recipe: Recipe, spaces: Spaces, streams: Streams | None = None, lend: Lend | None = None
) -> dict[str, Transform]:
    """The transforms of a recipe, with the discount of its algorithm; without discounting where that has none."""
    return make_transforms(recipe.env, spaces.observation, discount(recipe.algorithm), streams, lend)


def in_phase(options: Any, phase: str) -> list[str]:
    """Names of the transforms that ``make_transforms`` makes and that apply in "train" or "eval"."""
    return [
        name
        for name, transform in named(options.transforms).items()
        if not TransformTraits.of(transform).wraps and transform.phase in (phase, "both")
    ]


def named(components: Sequence[Options]) -> dict[str, Any]:
    """Components by name; the second of a name keeps its state under a name of its own."""
    named: dict[str, Any] = {}
    for options in components:
        name = options.component.name
        same = sum(other.split(".")[0] == name for other in named)
        named[f"{name}.{same}" if same else name] = options
    return named


def _similar(name: str) -> str | None:
    """The newest version of the registered id that is most like a name, if one is."""
    newest: dict[str, str] = {}
    for each in gymnasium.registry:
        newest[_unversioned(each)] = each
    near = difflib.get_close_matches(_unversioned(name), newest, 1, 0.7)
    return newest[near[0]] if near else None


def _unversioned(name: str) -> str:
    return re.sub(r"-v[0-9]+$", "", name)


def environment_problem(options: Any, error: Exception, path: Path) -> Problem:
    """Why an environment cannot be built, as a problem at ``path`` or below."""
    if isinstance(error, UnbuildableError):
        return Problem("E301", (*path, *error.path), str(error), error.cure)
    if isinstance(error, EnvironmentFault):
        return Problem("E301", path, error.message, error.cure)
    # Of torchrl's the class, where there is no id.
    key = "env" if env_name(options) is None and has(options, HasEnvClass) else "env_name"
    name = getattr(options, key, options.component.name)
    where = (*path, key) if hasattr(options, key) else path
    text = str(error).split("\n")[0]
    extra = re.search(r"gymnasium\[([a-z0-9-]+)\]", text)
    if isinstance(error, gymnasium.error.DependencyNotInstalled | ImportError):
        package = "rlrecipe" if extra and extra[1] in ("box2d", "mujoco", "atari") else "gymnasium"
        cure = f"pip install '{package}[{extra[1]}]'" if extra else _installing(error, text)
        return Problem("E401", where, f"{name} needs a package that is not installed: {text}", cure)
    if str(name).startswith("ALE/") and importlib.util.find_spec("ale_py") is None:
        return Problem("E401", where, f"{name} needs the Atari emulator, which is not installed", ATARI)
    if isinstance(error, gymnasium.error.UnregisteredEnv | gymnasium.error.DeprecatedEnv):
        known = reason_of("env", str(name))
        if known is not None:
            return _of_a_library(str(name), known, where)
        near = _similar(str(name))
        message = f"no environment is registered as {name!r}"
        if isinstance(error, gymnasium.error.DeprecatedEnv):
            return Problem("E102", where, message, near)
        own = "if a file or module of yours registers it, name that under imports, or with --import"
        return Problem("E102", where, f"{message}; {own}", near)
    if kwargs_of(options):
        where = (*path, "kwargs")
    return Problem("E102", where, f"{name} cannot be built: {type(error).__name__}: {text}", "check env.kwargs")


def _of_a_library(name: str, known: str, where: Path) -> Problem:
    """An id that is the name of a library, whose environments are written in another way."""
    message, package = f"no environment is registered as {name!r}: {known}", package_of("env", name)
    if package is not None:
        return Problem("E401", where, f"{message}; the package {package} is not installed", f"pip install {package}")
    return Problem("E102", where, message)


def _installing(error: Exception, text: str) -> str:
    """How to install what is missing: as the error says it, or by the module's name."""
    said = re.search(r"pip install [\w.\[\]'\"+:/-]+", text)
    if said is not None:
        return said[0]
    found: BaseException | None = error
    while found is not None and not (isinstance(found, ModuleNotFoundError) and found.name):
        found = found.__cause__ or found.__context__
    missing = found.name if isinstance(found, ModuleNotFoundError) and found.name else None
    return f"pip install {missing.partition('.')[0]}" if missing else f"install what it needs: {text}"
