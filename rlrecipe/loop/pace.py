"""Whether updates take several times as long as they did at the start of the session."""

from __future__ import annotations

#: Seconds of updates that are looked at together, and how many updates at least.
SPAN, LEAST = 2.0, 20
#: How many times as long is several times, and how many looks in a row have to say so.
SEVERAL, IN_A_ROW = 3.0, 3


class Pace:
    """Medians of the time of an update: of the first ones, and of the newest. No part of a run's state."""

    def __init__(self) -> None:
        #: Median seconds of an update at the start, once there were enough.
        self.usual: float | None = None
        #: How many times as long updates take now, where that is several times, and lasts.
        self.slower: float | None = None
        self._times: list[float] = []
        self._spent, self._slow = 0.0, 0

    def took(self, seconds: float) -> None:
        """Count an update."""
        self._times.append(seconds)
        self._spent += seconds
        if self._spent >= SPAN and len(self._times) >= LEAST:
            median = sorted(self._times)[len(self._times) // 2]
            self._times.clear()
            self._spent = 0.0
            self._look(median)

    def _look(self, median: float) -> None:
        if self.usual is None:
            self.usual = median
            return
        self._slow = self._slow + 1 if median >= SEVERAL * self.usual else 0
        self.slower = median / self.usual if self._slow >= IN_A_ROW else None
