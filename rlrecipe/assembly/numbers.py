"""Numbers of a recipe that may follow a schedule."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rlrecipe.clock import Clock
from rlrecipe.recipe.options import Options
from rlrecipe.recipe.values import Duration, Value

if TYPE_CHECKING:
    from rlrecipe.loop.recipe_loop import Schedule


def make_schedule(value: Value) -> Schedule:
    """A number, or a schedule's number by the clock."""
    if isinstance(value, Options):
        options: Any = value
        curve: Callable[[float], float] = options.component.build(options)
        return lambda clock: curve(clock.progress(options.until))
    return lambda _: value


class Numbers:
    """Scheduled numbers of components: each has its value of before the batch.

    Args:
        clock: what schedules are read on; without one, numbers do not change.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock
        self.scheduled: list[_Scheduled] = []

    def __call__(self, value: Value) -> _Scheduled:
        """A number that follows its schedule.

        Raises:
            ValueError: it has a schedule, and there is no clock.
        """
        clock = self.clock
        if clock is None:
            if isinstance(value, Options):
                name = value.component.name
                raise ValueError(f"the schedule {name} is read on a clock, and there is none: give a number instead")
            clock = Clock(Duration(1))
        number = _Scheduled(make_schedule(value))
        number(clock)
        if isinstance(value, Options):
            self.scheduled.append(number)
        return number


class _Scheduled:
    value: float

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule

    def __getstate__(self) -> dict[str, float]:
        # A copy in another process has no clock to read: it is told its value.
        return {"value": self.value}

    def __call__(self, clock: Clock) -> None:
        self.value = self.schedule(clock)
