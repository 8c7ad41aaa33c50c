"""Signals that ask a run to stop: the first leads to a checkpoint, the second ends it at once."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from types import FrameType
from typing import Any

#: A run that a signal stopped can be resumed; Ctrl-C has its customary code.
EXIT = {signal.SIGINT: 130, signal.SIGTERM: 75, signal.SIGUSR1: 75, signal.SIGHUP: 75}
AT_ONCE = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGUSR1: 143, signal.SIGHUP: 129}


class Signals:
    """While open, the first signal is noted and said on standard error; a second ends the process.

    Outside the main thread, where Python lets nobody handle signals, it does nothing.
    """

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet
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
            if sys.stderr.isatty():
                os.write(2, b"\x1b[?25h\n")  # the cursor, which the progress bar hides
            os._exit(AT_ONCE[received])
        self.received = received
        if not self.quiet:
            # Not through the display: this may have interrupted it in the middle of a line.
            text = f"{received.name}: saving a checkpoint after this batch; once more to stop at once\n"
            with contextlib.suppress(OSError):
                os.write(2, text.encode())

    @property
    def exit_code(self) -> int | None:
        """The exit code that the signal asks for, or None."""
        return None if self.received is None else EXIT[self.received]
