"""From a recipe to a trainer: the only place that joins components. Read it top to bottom.

``builders/`` makes each of them from its section, ``resolve.py`` what a recipe leaves to the machine.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from rlrecipe.acting.policy import Policy
from rlrecipe.assembly.collecting import (
    batches_of_bytes,
    make_collector_offpolicy,
    make_collector_onpolicy,
    make_exploration,
    make_replay_buffer,
    make_sampler,
    width_of,
)
from rlrecipe.assembly.environments import Found, Spaces, make_env, make_transforms, named, tried
from rlrecipe.assembly.learning import Learner, make_learner, make_update
from rlrecipe.assembly.numbers import Numbers, make_schedule
from rlrecipe.assembly.probe import examine
from rlrecipe.assembly.resolve import resolve
from rlrecipe.assembly.stage import let_rollouts_borrow, make_stage
from rlrecipe.clock import Clock
from rlrecipe.collectors.sync import SyncCollector
from rlrecipe.context import Level, RunContext
from rlrecipe.interfaces import ReplayBuffer, Transform
from rlrecipe.loop.points import HookError
from rlrecipe.loop.recipe_trainer import RecipeTrainer
from rlrecipe.recipe.load import Loaded, load
from rlrecipe.recipe.overrides import overrides_of
from rlrecipe.recipe.schema import Recipe
from rlrecipe.recipe.shape import components
from rlrecipe.recipe.traits import CollectorTraits
from rlrecipe.recipe.values import Duration
from rlrecipe.stepping.capture import Choice, choose
from rlrecipe.streams import Streams


@dataclass(frozen=True)
class Assembly:
    """A trainer and the parts of it that others read."""

    recipe: Recipe
    trainer: RecipeTrainer
    policy: Policy
    transforms: dict[str, Transform]
    spaces: Spaces
    level: Level
    hints: tuple[str, ...] = ()

    @property
    def exact(self) -> str:
        """How exactly the run can be resumed."""
        return self.level.name

    @property
    def exact_reason(self) -> str:
        """Why no more exactly."""
        return self.level.reason


def total_of(recipe: Recipe) -> Duration:
    """How long the recipe trains."""
    if recipe.trainer.total_frames is not None:
        return Duration(recipe.trainer.total_frames)
    assert recipe.trainer.total_updates is not None, "a recipe has one of the two"
    return Duration(recipe.trainer.total_updates, "updates")


def make_trainer(recipe: Recipe | str | Path | Mapping[str, Any] | None = None, **sections: Any) -> Assembly:
    """Everything that training needs: ``make_trainer("ppo/cartpole", seed=1).trainer.train()``.

    Args:
        recipe: with every ``auto`` resolved (``resolve``), which is built as it is; or a path, the name of a
            bundled recipe or a mapping.
        sections: of the recipe, over what is there: ``trainer={"total_frames": 1000}``.

    Raises:
        RecipeError: the recipe has problems; one that was resolved is taken to have none.
        HookError: a hook does not fit where it is registered.
        TypeError: sections over a recipe that was resolved.
    """
    if isinstance(recipe, Recipe):
        if sections:
            raise TypeError(f"this recipe is resolved: change {', '.join(sections)} before, or give a mapping")
        return assemble(recipe)
    loaded = load({} if recipe is None else recipe, overrides_of(sections))
    found = found_by(loaded)
    return assemble(resolve(loaded.recipe, found.spaces), found)


def found_by(loaded: Loaded) -> Found:
    """What the environment of a recipe that was read showed.

    Raises:
        RecipeError: environment, spaces, sizes or device have problems.
    """
    examined = examine(loaded.recipe)
    if examined.problems or examined.found is None:
        raise loaded.error(examined.problems)
    return examined.found


def assemble(recipe: Recipe, found: Found | None = None, context: RunContext | None = None) -> Assembly:
    """A trainer of a recipe with every ``auto`` resolved.

    Args:
        recipe: what is built as it is.
        found: what its environment showed; by default one is tried for it.
        context: the run around it.

    Raises:
        HookError: a hook does not fit where it is registered.
    """
    found = tried(recipe.env) if found is None else found
    device = _machine(recipe)
    streams, clock = Streams(recipe.seed), Clock(total_of(recipe))
    spaces, numbers = found.spaces, Numbers(clock)
    learner = make_learner(recipe, spaces, streams, device)
    if batches_of_bytes(recipe):
        learner.policy.keep_bytes()
    transforms = make_transforms(recipe.env, spaces.observation, getattr(recipe.algorithm, "gamma", 1.0), streams)
    capture = choose(partial(make_env, recipe.env), recording=found.recording)
    level = Level(*_exactness(recipe, capture, device))
    context = replace(context or RunContext(), lost=partial(level.lower, "continue"))
    shared: dict[str, Any] = {"transforms": transforms, "streams": streams}
    buffer = _buffer(recipe, learner, spaces, numbers, shared)
    make_collector: Any = make_collector_onpolicy if buffer is None else make_collector_offpolicy
    collector = make_collector(
        recipe.env,
        learner.policy,
        recipe.collector,
        exploration=make_exploration(recipe.exploration, spaces.action, getattr(recipe.env, "num_envs", 1), numbers),
        frames=lambda: clock.frames,
        capture=capture.method,
        imports=recipe.imported,
        **shared,
    )
    training = collector.envs if isinstance(collector, SyncCollector) else None
    trainer = _trainer(
        recipe,
        learner,
        collector=collector,
        sampler=make_sampler(recipe, learner, buffer, transforms, streams, clock),
        clock=clock,
        streams=streams,
        numbers=numbers.scheduled,
        context=context,
        stage=make_stage(recipe, learner.policy, transforms, training, lends=capture.again),
    )
    modules: dict[str, Any] = {} if buffer is None else {"replay_buffer": buffer}
    for name, module in {**modules, **transforms}.items():
        trainer.register_module(name, module)
    let_rollouts_borrow(recipe.env, transforms, training, lends=capture.again)
    _register_hooks(recipe, trainer)
    return Assembly(recipe, trainer, learner.policy, transforms, spaces, level, found.hints)


def _machine(recipe: Recipe) -> torch.device:
    """Threads and arithmetic as the recipe asks for, and the device."""
    torch.set_num_threads(int(recipe.runtime.threads))
    device = torch.device(recipe.runtime.device)
    if recipe.runtime.deterministic and device.type != "cpu":
        # cuBLAS asks for it, before its first call.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
    return device


def _buffer(
    recipe: Recipe, learner: Learner, spaces: Spaces, numbers: Numbers, shared: Mapping[str, Any]
) -> ReplayBuffer | None:
    """The replay buffer, of a recipe that has one."""
    if recipe.replay_buffer is None:
        return None
    return make_replay_buffer(
        recipe.replay_buffer,
        env=recipe.env,
        spaces=spaces,
        policy=learner.policy,
        n_steps=learner.algorithm.n_steps,
        gamma=learner.algorithm.gamma,
        numbers=numbers,
        include_content=recipe.checkpoint.include_buffer,
        num_envs=width_of(recipe.collector, recipe.env),
        **shared,
    )


def _trainer(recipe: Recipe, learner: Learner, **parts: Any) -> RecipeTrainer:
    """The loop over its parts, with the schedules of the recipe's numbers."""
    optimizer: Any = recipe.optimizer
    return RecipeTrainer(
        algorithm=learner.algorithm,
        update=make_update(recipe, learner, parts["clock"], parts["context"]),
        packing=learner.policy.packing,
        clip_norm=recipe.trainer.clip_norm,
        lr_factor=None if optimizer.schedule is None else make_schedule(optimizer.schedule),
        coefficients={name: make_schedule(value) for name, value in learner.algorithm.coefficients.items()},
        **parts,
    )


def _register_hooks(recipe: Recipe, trainer: RecipeTrainer) -> None:
    for i, (name, options) in enumerate(named(recipe.hooks).items()):
        try:
            options.component.build(options).register(trainer, name)
        except HookError as error:
            error.path = ("hooks", i)
            raise


def _exactness(recipe: Recipe, capture: Choice, device: torch.device) -> tuple[str, str]:
    """Level at which this run can be resumed, and why."""
    if device.type != "cpu":
        return "continue", f"sums on {device.type} have no fixed order"
    if recipe.replay_buffer is not None and not recipe.checkpoint.include_buffer:
        return "continue", "checkpoints leave out the replay buffer (checkpoint.include_buffer: false)"
    level = CollectorTraits.of(recipe.collector).level
    if level is not None:
        return level
    durations = {"trainer.log_interval": recipe.trainer.log_interval, "evaluation.every": recipe.evaluation.every}
    for path, options in components(recipe):
        durations |= {".".join(map(str, (*path, key))): value for key, value in options if isinstance(value, Duration)}
    for place, duration in durations.items():
        if duration is not None and duration.unit == "seconds":
            return "continue", f"{place} depends on the wall clock"
    return capture.level, capture.reason
