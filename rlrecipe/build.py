"""From a recipe to a trainer: the only place that joins components. Read it top to bottom.

``builders/`` makes each of them from its section, ``resolve.py`` what a recipe leaves to the machine.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from rlrecipe.builders.collecting import make_collector, make_exploration, make_replay_buffer, make_sampler
from rlrecipe.builders.environments import Spaces, make_env, make_transforms, named, spaces_of
from rlrecipe.builders.learning import make_learner, make_update
from rlrecipe.builders.numbers import Numbers, make_schedule
from rlrecipe.capture import Choice, choose
from rlrecipe.clock import Clock
from rlrecipe.interfaces import Transform
from rlrecipe.policy import Policy
from rlrecipe.recipe.schema import Recipe
from rlrecipe.recipe.shape import components
from rlrecipe.recipe.values import Duration
from rlrecipe.streams import Streams
from rlrecipe.trainers.points import HookError
from rlrecipe.trainers.trainer import Trainer


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
