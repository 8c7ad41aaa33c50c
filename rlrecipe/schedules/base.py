"""Options that every schedule has."""

from __future__ import annotations

from rlrecipe.recipe.options import Options, option
from rlrecipe.recipe.values import Duration


class ScheduleOptions(Options):
    """Base of every schedule's options; a schedule is a function of progress in [0, 1]."""

    start: float = option(1.0, "Value at the beginning of the run.")
    end: float = option(0.0, "Value from until on.")
    until: Duration = option(
        Duration(1), "When end is reached: a duration, or up to 1 a fraction of the run; 1 is the whole run."
    )
