"""From a recipe to a trainer: the only place that joins components. Read it top to bottom."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import gymnasium
import numpy as np
import torch

from rlrecipe.capture import Choice, choose
from rlrecipe.clock import Clock
from rlrecipe.interfaces import Algorithm, Collector, Distribution, Network, Transform
from rlrecipe.parameters import Parameters
from rlrecipe.policy import Policy
from rlrecipe.recipe.options import Options, Slot
from rlrecipe.recipe.schema import Recipe
from rlrecipe.recipe.shape import components
from rlrecipe.recipe.values import Duration, Value
from rlrecipe.streams import Stream, Streams
from rlrecipe.trainers.points import HookError
from rlrecipe.trainers.trainer import Schedule, Trainer
from rlrecipe.update import Update
from rlrecipe.vector import Vector

Env = gymnasium.Env[Any, Any]
#: From this width on, one operation is worth the cost of a second thread.
WIDE = 256


# -- environments


def make_env(options: Any, phase: str = "train", render_mode: str | None = None) -> Env:
    """One environment with its frame skip and the transforms that wrap it.

    Args:
        options: of ``env``.
        phase: "train" or "eval": transforms of the other phase are left out.
        render_mode: gymnasium's.
    """
    env: Env = options.component.build(options, render_mode)
    if options.frame_skip > 1:
        env = _FrameSkip(env, options.frame_skip)
    for transform in options.transforms:
        if transform.component.traits.get("wraps") and transform.phase in (phase, "both"):
            env = transform.component.build(transform, env)
    return env


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


def make_transforms(options: Any, space: Any, gamma: float) -> dict[str, Transform]:
    """The transforms that stand between the environments and the policy, by the name of their state."""
    return {
        name: transform.component.build(transform, space, options.num_envs, gamma)
        for name, transform in _named(options.transforms).items()
        if not transform.component.traits.get("wraps")
    }


def in_phase(options: Any, phase: str) -> list[str]:
    """Names of the transforms that ``make_transforms`` makes and that apply in "train" or "eval"."""
    return [
        name
        for name, transform in _named(options.transforms).items()
        if not transform.component.traits.get("wraps") and transform.phase in (phase, "both")
    ]


def _named(components: Sequence[Options]) -> dict[str, Any]:
    """Components by name; the second of a name keeps its state under a name of its own."""
    named: dict[str, Any] = {}
    for options in components:
        name = options.component.name
        same = sum(other.split(".")[0] == name for other in named)
        named[f"{name}.{same}" if same else name] = options
    return named


# -- the policy and what it learns from


@dataclass(frozen=True)
class Spaces:
    """What an environment observes and takes."""

    observation: Any
    action: Any


def make_distribution(recipe: Recipe, spaces: Spaces) -> Distribution:
    """The action distribution of the policy network."""
    options: Any = getattr(recipe.networks["policy"], "distribution", None)
    distribution: Distribution = options.component.build(options, spaces.action)
    return distribution


def make_networks(recipe: Recipe, spaces: Spaces, distribution: Distribution) -> dict[str, Network]:
    """A network for each slot of the algorithm."""
    features = int(np.prod(spaces.observation.shape))
    heads = recipe.algorithm.component.traits["heads"](distribution)
    return {
        slot: recipe.networks[slot].component.build(recipe.networks[slot], features, *heads[slot]) for slot in heads
    }


def make_parameters(
    networks: Mapping[str, Network], distribution: Distribution, streams: Streams, device: torch.device
) -> Parameters:
    """Initial parameters of every network, those of the distribution with the policy's."""
    generator = streams.torch(Stream.INITIALISATION)
    tensors = {slot: network.init(generator) for slot, network in networks.items()}
    tensors["policy"] = {**tensors["policy"], **distribution.init()}
    parameters = Parameters(tensors)
    parameters.flat = parameters.flat.to(device)
    return parameters


