"""What threads of libraries fail with, as a writer's on a full disk."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def kept(log: Callable[[str], None]) -> Iterator[None]:
    """Give it to ``log`` in place of standard error: the logger that it belongs to is named where it is called."""

    def tell(failed: threading.ExceptHookArgs) -> None:
        log("".join(traceback.format_exception(failed.exc_type, failed.exc_value, failed.exc_traceback)))

    before, threading.excepthook = threading.excepthook, tell
    try:
        yield
    finally:
        threading.excepthook = before
