"""Rows of a trainer that stands alone: means between two points of the run, for loggers and the progress bar."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rlrecipe.clock import Alarm
from rlrecipe.errors import Refusal
from rlrecipe.interfaces import State
from rlrecipe.loggers.base import COUNTERS, Logger
from rlrecipe.loggers.several import Loggers
from rlrecipe.recipe.values import Duration

if TYPE_CHECKING:
    from rich.progress import Progress

    from rlrecipe.loop.loop import Loop


class Rows:
    """Writes a row whenever an interval was crossed, and what is left at the end.

    Args:
        loop: whose numbers they are.
        every: how often.
        loggers: each with ``write(row)``, or as torchrl's with ``log_scalar(name, value, step)``.
        progress_bar: show progress on standard error.

    Raises:
        Refusal: a logger has neither method.
    """

    def __init__(self, loop: Loop, every: Duration, loggers: Sequence[Any], progress_bar: bool) -> None:
        self.loop, self.alarm = loop, Alarm(every, loop.clock)
        self.loggers = Loggers(lambda line: loop.say(line), "every row is in trainer.rows")
        for index, logger in enumerate(loggers):
            if not hasattr(logger, "write") and not hasattr(logger, "log_scalar"):
                raise Refusal(f"the logger {logger!r} has neither write(row) nor log_scalar(name, value, step)")
            self.loggers.add(f"logger {index} ({type(logger).__name__})", logger)
        #: Every row of this session.
        self.written: list[dict[str, float]] = []
        self._episodes: list[tuple[float, int]] = []
        self._loaded = False
        self._shown, self._bar = progress_bar, None if not progress_bar else _bar()

    def boundary(self) -> None:
        """At the end of a batch."""
        self._episodes += [(value, length) for _, value, length in self.loop.episodes]
        if self.alarm.fires():
            self.write()
        if self._bar is not None:
            text = "  ".join(f"{name} {value:.4g}" for name, value in self.loop.progress.items())
            self._bar.update(self._bar.task_ids[0], completed=self.loop.clock.fraction, description=text)

    def write(self) -> None:
        """Write the means since the last row, if there are any."""
        row: dict[str, float] = {}
        if self._episodes:
            returns, lengths = zip(*self._episodes, strict=True)
            row["train/episode_return"] = sum(returns) / len(returns)
            row["train/episode_length"] = sum(lengths) / len(lengths)
            self._episodes.clear()
        row |= {f"loss/{name}": value for name, value in self.loop.losses.take().items()}
        row |= self.loop.logged.take()
        if not row:
            return
        clock = self.loop.clock
        self.written.append({"frames": clock.frames, "updates": clock.updates, **row})
        self.loggers.each(self._pass)

    def _pass(self, logger: Any) -> None:
        """The newest row to a logger."""
        row = self.written[-1]
        if hasattr(logger, "write"):
            logger.write(row)
            return
        for name, value in row.items():
            if name not in COUNTERS:
                logger.log_scalar(name, value, step=row["frames"])

    def _cut(self, logger: Any) -> None:
        if isinstance(logger, Logger):
            logger.cut(self.loop.clock.frames)

    def __enter__(self) -> None:
        # Not once the state is there: who loads a file to look at it keeps the rows.
        if self._loaded:
            self._loaded = False
            self.written[:] = [row for row in self.written if row["frames"] <= self.loop.clock.frames]
            self.loggers.each(self._cut)
        if self._bar is not None:
            self._bar.start()

    def __exit__(self, *exception: object) -> None:
        if exception[0] is None:
            self.write()
        if self._bar is not None:
            self._bar.stop()

    def state_dict(self) -> State:
        """The alarm, and the episodes that wait for the next row."""
        return {"alarm": self.alarm.state_dict(), "episodes": [list(each) for each in self._episodes]}

    def load_state_dict(self, state: State) -> None:
        """Go on from a saved state; rows written after it are cut once training goes on, for they come again."""
        self._loaded = True
        self.alarm.load_state_dict(state["alarm"])
        self._episodes = [(value, length) for value, length in state["episodes"]]


def _bar() -> Progress:
    from rich.console import Console
    from rich.progress import Progress

    bar = Progress(console=Console(stderr=True))
    bar.add_task("", total=1.0)
    return bar
