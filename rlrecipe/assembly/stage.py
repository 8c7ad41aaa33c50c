"""Where a policy is evaluated, and environments that train lent to what goes on beside training."""

from __future__ import annotations

from collections.abc import Mapping
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


class Lender:
    """Lends one of the environments that train to what goes on beside training; before they are built, none.

    Args:
        lends: whether one of them can be put back after it went on.
    """

    def __init__(self, *, lends: bool) -> None:
        self.lends = lends
        self.training: Vector | None = None

    def begin(self, training: Vectored) -> None:
        """These train from now on; a kind that steps its environments itself has none that could stand alone."""
        self.training = training if isinstance(training, Vector) else None

    def lend(self, options: Any, phase: str) -> AbstractContextManager[Env] | None:
        """One of them, dressed for a phase; None where none can be lent."""
        if self.training is None or not self.lends or not self.training.can_be_lent:
            return None
        return self.training.lent(partial(dressed, options=options, phase=phase))


def _nothing() -> None:
    """Nothing is lent: what trains is of another kind."""


def make_stage(
    recipe: Recipe,
    options: Options,
    policy: Policy,
    transforms: Mapping[str, Transform],
    lender: Lender,
) -> Stage:
    """Where a recipe's policy is evaluated.

    Args:
        recipe: of the run.
        options: of the environment that the policy is evaluated in.
        policy: what acts.
        transforms: those that ``make_transforms`` made for training.
        lender: lends an environment that trains, where none can be built beside it.
    """
    return Stage(
        partial(make_env, options, "eval"),
        policy,
        [transforms[name] for name in in_phase(recipe.env, "eval")],
        width=evaluation_width(recipe.env),
        lend=partial(lender.lend, options, "eval") if _same_kind(recipe.env, options) else _nothing,
        max_steps=recipe.evaluation.max_steps,
    )


def evaluation_width(options: Any) -> int:
    """Environments that are evaluated in side by side: one where one trains, which may be slow to build, or alone."""
    return 1 if num_envs(options) == 1 else WIDTH


def _same_kind(one: Any, other: Any) -> bool:
    """Whether two environments differ in nothing but what stands around them."""
    around = {"transforms": [], "frame_skip": 1, "num_envs": 1}
    return bool(one.model_copy(update=around) == other.model_copy(update=around))
