"""Where a policy is evaluated, and environments that train lent to what goes on beside training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import gymnasium

from rlrecipe.acting.evaluation import WIDTH, Stage
from rlrecipe.acting.policy import Policy
from rlrecipe.assembly.environments import dressed, in_phase, make_env
from rlrecipe.interfaces import Transform, Vectored
from rlrecipe.recipe.asked import num_envs
from rlrecipe.recipe.options import Options
from rlrecipe.recipe.schema import Recipe
from rlrecipe.stepping.vector import Vector

Env = gymnasium.Env[Any, Any]
Lend = Callable[[], AbstractContextManager[Env] | None]


def make_stage(
    recipe: Recipe,
    options: Options,
    policy: Policy,
    transforms: Mapping[str, Transform],
    training: Vectored | None = None,
    *,
    lends: bool,
) -> Stage:
    """Where a recipe's policy is evaluated.

    Args:
        recipe: of the run.
        options: of the environment that the policy is evaluated in.
        policy: what acts.
        transforms: those that ``make_transforms`` made for training.
        training: the environments that train, where they are in this process.
        lends: whether one of them can be put back after it went on.
    """
    same = _same_kind(recipe.env, options)
    return Stage(
        partial(make_env, options, "eval"),
        policy,
        [transforms[name] for name in in_phase(recipe.env, "eval")],
        width=evaluation_width(recipe.env),
        lend=_lending(options, "eval", training if same else None, lends=lends),
        max_steps=recipe.evaluation.max_steps,
    )


def let_rollouts_borrow(options: Any, transforms: Mapping[str, Any], training: Vectored | None, *, lends: bool) -> None:
    """Let random rollouts of transforms take an environment that trains, where none can be built beside it."""
    for transform in transforms.values():
        observe = getattr(transform, "observe", None)
        if observe is not None:
            transform.observe = partial(observe, lend=_lending(options, "train", training, lends=lends))


def _lending(options: Any, phase: str, training: Vectored | None, *, lends: bool) -> Lend:
    def lend() -> AbstractContextManager[Env] | None:
        # A kind that steps its environments itself has none that could stand alone.
        if not isinstance(training, Vector) or not lends or not training.can_be_lent:
            return None
        return training.lent(partial(dressed, options=options, phase=phase))

    return lend


def evaluation_width(options: Any) -> int:
    """Environments that are evaluated in side by side: one where one trains, which may be slow to build, or alone."""
    return 1 if num_envs(options) == 1 else WIDTH


def _same_kind(one: Any, other: Any) -> bool:
    """Whether two environments differ in nothing but what stands around them."""
    around = {"transforms": [], "frame_skip": 1, "num_envs": 1}
    return bool(one.model_copy(update=around) == other.model_copy(update=around))
