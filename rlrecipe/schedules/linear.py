"""A straight line from one value to another."""

from __future__ import annotations

from collections.abc import Callable

from rlrecipe.recipe.registry import register
from rlrecipe.schedules.base import ScheduleOptions


class LinearOptions(ScheduleOptions):
    """A straight line from start to end; by default from 1 to 0."""


@register("schedule", "linear")
def make_linear(options: LinearOptions) -> Callable[[float], float]:
    """The value at a progress in [0, 1] toward ``until``."""

    def value(progress: float) -> float:
        # In this form both ends are exact.
        return (1.0 - progress) * options.start + progress * options.end

    return value
