"""Signals that ask a run to stop: the first leads to a checkpoint, the second ends it at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

#: A run that a signal stopped can be resumed; Ctrl-C has its customary code.
EXIT = {signal.SIGINT: 130, signal.SIGTERM: 75, signal.SIGUSR1: 75}
AT_ONCE = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGUSR1: 143}


class Signals:
    """While open, the first signal is noted and told to ``notify``; a second ends the process.

    Outside the main thread, where Python lets nobody handle signals, it does nothing.
    """

    def __init__(self, notify: Callable[[str], None]) -> None:
        self.notify = notify
        self.received: signal.Signals | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Signals:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._handle) for number in EXIT}
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        received = signal.Signals(number)
        if self.received is not None:
            os._exit(AT_ONCE[received])
        self.received = received
        self.notify(f"{received.name}: saving a checkpoint after this batch; once more to stop at once")

    @property
    def exit_code(self) -> int | None:
        """The exit code that the signal asks for, or None."""
        return None if self.received is None else EXIT[self.received]
