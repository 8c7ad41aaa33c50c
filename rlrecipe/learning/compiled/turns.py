"""Runs that need the same package at once take turns: the first makes it, the others wait and load it."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from rlrecipe.errors import StoppedError

#: Seconds after which a run makes a package itself, whatever became of the other one.
LONGEST = 900.0


@contextmanager
def turn(
    folder: Path,
    names: Iterable[str],
    interrupted: Callable[[], bool] = lambda: False,
    say: Callable[[str], None] = lambda _: None,
    longest: float = LONGEST,
) -> Iterator[None]:
    """Until its end, other processes wait that ask for one of these packages, too.

    Args:
        folder: of the packages; the system lets go of its locks when a process ends, however it does.
        names: of the packages.
        interrupted: asked while it waits.
        say: told once that it waits.
        longest: seconds that it waits at most.

    Raises:
        StoppedError: the run shall stop.
    """
    with ExitStack() as stack:
        end = time.monotonic() + longest
        # In one order for all, so that no two wait for each other.
        for name in sorted(names):
            with suppress(OSError):
                flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
                opened = os.open(folder / f".{name}.lock", flags, 0o600)
                stack.callback(os.close, opened)
                say = _wait(opened, end, interrupted, say)
        yield


def _wait(
    opened: int, end: float, interrupted: Callable[[], bool], say: Callable[[str], None]
) -> Callable[[str], None]:
    """Take a lock, or give up at the end; what says the next line."""
    while True:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                return say
        else:
            return say
        say("another run is compiling the same update: waiting for it")
        say = _silent
        if interrupted():
            raise StoppedError("stopped while another run was compiling the update")
        time.sleep(0.05)


def _silent(_: str) -> None:
    """Says nothing."""
