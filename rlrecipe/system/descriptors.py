"""The standard streams of a process: there from its first line to its last, whoever listens.

Descriptors 0 to 2 are never another file's. Descriptor 1 becomes standard error: what simulators print there, from C or
from processes of their own, is no part of an answer. Answers go to a copy of it, which is ``sys.stdout``.
"""

from __future__ import annotations

import io
import os
import select
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

#: Milliseconds in which a full pipe that does not wait by itself may be emptied.
PATIENCE = 1000


class Lenient(io.FileIO):
    """A descriptor to write to whose reader may be gone, or whose disk may be full: what finds no place is dropped."""

    #: Why something was dropped first.
    failure: OSError | None = None

    def write(self, data: ReadableBuffer, /) -> int:
        """Write all of it or drop it; its bytes."""
        rest = memoryview(data).cast("B")
        size = len(rest)
        try:
            while rest:
                written = super().write(rest)
                if written is None and not self._writable():
                    raise BlockingIOError("the reader does not read")
                rest = rest[written or 0 :]
        except OSError as error:
            self.failure = self.failure or error
        return size

    def _writable(self) -> bool:
        waiting = select.poll()
        waiting.register(self.fileno(), select.POLLOUT)
        return bool(waiting.poll(PATIENCE))


def secure() -> Lenient:
    """Put the standard streams in order, before anything else opens a file; what stands below ``sys.stdout``."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # The lowest number that is free, which is this one.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    answer = Lenient(os.dup(1), "wb")
    os.dup2(2, 1)
    if sys.stdin is None:
        sys.stdin = open(0, closefd=False)  # noqa: SIM115 - a descriptor, which stays open
    sys.stdout = _text(answer, sys.stdout)
    sys.stderr = _text(Lenient(2, "wb", closefd=False), sys.stderr, lines=True)
    return answer


def encoding_of(stream: object) -> str:
    """The encoding of a stream; UTF-8 where whoever made it gave it none."""
    # Streams of others need not have one.
    return getattr(stream, "encoding", None) or "utf-8"


def _text(raw: Lenient, like: TextIO | None, *, lines: bool = False) -> TextIO:
    """A text stream with the encoding of another, which shows what that does not know instead of failing."""
    # Whoever replaced sys.stdout may have given it neither.
    errors = getattr(like, "errors", None)
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=encoding_of(like),
        errors="backslashreplace" if errors in (None, "strict") else errors,
        newline="\n",
        line_buffering=lines or raw.isatty(),
    )


def nameless() -> int:
    """An open file without a name, for memory that processes share."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("rlrecipe")
    # Not before now: most processes share none.
    import tempfile

    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
