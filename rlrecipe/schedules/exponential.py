"""A constant factor for each stretch of the run."""

from __future__ import annotations

from collections.abc import Callable

from rlrecipe.recipe.options import option
from rlrecipe.recipe.registry import register
from rlrecipe.schedules.base import ScheduleOptions


class ExponentialOptions(ScheduleOptions):
    """From start to end by a constant factor; both are above 0."""

    start: float = option(1.0, "Value at the beginning of the run.", gt=0)
    end: float = option(0.01, "Value from until on.", gt=0)


@register("schedule", "exponential")
def make_exponential(options: ExponentialOptions) -> Callable[[float], float]:
    """The value at a progress in [0, 1] toward ``until``."""

    def value(progress: float) -> float:
        return float(options.start ** (1.0 - progress) * options.end**progress)

    return value
