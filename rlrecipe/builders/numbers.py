"""Numbers of a recipe that may follow a schedule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rlrecipe.clock import Clock
from rlrecipe.recipe.options import Options
from rlrecipe.recipe.values import Value
from rlrecipe.trainers.trainer import Schedule


def make_schedule(value: Value) -> Schedule:
    """A number, or a schedule's number by the clock."""
    if isinstance(value, Options):
        options: Any = value
        curve: Callable[[float], float] = options.component.build(options)
        return lambda clock: curve(clock.progress(options.until))
    return lambda _: value


class Numbers:
    """Scheduled numbers of components: each has its value of before the batch."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.scheduled: list[_Scheduled] = []

    def __call__(self, value: Value) -> _Scheduled:
        """A number that follows its schedule."""
        number = _Scheduled(make_schedule(value))
        number(self.clock)
        if isinstance(value, Options):
            self.scheduled.append(number)
        return number


class _Scheduled:
    value: float

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule

    def __call__(self, clock: Clock) -> None:
        self.value = self.schedule(clock)
