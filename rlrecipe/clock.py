"""How far a run has come, in frames, updates, episodes and seconds."""

from __future__ import annotations

import time

from rlrecipe.interfaces import State
from rlrecipe.recipe.values import Duration


class Clock:
    """Counts a run's progress; durations and schedules are read on it.

    Args:
        total: how long the run is.

    Attributes:
        horizon: what schedules take for the whole run; a resumed run that was extended keeps its first.
    """

    def __init__(self, total: Duration) -> None:
        self.total = self.horizon = total
        self.frames = self.updates = self.episodes = 0
        self.seconds_before = 0.0
        self._started = time.monotonic()

    @property
    def seconds(self) -> float:
        """Wall time of all sessions of the run."""
        return self.seconds_before + time.monotonic() - self._started

    @property
    def moment(self) -> int:
        """Frames, or the updates of a run that counts none, as one that learns from a dataset.

        What is to happen at intervals happens there, too. A run with environments has frames before its first update.
        """
        return self.frames or self.updates

    def count(self, duration: Duration) -> float:
        """How far the run is, in the unit of ``duration``; frames as ``moment`` has them."""
        return float((self.frames or self.updates) if duration.unit == "frames" else getattr(self, duration.unit))

    @property
    def done(self) -> bool:
        """Whether the run is complete."""
        return self.count(self.total) >= self.total.amount

    @property
    def fraction(self) -> float:
        """Progress of the run in [0, 1]."""
        return min(1.0, self.count(self.total) / self.total.amount)

    def progress(self, until: Duration) -> float:
        """Progress in [0, 1] toward ``until``; frames up to 1 are a fraction of the run."""
        if until.unit == "frames" and until.amount <= 1:
            whole, reached = self.horizon.amount * until.amount, self.count(self.horizon)
        else:
            whole, reached = until.amount, self.count(until)
        return min(1.0, reached / whole)

    def state_dict(self) -> State:
        """The counters and the horizon; seconds differ between two runs that are the same, so they are not state."""
        return {
            "frames": self.frames,
            "updates": self.updates,
            "episodes": self.episodes,
            "horizon": [self.horizon.amount, self.horizon.unit],
        }

    def load_state_dict(self, state: State) -> None:
        """Go on counting from where ``state`` was taken."""
        self.frames, self.updates, self.episodes = state["frames"], state["updates"], state["episodes"]
        self._started = time.monotonic()
        self.horizon = Duration(*state["horizon"])


class Alarm:
    """Fires whenever a duration is crossed, so that no interval has to be a multiple of a batch."""

    def __init__(self, every: Duration, clock: Clock) -> None:
        self.every, self.clock = every, clock
        self.crossed = 0

    def fires(self) -> bool:
        """Whether the interval was crossed since the last time this was asked."""
        crossings = int(self.clock.count(self.every) // self.every.amount)
        fired, self.crossed = crossings > self.crossed, crossings
        return fired

    def align(self) -> None:
        """Count from here on, whatever intervals were crossed before."""
        self.crossed = int(self.clock.count(self.every) // self.every.amount)

    def state_dict(self) -> State:
        """The interval that was crossed last."""
        return {"crossed": self.crossed}

    def load_state_dict(self, state: State) -> None:
        """Remember the interval that was crossed last."""
        self.crossed = state["crossed"]
