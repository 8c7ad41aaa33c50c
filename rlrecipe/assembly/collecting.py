"""Where experience comes from and where it is kept: exploration, collector, replay buffer, sampler."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from functools import partial, reduce
from typing import TYPE_CHECKING, Any, NamedTuple

import gymnasium
import numpy as np

from rlrecipe.acting.policy import Policy
from rlrecipe.assembly.constructors import EnvConstructor, options_of
from rlrecipe.assembly.environments import Environments, Spaces, in_phase, make_transforms, spaces_of
from rlrecipe.assembly.learning import Learner
from rlrecipe.assembly.numbers import Numbers
from rlrecipe.assembly.sections import Section, check, read, refuse
from rlrecipe.clock import Clock
from rlrecipe.interfaces import Collector, Exploration, Key, ReplayBuffer, Sampler, Transform
from rlrecipe.loop.minibatches import Minibatches
from rlrecipe.machine import cores
from rlrecipe.recipe.adapt import shared
from rlrecipe.recipe.asked import init_random_frames, num_envs
from rlrecipe.recipe.errors import Problem
from rlrecipe.recipe.imports import Imported
from rlrecipe.recipe.options import Options
from rlrecipe.recipe.schema import Recipe
from rlrecipe.recipe.traits import AlgorithmTraits, CollectorTraits, ExplorationTraits, TransformTraits
from rlrecipe.recipe.values import DISCOUNT
from rlrecipe.stepping.observations import dtype_of, packing_of
from rlrecipe.stepping.packing import OBSERVATIONS, Packing
from rlrecipe.streams import Stream, Streams

if TYPE_CHECKING:
    from rlrecipe.replay.base import Transitions


def make_exploration(options: Any, space: Any, num_envs: int, numbers: Numbers) -> Exploration | None:
    """What makes the policy try other actions in ``space``."""
    if options is None:
        return None
    exploration: Exploration = options.component.build(options, space, num_envs, numbers)
    return exploration


def make_collector_onpolicy(
    env: Section | EnvConstructor,
    policy: Policy,
    collector: Section | None = "sync",
    *,
    exploration: Exploration | None = None,
    transforms: Mapping[str, Transform] | None = None,
    streams: Streams | None = None,
    frames: Callable[[], int] | None = None,
    capture: str | None = None,
    imports: Sequence[Imported] | None = None,
    **options: Any,
) -> Collector:
    """A collector whose batches show observations and rewards as the policy sees them.

    Args:
        env: the environments: an id, the section, or a constructor of ``transformed_env_constructor``.
        policy: what acts.
        collector: the section.
        exploration: changes the policy's actions, for an algorithm that allows it.
        transforms: of ``env``, by name; by default new ones, with the default discount.
        streams: random streams; by default those of seed 0.
        frames: the run's frames before a batch, asked once for each; by default the collector's own.
        capture: the method that saves an environment in the middle of its episode (``choose`` of
            ``rlrecipe.stepping.capture``); without one, a collector that is restored starts new episodes.
        imports: user's files and modules that worker processes have to load; by default what ``Sent`` says.
        options: single options of ``collector``, such as ``frames_per_batch``.

    Raises:
        RecipeError: the options are wrong, or do not fit one another.
    """
    given = Surroundings(exploration, transforms, streams or Streams(0), frames, capture, imports)
    return _of_sections(env, policy, read("collector", collector, options), given, raw=False)


def make_collector_offpolicy(
    env: Section | EnvConstructor,
    policy: Policy,
    collector: Section | None = "sync",
    *,
    exploration: Exploration | Section | None = None,
    transforms: Mapping[str, Transform] | None = None,
    streams: Streams | None = None,
    frames: Callable[[], int] | None = None,
    capture: str | None = None,
    imports: Sequence[Imported] | None = None,
    **options: Any,
) -> Collector:
    """A collector whose batches are for a replay buffer: raw, to be normalised when they are drawn.

    Args and errors are those of ``make_collector_onpolicy``; ``exploration`` may be a section, too, and
    ``init_random_frames`` of ``options`` says how many frames have random actions first.
    """
    spaces, streams = None, streams or Streams(0)
    if isinstance(exploration, str | Mapping | Options):
        chosen, vector = read("exploration", exploration), options_of(env)
        spaces = spaces_of(vector)
        misfit = ExplorationTraits.of(chosen).fits(spaces.action)
        if misfit is not None:
            refuse([Problem("E301", ("exploration",), misfit)])
        exploration = make_exploration(chosen, spaces.action, vector.num_envs, Numbers())
    given = Surroundings(exploration, transforms, streams, frames, capture, imports)
    return _of_sections(env, policy, read("collector", collector, options), given, spaces, raw=True)


class Surroundings(NamedTuple):
    """What a collector is given besides its options."""

    exploration: Exploration | None
    transforms: Mapping[str, Transform] | None
    streams: Streams
    frames: Callable[[], int] | None
    capture: str | None
    imports: Sequence[Imported] | None


def _of_sections(
    env: Section | EnvConstructor,
    policy: Policy,
    options: Any,
    given: Surroundings,
    spaces: Spaces | None = None,
    *,
    raw: bool,
) -> Collector:
    """The collector of sections that no recipe has checked."""
    vector = options_of(env)
    chooses = "frames_per_batch" in type(options).model_fields
    if chooses and "frames_per_batch" not in options.model_fields_set:
        options = options.model_copy(update={"frames_per_batch": shared(options.frames_per_batch, vector.num_envs)})
    check(env=vector, collector=options)
    if given.transforms is None:
        observed = (spaces or spaces_of(vector)).observation
        given = given._replace(transforms=make_transforms(vector, observed, DISCOUNT, given.streams))
    return collector_of(vector, policy, with_workers(options, vector), given, raw=raw)


def collector_of(vector: Any, policy: Policy, options: Any, given: Surroundings, *, raw: bool) -> Collector:
    """The collector of options that were checked.

    Args:
        vector: options of ``env``.
        policy: what acts.
        options: of ``collector``, with a number of workers where it has some.
        given: what else it works with; transforms are there.
        raw: whether batches are for a replay buffer, to be normalised when they are drawn.
    """
    streams, transforms = given.streams, given.transforms or {}
    # A collector of a dataset has no frames to choose the number of.
    steps = "frames_per_batch" in type(options).model_fields
    environments = Environments(vector, partial(streams.integer, Stream.ENVIRONMENT), given.capture, given.imports)
    collector: Collector = options.component.build(
        options,
        # Worker processes build their own.
        environments if CollectorTraits.of(options).processes else environments(),
        policy,
        [transforms[name] for name in in_phase(vector, "train")],
        streams.generator(Stream.ACTION),
        given.frames or itertools.count(0, options.frames_per_batch if steps else 0).__next__,
        given.exploration,
        raw=raw,
    )
    return collector


def with_workers(collector: Any, env: Any) -> Any:
    """Options of a collector with a number of workers, where it has some and they leave it to the machine."""
    share_out = CollectorTraits.of(collector).shared_out
    return collector if share_out is None else share_out(collector, num_envs(env), cores())


def width_of(collector: Any, env: Any) -> int:
    """Environments in each batch of a collector."""
    width, count = CollectorTraits.of(collector).width, num_envs(env)
    return count if width is None else width(collector, count)


def columns(spaces: Spaces, action: np.ndarray) -> dict[Key, tuple[tuple[int, ...], np.dtype[Any]]]:
    """Shape and type of one row of each key of a transition.

    Args:
        spaces: of the environment.
        action: one row of actions as they are stored, ``[1, ...]``.
    """
    observation = (tuple(spaces.observation.shape), dtype_of(spaces.observation))
    flag = ((), np.dtype(np.bool_))
    return {
        "observation": observation,
        "action": (action.shape[1:], action.dtype),
        ("next", "observation"): observation,
        ("next", "reward"): ((), np.dtype(np.float32)),
        ("next", "terminated"): flag,
        ("next", "truncated"): flag,
    }


def packings(spaces: Spaces) -> dict[Key, Packing]:
    """Observations that are kept as bytes: pictures beside other entries."""
    packing = packing_of(spaces.observation)
    return {} if packing is None else dict.fromkeys(OBSERVATIONS, packing)


def batches_of_bytes(recipe: Recipe) -> bool:
    """Whether batches keep pictures beside other entries as bytes: nobody but networks reads or changes them."""
    env: Any = recipe.env
    transforms = map(TransformTraits.of, env.transforms)
    keep = all(each.wraps or each.keeps_pictures for each in transforms)
    return AlgorithmTraits.of(recipe.algorithm).reads_bytes and keep and not recipe.hooks


def stored_action(spaces: Spaces, policy: Policy | None = None) -> np.ndarray:
    """One row of actions as a policy stores them; without one, as all of this package's do."""
    if policy is not None:
        return policy.act(np.zeros((1, *policy.shape(spaces.observation.shape)), np.float32), None)
    kind = np.int64 if isinstance(spaces.action, gymnasium.spaces.Discrete) else np.float32
    return np.zeros((1, *spaces.action.shape), kind)


