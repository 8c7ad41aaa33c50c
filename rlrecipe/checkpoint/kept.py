"""Which checkpoints a folder holds, remembered by the process that writes them."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterator


class Kept:
    """Names of checkpoints, oldest first.

    Asking the folder at each save would take longer the more checkpoints it keeps.

    Args:
        names: those that are there.
    """

    def __init__(self, names: list[str]) -> None:
        self._names = names
        #: Those that are not known to stay for good.
        self._passing = list(names)

    def add(self, name: str) -> None:
        """Take up a new one, or one that was written again."""
        at = bisect_left(self._names, name)
        if self._names[at : at + 1] != [name]:
            insort(self._names, name)
            insort(self._passing, name)

    def remove(self, name: str) -> None:
        """Forget one."""
        for names in (self._names, self._passing):
            at = bisect_left(names, name)
            if names[at : at + 1] == [name]:
                del names[at]

    def before(self, name: str) -> str | None:
        """The newest one before ``name``."""
        at = bisect_left(self._names, name)
        return self._names[at - 1] if at else None

    def newest_first(self) -> Iterator[str]:
        """All of them."""
        return reversed(self._names)

    def passing(self, keep_last: int, stays: Callable[[str], bool]) -> list[str]:
        """Those older than the newest ``keep_last`` that do not stay for good; one that does is not asked again."""
        older = self._passing[:-keep_last]
        going = [name for name in older if not stays(name)]
        self._passing[: len(older)] = going
        return going
