"""Logs how long collecting and learning take."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from rlrecipe.hooks.base import Hook
from rlrecipe.interfaces import Batch
from rlrecipe.interfaces.abilities import Collects
from rlrecipe.recipe.options import Options, option
from rlrecipe.recipe.registry import register

if TYPE_CHECKING:
    from rlrecipe.loop.loop import Loop


class LogTimingOptions(Options):
    """Log the seconds that collecting and learning take, as time/collecting and time/learning."""

    percall: bool = option(True, "Seconds of each batch; false: of all of the session's batches so far.")


class LogTiming(Hook, options=LogTimingOptions, point="post_steps_log"):
    """Reads the wall clock around collecting and around a batch's updates; evaluation and checkpoints count as neither.

    What it reads is no state: two runs that are the same differ in it.
    """

    category = "logging"
    reads_mapping = True
    observer = True

    def __init__(self, *values: Any, **named: Any) -> None:
        super().__init__(*values, **named)
        self.seconds = {"time/collecting": 0.0, "time/learning": 0.0}
        # Totals are not averaged.
        self.logs_newest = () if self.options.percall else tuple(self.seconds)
        self._collected = self._called = 0.0

    def register(self, trainer: Loop, name: str | None = None) -> None:
        """Look at the clock around each collection, and after each batch's updates."""
        super().register(trainer, name)
        collector: Any = trainer.collector
        if not isinstance(collector, Collects):
            # A collector that is iterated: what it takes is the time since the batch before.
            self._called = time.monotonic()
            trainer.register_op("pre_steps_log", self.arrived)
            return
        collect = collector.collect

        def timed() -> Batch:
            begun = time.monotonic()
            batch: Batch = collect()
            self._collected = time.monotonic()
            self._add("time/collecting", self._collected - begun)
            return batch

        collector.collect = timed  # type: ignore[method-assign]  # only here, in place of a clock in every loop

    def __call__(self, batch: Any) -> dict[str, float]:
        """A batch's updates are done; the seconds to log."""
        self._called = time.monotonic()
        self._add("time/learning", self._called - self._collected)
        return dict(self.seconds)

    def arrived(self, batch: Any) -> None:
        """A batch was collected."""
        self._collected = time.monotonic()
        self._add("time/collecting", self._collected - self._called)

    def _add(self, name: str, seconds: float) -> None:
        self.seconds[name] = seconds if self.options.percall else self.seconds[name] + seconds


@register("hook", "log_timing")
def make_log_timing(options: LogTimingOptions) -> LogTiming:
    """A report of seconds."""
    return LogTiming.of(options)