def make_replay_buffer(
    replay_buffer: Section | None = "uniform",
    *,
    env: Section | EnvConstructor,
    spaces: Spaces | None = None,
    policy: Policy | None = None,
    n_steps: int = 1,
    gamma: float = DISCOUNT,
    transforms: Mapping[str, Transform] | None = None,
    streams: Streams | None = None,
    numbers: Numbers | None = None,
    include_content: bool = True,
    num_envs: int | None = None,
    **options: Any,
) -> ReplayBuffer:
    """A buffer of transitions.

    Args:
        replay_buffer: the section.
        env: the environments whose batches it takes.
        spaces: theirs; by default one is built to see them.
        policy: whose actions are stored; without one they are taken to be whole numbers in Discrete spaces, and
            as the space has them in others.
        n_steps: steps of an n-step return.
        gamma: discount of each of them.
        transforms: of ``env``, by name: what rewards are seen through when they are drawn.
        streams: random streams; by default those of seed 0.
        numbers: makes the numbers that follow a schedule; by default none may.
        include_content: whether its state holds the rows.
        num_envs: environments in each batch (``width_of`` a collector), where those are not all of ``env``.
        options: single options of the section, such as ``batch_size``.

    Raises:
        RecipeError: the options are wrong, or do not fit one another.
    """
    chosen, vector = read("replay_buffer", replay_buffer, options), options_of(env)
    check(env=vector, replay_buffer=chosen)
    spaces = spaces or spaces_of(vector)
    seen = [transforms[name] for name in in_phase(vector, "train")] if transforms else []
    width = vector.num_envs if num_envs is None else num_envs
    held = transitions(spaces, policy, seen, width, n_steps, gamma)._replace(include_content=include_content)
    return buffer_of(chosen, held, streams or Streams(0), numbers or Numbers())


