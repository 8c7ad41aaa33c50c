"""A thread in which a logger lives, so that one that waits for a server or a disk holds nobody up for long."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")
#: Seconds between two looks at what the thread does.
LOOK = 0.1
#: Seconds of patience that a signal leaves: whoever sent it may soon kill.
HURRY = 2.0


class NoAnswerError(Exception):
    """A logger that waited for too long; its thread is left to itself."""


class _Call:
    """Something to do in the thread, and what came of it."""

    def __init__(self, do: Callable[[], Any]) -> None:
        self.do, self.done = do, threading.Event()
        self.result: Any = None
        self.error: BaseException | None = None


class Apart:
    """Calls functions one after the other in one thread, and waits for each, but not for ever.

    Only waiting counts: whoever imports a large package or writes a long file is at work.

    Args:
        hurried: whether a signal has asked the run to end.
    """

    def __init__(self, hurried: Callable[[], bool]) -> None:
        self.hurried = hurried
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        # A daemon: it must not keep the process from ending.
        self._thread = threading.Thread(target=self._serve, daemon=True, name="logger")
        self._thread.start()

    def call(self, do: Callable[[], T], patience: float) -> T:
        """The result of ``do``.

        Raises:
            NoAnswerError: the thread has waited for ``patience`` seconds in it.
            Exception: what ``do`` raises.
        """
        call, waited, worked = _Call(do), 0.0, self._worked()
        self._calls.put(call)
        hurried_before = self.hurried()
        while not call.done.wait(LOOK):
            before, worked = worked, self._worked()
            waited += LOOK if worked - before < LOOK / 10 else 0.0
            # A call that begins after the signal, such as the last one, has the time it needs.
            hurry = self.hurried() and not hurried_before
            if waited >= (min(patience, HURRY) if hurry else patience):
                raise NoAnswerError(f"it did not answer for {waited:.0f} s")
        if call.error is not None:
            raise call.error
        result: T = call.result
        return result

    def end(self) -> None:
        """Let the thread end after what it is at."""
        self._calls.put(None)

    def _worked(self) -> float:
        """Processor time of the thread, in seconds; none where the system does not tell."""
        told = hasattr(time, "pthread_getcpuclockid")
        if not told or self._thread.ident is None or not self._thread.is_alive():
            return 0.0
        return time.clock_gettime(time.pthread_getcpuclockid(self._thread.ident))

    def _serve(self) -> None:
        while (call := self._calls.get()) is not None:
            try:
                call.result = call.do()
            # Also SystemExit: it would end this thread, and nobody else.
            except BaseException as error:
                call.error = error
            call.done.set()
