"""How many steps an episode has had."""

from __future__ import annotations

from typing import Annotated, Any

from rlrecipe.lazy import gymnasium
from rlrecipe.recipe.names import SHOWN
from rlrecipe.recipe.options import option
from rlrecipe.recipe.registry import register
from rlrecipe.recipe.traits import TransformTraits
from rlrecipe.transforms.base import TransformOptions


class StepCounterOptions(TransformOptions):
    """Truncate episodes after a number of steps, show the policy how many there were, or both."""

    max_steps: int | None = option(None, "After how many an episode is truncated; null never does.", gt=0)
    step_count_key: Annotated[str | None, SHOWN] = option(
        None, "Observe the count under this key, beside what the environment observes; null leaves it out."
    )


@register("transform", "step_counter", traits=TransformTraits(wraps=True))
def make_step_counter(options: StepCounterOptions, env: gymnasium.Env[Any, Any]) -> gymnasium.Env[Any, Any]:
    """Counted steps."""
    from rlrecipe.stepping.wrappers.counting import StepCounter

    return StepCounter(env, options.max_steps, options.step_count_key)
