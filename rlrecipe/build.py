"""From a recipe to a trainer: the only place that joins components. Read it top to bottom.

``environments.py`` makes the environments, ``resolve.py`` what a recipe leaves to the machine.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial, reduce
from typing import Any

import numpy as np
import torch

from rlrecipe.capture import Choice, choose
from rlrecipe.clock import Clock
from rlrecipe.compiled import make_engine
from rlrecipe.environments import Spaces, in_phase, make_env, make_stage, make_transforms, named, spaces_of
from rlrecipe.interfaces import (
    Algorithm,
    Collector,
    Distribution,
    Exploration,
    Head,
    Key,
    Network,
    ReplayBuffer,
    Sampler,
    Transform,
)
from rlrecipe.networks.copies import Copies
from rlrecipe.parameters import Parameters
from rlrecipe.policy import Policy
from rlrecipe.recipe.options import Options, Slot
from rlrecipe.recipe.schema import Recipe
from rlrecipe.recipe.shape import components
from rlrecipe.recipe.values import Duration, Value
from rlrecipe.replay.base import Transitions
from rlrecipe.streams import Stream, Streams
from rlrecipe.targets import Targets
from rlrecipe.trainers.minibatches import Minibatches
from rlrecipe.trainers.points import HookError
from rlrecipe.trainers.replay import Ratio, Replay
from rlrecipe.trainers.trainer import Schedule, Trainer
from rlrecipe.update import Update
from rlrecipe.vector import Vector

# -- the policy and what it learns from


@dataclass(frozen=True)
class Learner:
    """What acts, what it learns by, and the parameters of both."""

    policy: Policy
    algorithm: Any
    parameters: Parameters


def acting_slot(recipe: Recipe) -> str:
    """The slot of the network that acts."""
    slot: str = recipe.algorithm.component.traits.get("acts", "policy")
    return slot


def distribution_options(recipe: Recipe, action_space: Any) -> Any:
    """Options of the distribution that acts: the recipe's, or the algorithm's for this kind of space."""
    given = getattr(recipe.networks[acting_slot(recipe)], "distribution", None)
    if given is not None:
        return given
    usual = recipe.algorithm.component.traits["acts_in"][type(action_space).__name__]
    return Slot("distribution").read(usual(recipe.algorithm) if callable(usual) else usual)


def make_networks(recipe: Recipe, spaces: Spaces, distribution: Distribution) -> dict[str, Any]:
    """A network for each slot of the algorithm."""
    observation, action = (int(np.prod(space.shape)) for space in (spaces.observation, spaces.action))
    heads: Mapping[str, Head] = recipe.algorithm.component.traits["heads"](distribution, recipe.algorithm)
    networks = {}
    for slot, head in heads.items():
        options = recipe.networks[slot]
        features = observation + action * head.action
        network = options.component.build(options, features, head.features, head.gain)
        networks[slot] = network if head.copies is None else Copies(network, head.copies)
    return networks


def make_loss(recipe: Recipe, networks: Mapping[str, Any], distribution: Distribution) -> Any:
    """The algorithm: its losses and the pure functions around them."""
    return recipe.algorithm.component.build(recipe.algorithm, networks, distribution)


def make_parameters(
    networks: Mapping[str, Network], own: Mapping[str, Any], algorithm: Algorithm, generator: torch.Generator
) -> Parameters:
    """Initial parameters of every network; slots that an objective moves lie side by side.

    Args:
        networks: by slot.
        own: further parameters by slot, such as a distribution's.
        algorithm: whose objectives say what is moved together, and which may have parameters, too.
        generator: of the networks' first weights.
    """
    tensors = {slot: network.init(generator) for slot, network in networks.items()}
    for slot, further in (*own.items(), *algorithm.init().items()):
        tensors[slot] = {**tensors.get(slot, {}), **further}
    order = dict.fromkeys([*(slot for objective in algorithm.objectives for slot in objective.slots), *tensors])
    return Parameters({slot: tensors[slot] for slot in order})


def make_learner(recipe: Recipe, spaces: Spaces, streams: Streams, device: torch.device) -> Learner:
    """Policy, algorithm and their parameters, as they are before training."""
    slot, options = acting_slot(recipe), distribution_options(recipe, spaces.action)
    distribution: Distribution = options.component.build(options, spaces.action)
    networks = make_networks(recipe, spaces, distribution)
    algorithm = make_loss(recipe, networks, distribution)
    generator = streams.torch(Stream.INITIALISATION)
    parameters = make_parameters(networks, {slot: distribution.init()}, algorithm, generator)
    parameters.flat = parameters.flat.to(device)
    return Learner(Policy(networks[slot], distribution, parameters, slot), algorithm, parameters)


def make_update(recipe: Recipe, learner: Learner, clock: Clock) -> Update:
    """Gradients, clipping and optimizer steps of the algorithm's losses, and its target networks."""
    options: Any = recipe.optimizer
    groups = {slot: group.lr for slot, group in options.groups.items()}
    algorithm, parameters = learner.algorithm, learner.parameters
    targets = Targets(parameters, algorithm.targets, algorithm.target, clock) if algorithm.targets else None
    engine = make_engine(recipe.runtime.compile)
    return Update(algorithm.objectives, parameters, options.component.build(options), groups, targets, engine)


