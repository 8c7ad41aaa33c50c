"""Several loggers at once: one that fails or does not answer is told of and left out, and training goes on."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from rlrecipe.interfaces import Logger
from rlrecipe.loggers.apart import Apart, NoAnswerError
from rlrecipe.recipe.traits import LoggerTraits

#: Seconds that a call of a logger may wait.
PATIENCE = LoggerTraits.patience


class RequiredLoggerError(Exception):
    """A logger that the run cannot do without has failed."""


@dataclass
class _Open:
    """A logger; one that is owned has a thread."""

    logger: Logger | Any
    apart: Apart | None = None
    required: bool = False
    patience: float = PATIENCE

    def call(self, do: Callable[[Any], object]) -> None:
        """Do something with it."""
        if self.apart is None:
            do(self.logger)
        else:
            self.apart.call(lambda: do(self.logger), self.patience)


class Loggers:
    """Loggers by the names that messages call them.

    Args:
        say: tells of one that fails.
        rest: what is left of its rows, for the message.
        hurried: whether a signal has asked the run to end.
    """

    def __init__(self, say: Callable[[str], None], rest: str, hurried: Callable[[], bool] = lambda: False) -> None:
        self.say, self.rest, self.hurried = say, rest, hurried
        self._loggers: dict[str, _Open] = {}

    def add(self, name: str, logger: Logger | Any) -> None:
        """Take up a logger of the caller's, who closes it."""
        self._loggers[name] = _Open(logger)

    def open(
        self, name: str, make: Callable[[], Logger], *, required: bool = False, patience: float = PATIENCE
    ) -> None:
        """Make a logger in a thread of its own, where it is also called and closed.

        Args:
            name: what messages call it.
            make: makes it.
            required: the run cannot do without it.
            patience: seconds that a call of it may wait.

        Raises:
            RequiredLoggerError: a required one cannot be made.
        """
        apart = Apart(self.hurried)
        try:
            self._loggers[name] = _Open(apart.call(make, patience), apart, required, patience)
        except (Exception, SystemExit) as error:
            apart.end()
            self._tell(f"{name} could not begin and gets no rows", error, required)

    def each(self, do: Callable[[Any], object]) -> None:
        """Do something with each; one where it raises gets nothing more.

        Raises:
            RequiredLoggerError: a required one has failed.
        """
        for name, opened in list(self._loggers.items()):
            try:
                opened.call(do)
            except (Exception, SystemExit) as error:
                del self._loggers[name]
                self._close_failed(opened, error)
                self._tell(f"{name} failed and gets no more rows", error, opened.required)

    def _close_failed(self, opened: _Open, error: BaseException) -> None:
        if opened.apart is not None:
            if not isinstance(error, NoAnswerError):
                with suppress(Exception, SystemExit):
                    opened.call(lambda logger: logger.close())
            opened.apart.end()

    def _tell(self, what: str, error: BaseException, required: bool, goes_on: str = "training goes on, ") -> None:
        """Go on without a logger that failed: a run of hours is worth more than a copy of its rows."""
        reason = str(error) if isinstance(error, NoAnswerError) else f"{type(error).__name__}: {error}"
        if required:
            cure = "see to it and resume the run, or resume it without required: true"
            raise RequiredLoggerError(f"{what}: {reason}; it is required, so the run ends; {cure}") from error
        self.say(f"{what}: {reason}; {goes_on}{self.rest}")

    def close(self) -> None:
        """Close every logger that was opened here.

        Raises:
            RequiredLoggerError: a required one could not be closed, the last of them; the others are closed.
        """
        failed: RequiredLoggerError | None = None
        for name, opened in self._loggers.items():
            if opened.apart is None:
                continue
            try:
                opened.call(lambda logger: logger.close())
            except (Exception, SystemExit) as error:
                try:
                    self._tell(f"{name} could not be closed", error, opened.required, goes_on="")
                except RequiredLoggerError as required:
                    failed = required
            opened.apart.end()
        self._loggers.clear()
        if failed is not None:
            raise failed