def transitions(
    spaces: Spaces, policy: Policy | None, seen: Sequence[Transform], num_envs: int, n_steps: int, gamma: float
) -> Transitions:
    """What a replay buffer is to hold.

    Args:
        spaces: of one environment.
        policy: whose actions are stored.
        seen: the transforms that rewards are seen through when they are drawn.
        num_envs: environments in each batch.
        n_steps: steps of an n-step return.
        gamma: discount of each of them.
    """
    row = columns(spaces, stored_action(spaces, policy))
    reward = partial(reduce, lambda reward, apply: apply(reward), [each.apply_reward for each in seen])
    # A run without a buffer does without.
    from rlrecipe.replay.base import Transitions

    return Transitions(row, num_envs, n_steps, gamma, reward if seen else None, packings(spaces))


def buffer_of(options: Any, held: Transitions, streams: Streams, numbers: Numbers) -> ReplayBuffer:
    """The replay buffer of options that were checked, for rows as ``held`` says."""
    buffer: ReplayBuffer = options.component.build(options, held, streams.generator(Stream.SAMPLER), numbers)
    return buffer


def make_sampler(
    recipe: Recipe,
    learner: Learner,
    buffer: ReplayBuffer | None,
    transforms: Mapping[str, Transform],
    streams: Streams,
    clock: Clock,
) -> Sampler:
    """Where the sub-batches of updates come from: the newest batch, or the buffer."""
    if buffer is None:
        remembers = learner.policy.front is not None
        rng = streams.generator(Stream.PERMUTATION)
        return Minibatches(learner.algorithm, rng, remembers=remembers, packing=learner.policy.packing)
    # A run without a buffer does without.
    from rlrecipe.loop.replayed import Ratio, Replay

    trainer = recipe.trainer
    starts = init_random_frames(recipe.collector)
    return Replay(
        buffer,
        learner.algorithm,
        [transforms[name] for name in in_phase(recipe.env, "train")],
        Ratio(starts, trainer.updates_per_frame, trainer.optim_steps_per_batch),
        clock,
        streams.generator(Stream.NOISE),
        learner.parameters.flat.device,
    )