def make_schedule(value: Value) -> Schedule:
    """A number, or a schedule's number by the clock."""
    if isinstance(value, Options):
        options: Any = value
        curve: Callable[[float], float] = options.component.build(options)
        return lambda clock: curve(clock.progress(options.until))
    return lambda _: value


class Numbers:
    """Scheduled numbers of components: each has its value of before the batch."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.scheduled: list[_Scheduled] = []

    def __call__(self, value: Value) -> _Scheduled:
        """A number that follows its schedule."""
        number = _Scheduled(make_schedule(value))
        number(self.clock)
        if isinstance(value, Options):
            self.scheduled.append(number)
        return number


class _Scheduled:
    value: float

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule

    def __call__(self, clock: Clock) -> None:
        self.value = self.schedule(clock)


# -- collecting


def make_exploration(recipe: Recipe, spaces: Spaces, numbers: Numbers) -> Exploration | None:
    """What makes the policy try other actions."""
    options, num_envs = recipe.exploration, getattr(recipe.env, "num_envs", 1)
    if options is None:
        return None
    exploration: Exploration = options.component.build(options, spaces.action, num_envs, numbers)
    return exploration


def make_collector(
    recipe: Recipe,
    policy: Policy,
    transforms: Mapping[str, Transform],
    streams: Streams,
    clock: Clock,
    capture: str | None,
    exploration: Exploration | None = None,
) -> Collector:
    """The collector over its environments."""
    env: Any = recipe.env
    envs = Vector([partial(make_env, env)] * env.num_envs, partial(streams.integer, Stream.ENVIRONMENT), capture)
    options = recipe.collector
    collector: Collector = options.component.build(
        options,
        envs,
        policy,
        [transforms[name] for name in in_phase(recipe.env, "train")],
        streams.generator(Stream.ACTION),
        lambda: clock.frames,
        exploration,
        raw=recipe.replay_buffer is not None,
    )
    return collector


def columns(policy: Policy, spaces: Spaces) -> dict[Key, tuple[tuple[int, ...], np.dtype[Any]]]:
    """Shape and type of one row of each key of a transition."""
    observation = (tuple(spaces.observation.shape), np.dtype(np.float32))
    action = policy.act(np.zeros((1, *spaces.observation.shape), np.float32), None)
    flag = ((), np.dtype(np.bool_))
    return {
        "observation": observation,
        "action": (action.shape[1:], action.dtype),
        ("next", "observation"): observation,
        ("next", "reward"): ((), np.dtype(np.float32)),
        ("next", "terminated"): flag,
        ("next", "truncated"): flag,
    }


def make_replay_buffer(
    recipe: Recipe,
    learner: Learner,
    spaces: Spaces,
    transforms: Mapping[str, Transform],
    streams: Streams,
    numbers: Numbers,
) -> ReplayBuffer:
    """The buffer of transitions."""
    seen = [transforms[name].apply_reward for name in in_phase(recipe.env, "train")]
    options: Any = recipe.replay_buffer
    algorithm, num_envs = learner.algorithm, getattr(recipe.env, "num_envs", 1)
    reward = partial(reduce, lambda reward, apply: apply(reward), seen) if seen else None
    held = Transitions(columns(learner.policy, spaces), num_envs, algorithm.n_steps, algorithm.gamma, reward)
    buffer: ReplayBuffer = options.component.build(options, held, streams.generator(Stream.SAMPLER), numbers)
    buffer.include_content = recipe.checkpoint.include_buffer
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
        return Minibatches(learner.algorithm, streams.generator(Stream.PERMUTATION))
    trainer = recipe.trainer
    starts = getattr(recipe.collector, "init_random_frames", 0)
    return Replay(
        buffer,
        learner.algorithm,
        [transforms[name] for name in in_phase(recipe.env, "train")],
        Ratio(starts, trainer.updates_per_frame, trainer.optim_steps_per_batch),
        clock,
        streams.generator(Stream.NOISE),
        learner.parameters.flat.device,
    )


# -- all together


@dataclass
class Assembly:
    """A trainer and the parts of it that others read."""

    recipe: Recipe
    trainer: Trainer
    policy: Policy
    transforms: dict[str, Transform]
    spaces: Spaces
    exact: str
    exact_reason: str


def total_of(recipe: Recipe) -> Duration:
    """How long the recipe trains."""
    if recipe.trainer.total_frames is not None:
        return Duration(recipe.trainer.total_frames)
    assert recipe.trainer.total_updates is not None, "a recipe has one of the two"
    return Duration(recipe.trainer.total_updates, "updates")


def make_trainer(recipe: Recipe) -> Assembly:
    """Everything that training needs, from a recipe with every ``auto`` resolved (``resolve``)."""
    torch.set_num_threads(int(recipe.runtime.threads))
    device = torch.device(recipe.runtime.device)
    if recipe.runtime.deterministic and device.type != "cpu":
        # cuBLAS asks for it, before its first call.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
    streams, clock = Streams(recipe.seed), Clock(total_of(recipe))
    spaces, numbers = spaces_of(recipe.env), Numbers(clock)
    learner = make_learner(recipe, spaces, streams, device)
    algorithm, policy = learner.algorithm, learner.policy
    transforms = make_transforms(recipe.env, spaces.observation, getattr(recipe.algorithm, "gamma", 1.0))
    capture = choose(partial(make_env, recipe.env))
    exploration = make_exploration(recipe, spaces, numbers)
    buffer = None
    if recipe.replay_buffer is not None:
        buffer = make_replay_buffer(recipe, learner, spaces, transforms, streams, numbers)
    optimizer: Any = recipe.optimizer
    trainer = Trainer(
        collector=make_collector(recipe, policy, transforms, streams, clock, capture.method, exploration),
        algorithm=algorithm,
        sampler=make_sampler(recipe, learner, buffer, transforms, streams, clock),
        update=make_update(recipe, learner, clock),
        clock=clock,
        streams=streams,
        clip_norm=recipe.trainer.clip_norm,
        lr=None if optimizer.schedule is None else make_schedule(optimizer.schedule),
        coefficients={name: make_schedule(value) for name, value in algorithm.coefficients.items()},
        numbers=numbers.scheduled,
    )
    if buffer is not None:
        trainer.register_module("replay_buffer", buffer)
    for name, transform in transforms.items():
        trainer.register_module(name, transform)
    trainer.stage = make_stage(recipe, policy, transforms)
    for i, (name, options) in enumerate(named(recipe.hooks).items()):
        try:
            options.component.build(options).register(trainer, name)
        except HookError as error:
            error.path = ("hooks", i)
            raise
    exact, reason = _exactness(recipe, capture, device)
    return Assembly(recipe, trainer, policy, transforms, spaces, exact, reason)


def _exactness(recipe: Recipe, capture: Choice, device: torch.device) -> tuple[str, str]:
    """Level at which this run can be resumed, and why."""
    if device.type != "cpu":
        return "continue", f"sums on {device.type} have no fixed order"
    if recipe.replay_buffer is not None and not recipe.checkpoint.include_buffer:
        return "continue", "checkpoints leave out the replay buffer (checkpoint.include_buffer: false)"
    durations = {"trainer.log_interval": recipe.trainer.log_interval, "evaluation.every": recipe.evaluation.every}
    for path, options in components(recipe):
        durations |= {".".join(map(str, (*path, key))): value for key, value in options if isinstance(value, Duration)}
    for place, duration in durations.items():
        if duration is not None and duration.unit == "seconds":
            return "continue", f"{place} depends on the wall clock"
    return capture.level, capture.reason
