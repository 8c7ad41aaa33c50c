"""How commands and numbers are shown to a person."""

from __future__ import annotations

import math
import shlex
from pathlib import Path


def command(name: str, *words: str | Path) -> str:
    """A command of this package as a shell takes it: ``rlrecipe resume 'a b'``."""
    return shlex.join(["rlrecipe", name, *map(str, words)])


def place(path: str | Path) -> str:
    """A path as an argument: one that begins with ``-`` would be taken for an option."""
    return f"./{path}" if str(path).startswith("-") else str(path)


def number(value: float, *beside: float, decimals: int = 2) -> str:
    """A number with three significant digits or more.

    Args:
        value: the number.
        beside: others that are shown beside it, and have as many decimals.
        decimals: how many there are at least.
    """
    largest = max((abs(each) for each in (value, *beside) if math.isfinite(each)), default=0.0)
    if 0 < largest < 1:
        decimals = max(decimals, 2 - math.floor(math.log10(largest)))
    return f"{value:.3g}" if decimals > 8 else f"{value:.{decimals}f}"


def counted(count: int, noun: str) -> str:
    """``1 episode``, ``2,000 episodes``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
