"""Signals that ask a process to stop.

Outside a session they end the process at once, in a session the first leads to a checkpoint and the second ends it.
Nothing is raised for them: an exception in the middle of an import or of a callback from C may be swallowed there, or
end the process otherwise. A signal that was ignored when the process started stays ignored.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress

#: Those that terminals, schedulers and containers send before they kill.
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGXCPU)
#: What was stopped and can be resumed; Ctrl-C has its customary code.
RESUMABLE = 75


def exit_code(received: signal.Signals, otherwise: int = RESUMABLE) -> int:
    """The exit code that a signal leads to; of all but Ctrl-C it is the given one."""
    return 130 if received is signal.SIGINT else otherwise


def at_once(received: signal.Signals) -> int:
    """The exit code of a process that a signal ended in the middle of its work."""
    return exit_code(received, 143)


def _write(text: str) -> None:
    """Text on standard error, not through any stream: a signal may have interrupted it in the middle of a line."""
    with suppress(OSError):
        os.write(2, text.encode())


def _taken() -> list[signal.Signals]:
    """Those that may be handled: none that is ignored, or handled by what is not Python's."""
    return [number for number in STOPPING if signal.getsignal(number) not in (signal.SIG_IGN, None)]


class Early:
    """Ends the process at its first signal, as long as no session takes care of them.

    Args:
        resumable: whether the same command does later what it did not do now (75, not 143).
        quiet: say nothing.
    """

    def __init__(self, resumable: bool, quiet: bool = False) -> None:
        self.otherwise, self.quiet = RESUMABLE if resumable else 143, quiet
        #: The command's exit code, once it is known: its work is done.
        self.code: int | None = None
        self._over = self._asked = False

    def open(self) -> None:
        """Take the signals from now on."""
        for number in _taken():
            signal.signal(number, self)

    def session_over(self) -> None:
        """Its outcome stands, and the process is about to end with it: a signal changes nothing any more."""
        self._over = True

    def ignore(self) -> None:
        """Let the interpreter finish: where it takes handlers away, the system's would end the process."""
        for number in STOPPING:
            if signal.getsignal(number) is self:
                signal.signal(number, signal.SIG_IGN)

    def __call__(self, number: int, frame: object) -> None:
        """The handler."""
        received = signal.Signals(number)
        if self.code is not None:
            os._exit(self.code)
        if self._over:
            if self._asked:
                os._exit(at_once(received))
            self._asked = True
            return
        if not self.quiet:
            what = "training" if self.otherwise == RESUMABLE else "the end"
            _write(f"{received.name}: stopped before {what}\n")
        os._exit(exit_code(received, self.otherwise))


class Signals:
    """While open, the first signal is noted and said on standard error; a second ends the process.

    It may be opened inside itself. Outside the main thread, where Python lets nobody handle signals, it does nothing.

    Args:
        quiet: say nothing.
        consequence: of the first signal, as it is said.
    """

    def __init__(self, quiet: bool = False, consequence: str = "saving a checkpoint after this batch") -> None:
        self.quiet, self.consequence = quiet, consequence
        self.received: signal.Signals | None = None
        self._before: dict[signal.Signals, object] = {}
        self._depth = 0

    def __enter__(self) -> Signals:
        import threading

        self._depth += 1
        if self._depth == 1 and threading.current_thread() is threading.main_thread():
            _open.append(self)
            self._before = {number: signal.getsignal(number) for number in _taken()}
            for number in self._before:
                signal.signal(number, self._handle)
        return self

    def __exit__(self, *exception: object) -> None:
        self._depth -= 1
        if self._depth:
            return
        if self in _open:
            _open.remove(self)
        for handler in self._before.values():
            if isinstance(handler, Early):
                handler.session_over()
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # it is what getsignal gave
        self._before = {}

    def _handle(self, number: int, frame: object) -> None:
        received = signal.Signals(number)
        if self.received is not None:
            if received is signal.SIGXCPU:
                # The system sends it every second once a limit of processor time is passed.
                return
            if os.isatty(2):
                _write("\x1b[?25h\n")  # the cursor, which the progress bar hides
            os._exit(at_once(received))
        self.received = received
        if not self.quiet:
            _write(f"{received.name}: {self.consequence}; once more to stop at once\n")

    @property
    def exit_code(self) -> int | None:
        """The exit code that the signal asks for, or None."""
        return None if self.received is None else exit_code(self.received)


#: Those that are open, the innermost last.
_open: list[Signals] = []


def current() -> Signals | None:
    """The signals that are noted now, or None where they end the process or are the program's."""
    return _open[-1] if _open else None


def asked_to_end() -> bool:
    """Whether a signal has come among those that are noted now."""
    return bool(_open) and _open[-1].received is not None


@contextmanager
def held_back() -> Iterator[None]:
    """A process that is started inside begins with these signals blocked: what ends the run is not for it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def leave_to_parent() -> None:
    """Do nothing at any of these signals: the process that started this one takes care of them.

    They are handled, not ignored: an ignored signal would stay so in what an environment starts, and could not end it.
    """
    for number in _taken():
        signal.signal(number, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
