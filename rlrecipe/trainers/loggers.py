"""Several loggers at once: one that fails is told of and left out, and training goes on."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from rlrecipe.interfaces import Logger


class Loggers:
    """Loggers by the names that messages call them.

    Args:
        say: tells of one that fails.
        rest: what is left of its rows, for the message.
        owned: they are closed here, rather than by who made them.
    """

    def __init__(self, say: Callable[[str], None], rest: str, *, owned: bool) -> None:
        self.say, self.rest, self.owned = say, rest, owned
        self._loggers: dict[str, Any] = {}

    def add(self, name: str, logger: Logger | Any) -> None:
        """Take up a logger."""
        self._loggers[name] = logger

    def each(self, do: Callable[[Any], object]) -> None:
        """Do something with each; one where it raises gets nothing more."""
        for name, logger in list(self._loggers.items()):
            try:
                do(logger)
            except Exception as error:
                self._give_up(name, error)

    def _give_up(self, name: str, error: Exception) -> None:
        """Go on without a logger that failed: a run of hours is worth more than a copy of its rows."""
        failed = self._loggers.pop(name)
        self.say(f"{name} failed and gets no more rows: {type(error).__name__}: {error}; training goes on, {self.rest}")
        if self.owned:
            with suppress(Exception):
                failed.close()

    def close(self) -> None:
        """Close every logger."""
        for name, logger in self._loggers.items():
            try:
                logger.close()
            except Exception as error:
                self.say(f"{name} could not be closed: {type(error).__name__}: {error}")
