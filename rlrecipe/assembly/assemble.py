"""From a recipe to a trainer: the only place that joins components. Read it top to bottom.

``trial.py`` is what only building tells of a recipe; here its answers become a trainer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from rlrecipe.acting.policy import Policy
from rlrecipe.assembly.collecting import (
    Surroundings,
    batches_of_bytes,
    buffer_of,
    collector_of,
    make_exploration,
    make_sampler,
    transitions,
    width_of,
)
from rlrecipe.assembly.environments import Spaces, in_phase, named, transforms_of
from rlrecipe.assembly.learning import Learner, make_update
from rlrecipe.assembly.numbers import Numbers, make_schedule
from rlrecipe.assembly.resolve import Compiling
from rlrecipe.assembly.stage import Lender, make_stage
from rlrecipe.assembly.trial import Trial
from rlrecipe.clock import Clock
from rlrecipe.collectors.sync import SyncCollector
from rlrecipe.context import Level, RunContext
from rlrecipe.interfaces import ReplayBuffer, Transform
from rlrecipe.learning.compiled import make_native
from rlrecipe.loop.points import HookError
from rlrecipe.recipe.asked import num_envs, schedule_of
from rlrecipe.recipe.load import load
from rlrecipe.recipe.overrides import overrides_of
from rlrecipe.recipe.schema import Recipe
from rlrecipe.recipe.values import Duration
from rlrecipe.streams import Streams
from rlrecipe.torchrl.recipe_trainer import RecipeTrainer


@dataclass(frozen=True)
class Assembly:
    """A trainer and the parts of it that others read."""

    recipe: Recipe
    trainer: RecipeTrainer
    policy: Policy
    transforms: dict[str, Transform]
    spaces: Spaces
    level: Level
    compiling: Compiling
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
        recipe: one that is valid and was read, which is built as it is; or a path, the name of a bundled recipe or a
            mapping.
        sections: of the recipe, over what is there: ``trainer={"total_frames": 1000}``.

    Raises:
        RecipeError: the recipe has problems; one that was read is taken to have none.
        HookError: a hook does not fit where it is registered.
        TypeError: sections over a recipe that was read.
    """
    if isinstance(recipe, Recipe):
        if sections:
            raise TypeError(f"this recipe is resolved: change {', '.join(sections)} before, or give a mapping")
        return assemble(Trial(recipe))
    return assemble(Trial.of(load({} if recipe is None else recipe, overrides_of(sections))))


def assemble(trial: Trial, context: RunContext | None = None, *, hooks: bool = True) -> Assembly:
    """The trainer of a recipe that was tried.

    Args:
        trial: of the recipe; its learner is the trainer's from here on.
        context: the run around it.
        hooks: whether the recipe's are registered here.

    Raises:
        HookError: a hook does not fit where it is registered.
    """
    recipe, spaces, learner, capture = trial.recipe, trial.spaces, trial.take_learner(), trial.capture
    level, evaluated_in, compiling = Level(*trial.level), trial.evaluated_in, trial.compiling
    # From here on nothing is asked.
    streams, clock = Streams(recipe.seed), Clock(total_of(recipe))
    numbers, learner = Numbers(clock), learner.on(torch.device(recipe.runtime.device))
    if batches_of_bytes(recipe):
        learner.policy.keep_bytes()
    lender = Lender(lends=capture.again)
    transforms = transforms_of(recipe, spaces, streams, partial(lender.lend, recipe.env, "train"))
    context = replace(context or RunContext(), lost=partial(level.lower, "continue"))
    buffer = _buffer(recipe, learner, spaces, numbers, transforms, streams)
    surroundings = Surroundings(
        make_exploration(recipe.exploration, spaces.action, num_envs(recipe.env), numbers),
        transforms,
        streams,
        lambda: clock.frames,
        capture.method,
        recipe.imported,
    )
    collector = collector_of(recipe.env, learner.policy, recipe.collector, surroundings, raw=buffer is not None)
    if isinstance(collector, SyncCollector):
        lender.begin(collector.envs)
    trainer = _trainer(
        recipe,
        learner,
        collector=collector,
        sampler=make_sampler(recipe, learner, buffer, transforms, streams, clock),
        clock=clock,
        streams=streams,
        numbers=numbers.scheduled,
        context=context,
        stage=make_stage(recipe, evaluated_in, learner.policy, transforms, lender),
    )
    modules: dict[str, Any] = {} if buffer is None else {"replay_buffer": buffer}
    for name, module in {**modules, **transforms}.items():
        trainer.register_module(name, module)
    if hooks:
        _register_hooks(recipe, trainer)
    return Assembly(recipe, trainer, learner.policy, transforms, spaces, level, compiling, trial.hints)


def _buffer(
    recipe: Recipe,
    learner: Learner,
    spaces: Spaces,
    numbers: Numbers,
    transforms: Mapping[str, Transform],
    streams: Streams,
) -> ReplayBuffer | None:
    """The replay buffer, of a recipe that has one."""
    if recipe.replay_buffer is None:
        return None
    seen = [transforms[name] for name in in_phase(recipe.env, "train")]
    width, algorithm = width_of(recipe.collector, recipe.env), learner.algorithm
    held = transitions(spaces, learner.policy, seen, width, algorithm.n_steps, algorithm.gamma)
    held = held._replace(include_content=recipe.checkpoint.include_buffer)
    return buffer_of(recipe.replay_buffer, held, streams, numbers)


def _trainer(recipe: Recipe, learner: Learner, **parts: Any) -> RecipeTrainer:
    """The loop over its parts, with the schedules of the recipe's numbers."""
    schedule = schedule_of(recipe.optimizer)
    return RecipeTrainer(
        algorithm=learner.algorithm,
        update=make_update(recipe, learner, parts["clock"]),
        packing=learner.policy.packing,
        native=make_native(recipe.runtime.compile, parts["context"]),
        lr_factor=None if schedule is None else make_schedule(schedule),
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