def make_loss(recipe: Recipe, networks: Mapping[str, Network], distribution: Distribution) -> Algorithm:
    """The algorithm: its loss and the pure functions around it."""
    algorithm: Algorithm = recipe.algorithm.component.build(recipe.algorithm, networks, distribution)
    return algorithm


def make_update(recipe: Recipe, algorithm: Algorithm, parameters: Parameters) -> Update:
    """Gradient, clipping and optimizer step of the algorithm's loss."""
    options: Any = recipe.optimizer
    groups = {slot: group.lr for slot, group in options.groups.items()}
    return Update(algorithm.loss, parameters, options.component.build(options), groups)


def make_schedule(value: Value) -> Schedule:
    """A number, or a schedule's number by the clock."""
    if isinstance(value, Options):
        options: Any = value
        curve: Callable[[float], float] = options.component.build(options)
        return lambda clock: curve(clock.progress(options.until))
    return lambda _: value


# -- collecting


def make_collector(
    recipe: Recipe,
    policy: Policy,
    transforms: Mapping[str, Transform],
    streams: Streams,
    clock: Clock,
    capture: str | None,
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
    )
    return collector


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
    spaces = spaces_of(recipe.env)
    distribution = make_distribution(recipe, spaces)
    networks = make_networks(recipe, spaces, distribution)
    parameters = make_parameters(networks, distribution, streams, device)
    algorithm = make_loss(recipe, networks, distribution)
    policy = Policy(networks["policy"], distribution, parameters)
    transforms = make_transforms(recipe.env, spaces.observation, getattr(recipe.algorithm, "gamma", 1.0))
    capture = choose(partial(make_env, recipe.env))
    optimizer: Any = recipe.optimizer
    trainer = Trainer(
        collector=make_collector(recipe, policy, transforms, streams, clock, capture.method),
        algorithm=algorithm,
        update=make_update(recipe, algorithm, parameters),
        clock=clock,
        streams=streams,
        clip_norm=recipe.trainer.clip_norm,
        lr=None if optimizer.schedule is None else make_schedule(optimizer.schedule),
        coefficients={name: make_schedule(value) for name, value in algorithm.coefficients.items()},
    )
    for name, transform in transforms.items():
        trainer.register_module(name, transform)
    for i, (name, options) in enumerate(_named(recipe.hooks).items()):
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
    durations = {"trainer.log_interval": recipe.trainer.log_interval, "evaluation.every": recipe.evaluation.every}
    for path, options in components(recipe):
        durations |= {".".join(map(str, (*path, key))): value for key, value in options if isinstance(value, Duration)}
    for place, duration in durations.items():
        if duration is not None and duration.unit == "seconds":
            return "continue", f"{place} depends on the wall clock"
    return capture.level, capture.reason


# -- what the recipe leaves to the machine


def spaces_of(options: Any, phase: str = "train") -> Spaces:
    """The spaces of an environment by its options."""
    env = make_env(options, phase)
    try:
        return Spaces(env.observation_space, env.action_space)
    finally:
        env.close()


def resolve(recipe: Recipe) -> Recipe:
    """The recipe with every ``auto`` replaced by what is chosen here; depends on nothing else."""
    networks = dict(recipe.networks)
    policy: Any = networks["policy"]
    if policy.distribution is None:
        discrete = isinstance(spaces_of(recipe.env).action, gymnasium.spaces.Discrete)
        chosen = Slot("distribution").read("categorical" if discrete else "normal")
        networks["policy"] = policy.model_copy(update={"distribution": chosen})
    runtime: dict[str, Any] = {}
    if recipe.runtime.device == "auto":
        runtime["device"] = "cpu"
    if recipe.runtime.threads == "auto":
        widths = [width for network in networks.values() for width in getattr(network, "num_cells", [])]
        runtime["threads"] = min(2, os.cpu_count() or 1) if max(widths, default=0) >= WIDE else 1
    if recipe.runtime.compile == "auto":
        runtime["compile"] = "off"
    runtime_options = recipe.runtime.model_copy(update=runtime)
    return recipe.model_copy(update={"networks": networks, "runtime": runtime_options})
