"""Half a cosine wave (Loshchilov and Hutter, 2017, equation 5, without restarts)."""

from __future__ import annotations

import math
from collections.abc import Callable

from rlrecipe.recipe.registry import register
from rlrecipe.schedules.base import ScheduleOptions


class CosineOptions(ScheduleOptions):
    """Half a cosine from start to end: slow at both ends; by default from 1 to 0."""


@register("schedule", "cosine")
def make_cosine(options: CosineOptions) -> Callable[[float], float]:
    """The value at a progress in [0, 1] toward ``until``."""

    def value(progress: float) -> float:
        weight = 0.5 * (1.0 + math.cos(math.pi * progress))
        return weight * options.start + (1.0 - weight) * options.end

    return value
