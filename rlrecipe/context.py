"""What a trainer and its parts know of the run around them, which they are given when they are built; its level."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


def _warn(line: str) -> None:
    warnings.warn(line, stacklevel=3)


@dataclass(frozen=True)
class RunContext:
    """The run around a trainer; by default there is none, and warnings are Python's.

    Attributes:
        folder: the run directory; None where there is none.
        say: tells the user what is being done.
        warn: tells the user what went wrong, where training goes on.
        lost: takes the reason why another machine might not end with the same bits.
        interrupted: whether the run shall stop, asked where something takes long.
    """

    folder: Path | None = None
    say: Callable[[str], None] = lambda line: None
    warn: Callable[[str], None] = _warn
    lost: Callable[[str], None] = lambda reason: None
    interrupted: Callable[[], bool] = lambda: False


#: How much a resumed run has in common with one that was never stopped, from all to least.
LEVELS = ("exact", "boundary", "continue")


class Level:
    """How exactly a run can be resumed, and why; it only falls.

    Args:
        name: one of LEVELS.
        reason: why no stronger one.
    """

    def __init__(self, name: str, reason: str) -> None:
        self.name, self.reason = name, reason

    def lower(self, name: str, reason: str, *, anew: bool = False) -> None:
        """Promise no more than ``name``; of equal levels the reason that came first stays, unless it is said anew."""
        if LEVELS.index(name) > LEVELS.index(self.name) - anew:
            self.name, self.reason = name, reason
