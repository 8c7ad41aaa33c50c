"""Rows: every training episode, and means between two points of the run."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rlrecipe.clock import Alarm
from rlrecipe.interfaces import State
from rlrecipe.loggers.several import Loggers
from rlrecipe.loop.recipe_loop import RecipeLoop
from rlrecipe.recipe.options import LoggerOptions, Options
from rlrecipe.recipe.traits import LoggerTraits
from rlrecipe.recipe.values import Duration
from rlrecipe.runs.progress import Display
from rlrecipe.runs.records import Records

#: Files of rows; what of them belongs to a checkpoint, it has as their lengths.
LOGS = ("metrics.jsonl", "episodes.jsonl")


class Recorder:
    """Writes ``metrics.jsonl``, ``episodes.jsonl`` and the loggers; its state cuts them back on resume.

    Args:
        folder: the run directory.
        trainer: whose numbers they are.
        every: how often a row is written.
        display: shows the newest row.
        hurried: whether a signal has asked the run to end: loggers are waited for less then.
    """

    def __init__(
        self, folder: Path, trainer: RecipeLoop, every: Duration, display: Display, hurried: Callable[[], bool]
    ) -> None:
        self.folder = folder
        self.trainer, self.display, self.alarm = trainer, display, Alarm(every, trainer.clock)
        self.metrics, self.episodes = Records(folder / "metrics.jsonl"), Records(folder / "episodes.jsonl")
        rest = "every row is in metrics.jsonl, and a resumed run tries it again"
        self.loggers = Loggers(lambda line: display.say(f"warning: {line}"), rest, hurried)
        self.open_episodes: list[list[float]] = []
        self._row: dict[str, Any] = {}
        self._before: list[dict[str, Any]] = []
        self._mark = self._here = self._now()

    def open(self, loggers: Sequence[Options]) -> None:
        """Start the loggers from the rows that are there, so that each row reaches them once.

        Raises:
            RequiredLoggerError: a required one cannot begin.
        """
        rows, self._before = self._before, []
        for index, options in enumerate(loggers):
            component = options.component
            self.loggers.open(
                f"loggers.{index} ({component.name})",
                partial(component.build, options, self.folder, rows),
                required=isinstance(options, LoggerOptions) and options.required,
                patience=LoggerTraits.of(options).patience,
            )
        self._mark = self._here = self._now()

    def _now(self) -> tuple[int, float]:
        """Frames, and seconds but for those of compiling: a speed that counts them would promise hours."""
        return self.trainer.clock.frames, time.monotonic() - self.trainer.updates.preparing

    def boundary(self) -> None:
        """At the end of a batch, before its evaluation: take its episodes."""
        for frames, value, length in self.trainer.episodes:
            self.episodes.write({"frames": frames, "return": value, "length": length})
            self.open_episodes.append([value, length])
        # An evaluation's time is none of the frames before it.
        self._here = self._now()

    def row(self, evaluation: Mapping[str, float], *, last: bool = False) -> None:
        """Write the row of this boundary: the means since the last one if they are due, and an evaluation's figures.

        Args:
            evaluation: its figures; empty where there was none.
            last: whether means that are left are due, too.
        """
        if self.alarm.fires() or (last and self.pending):
            self._means(evaluation)
        elif evaluation:
            self.write(evaluation)

    def _means(self, evaluation: Mapping[str, float]) -> None:
        clock, (frames, then), self._mark = self.trainer.clock, self._mark, self._here
        speed = (self._mark[0] - frames) / max(self._mark[1] - then, 1e-9)
        count = len(self.open_episodes)
        means = [sum(column) / count for column in zip(*self.open_episodes, strict=True)] or [math.nan] * 2
        self.open_episodes.clear()
        row = {"train/episode_return": means[0], "train/episode_length": means[1]}
        row |= {f"loss/{name}": value for name, value in self.trainer.losses.take().items()}
        row |= self.trainer.logged.take()
        row |= {**evaluation, "time/seconds": clock.seconds, "time/frames_per_second": speed}
        self.write(row)
        self._row = {"frames": clock.frames, **{key: v for key, v in row.items() if not math.isnan(v)}}
        self.display.update(clock.fraction, speed, self._row, self.trainer.progress)

    @property
    def pending(self) -> bool:
        """Whether anything happened since the last row."""
        return bool(self.open_episodes or self.trainer.losses or self.trainer.logged)

    def write(self, values: Mapping[str, float]) -> None:
        """Write a row with the counters in front."""
        row = {"frames": self.trainer.clock.frames, "updates": self.trainer.clock.updates, **values}
        # As a resumed run reads it back: what a logger makes of a row does not depend on a stop.
        written = self.metrics.write(row)
        self.loggers.each(lambda logger: logger.write(written))

    def state_dict(self) -> State:
        """The alarm, and what waits for the next row."""
        return {
            "alarm": self.alarm.state_dict(),
            "episodes": [list(map(float, episode)) for episode in self.open_episodes],
        }

    def load_state_dict(self, state: State) -> None:
        """Go on from a saved state."""
        self.alarm.load_state_dict(state["alarm"])
        self.open_episodes = [list(episode) for episode in state["episodes"]]

    def positions(self) -> dict[str, int]:
        """Lengths of the files in bytes, once their content is on disk."""
        return {records.path.name: records.position() for records in (self.metrics, self.episodes)}

    def digests(self) -> dict[str, str]:
        """SHA-256 of the files' rows so far."""
        return {records.path.name: records.digest for records in (self.metrics, self.episodes)}

    def cut(self, positions: Mapping[str, int]) -> None:
        """Cut off what was written after a checkpoint; without one, everything: it is done again."""
        for records in (self.metrics, self.episodes):
            records.cut(positions.get(records.path.name, 0))
        # Now, before anything is trained: a line that is none stands in the way of all that follows.
        self._before = self.metrics.rows()

    def close(self) -> None:
        """Close every file and logger.

        Raises:
            RequiredLoggerError: a required one could not be closed.
        """
        self.metrics.close()
        self.episodes.close()
        self.loggers.close()
