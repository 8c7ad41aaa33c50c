"""Ends a session by the wall clock; the run can be resumed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from rlrecipe.hooks.base import Hook
from rlrecipe.recipe.options import Options, option
from rlrecipe.recipe.registry import register

if TYPE_CHECKING:
    from rlrecipe.loop.loop import Loop


class TimeLimitOptions(Options):
    """End the session with a checkpoint (exit 75) after so many seconds; the next one has as many again."""

    seconds: float = option(..., "Wall time of a session.", gt=0)


class TimeLimit(Hook, options=TimeLimitOptions, point="post_steps"):
    """Looks at the clock after each batch; what the run computes does not depend on it."""

    category = "operation"
    observer = True

    def __init__(self, *values: Any, **named: Any) -> None:
        super().__init__(*values, **named)
        self.begun = time.monotonic()

    def register(self, trainer: Loop, name: str | None = None) -> None:
        """Count from here on."""
        self.trainer, self.begun = trainer, time.monotonic()
        super().register(trainer, name)

    def __call__(self) -> None:
        """Ask the trainer to end the session when the time is up."""
        if time.monotonic() - self.begun >= self.options.seconds:
            self.trainer.interrupt(f"the time_limit of {self.options.seconds:g} seconds was reached")


@register("hook", "time_limit")
def make_time_limit(options: TimeLimitOptions) -> TimeLimit:
    """A limit by the wall clock."""
    return TimeLimit.of(options)
