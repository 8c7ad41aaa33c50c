"""What a run shows while it goes on: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO, cast

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Column

from rlrecipe.recipe.errors import plain, printable
from rlrecipe.recipe.secrets import masked
from rlrecipe.recipe.shown import number
from rlrecipe.system.descriptors import encoding_of
from rlrecipe.system.files import append

#: Seconds between two plain lines, so that a short run does not flood a log.
PAUSE = 2.0


class Listener(io.TextIOBase):
    """A stream, whoever reads it: what cannot be written is dropped, since nothing depends on it.

    Args:
        stream: standard error by default, as it is now: a bar that is shown puts itself in its place.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stderr

    @property
    def encoding(self) -> str:  # type: ignore[override]  # rich asks for it; io's own is writable
        """As the stream has it."""
        return encoding_of(self.stream)

    def isatty(self) -> bool:
        """Whether a terminal reads it."""
        with suppress(OSError, ValueError):
            return self.stream is not None and self.stream.isatty()
        return False

    def write(self, text: str, /) -> int:
        """Write what the encoding knows, the rest as escapes."""
        with suppress(OSError, ValueError):
            if self.stream is not None:
                self.stream.write(text.encode(self.encoding, "backslashreplace").decode(self.encoding))
        return len(text)

    def flush(self) -> None:
        """Let the reader see it."""
        with suppress(OSError, ValueError):
            if self.stream is not None:
                self.stream.flush()


class Display:
    """Progress on standard error.

    Args:
        quiet: show nothing.
        verbose: show every row, however fast they come.
        console: where to show it; standard error by default.
    """

    def __init__(self, quiet: bool = False, console: Console | None = None, *, verbose: bool = False) -> None:
        self.pause = 0.0 if verbose else PAUSE
        # typeshed does not derive io's classes from typing.IO.
        listener = cast("TextIO", Listener())
        self.console = console or Console(file=listener, soft_wrap=not listener.isatty(), highlight=False)
        self.quiet = quiet
        self._bar: Progress | None = None
        self._log: Path | None = None
        self._last = -PAUSE
        self._line = ""

    def log_to(self, path: Path) -> None:
        """Keep every line in a file, too, with its time."""
        self._log = path

    def say(self, text: str, *, always: bool = False) -> None:
        """A line that stays; with ``always`` a quiet display shows it, too."""
        self.log(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}\n")
        if always or not self.quiet:
            self.console.print(plain(text), markup=False, soft_wrap=True)

    def log(self, text: str) -> None:
        """Text for the file alone; a disk that is full loses it, not the run."""
        if self._log is not None:
            with suppress(OSError):
                append(self._log, plain(masked(text)))

    def start(self) -> None:
        """Show the bar, where there is a terminal for it."""
        if self.quiet or not self.console.is_terminal:
            return
        # Percent and time keep their width on a narrow terminal; the bar gives way, then the text.
        columns = (
            TaskProgressColumn(table_column=Column(no_wrap=True, min_width=4)),
            BarColumn(bar_width=16 if self.console.width >= 80 else 8),
            TimeRemainingColumn(compact=True, table_column=Column(no_wrap=True, min_width=5)),
            TextColumn(
                "{task.description}",
                markup=False,
                table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1),
            ),
        )
        self._bar = Progress(*columns, console=self.console, expand=True)
        self._task = self._bar.add_task("", total=1.0)
        self._bar.start()

    def update(self, fraction: float, speed: float, row: Mapping[str, Any], shown: Mapping[str, float]) -> None:
        """Show how far the run is, its speed in frames/s, and the newest row."""
        text = printable(describe(row, speed, shown))
        if self._bar is not None:
            self._bar.update(self._task, completed=fraction, description=text)
            return
        now = time.monotonic()
        left = ""
        if 0 < fraction < 1 and speed > 0:
            left = f"  {_clock(row.get('frames', 0) * (1 - fraction) / fraction / speed)} left"
        self._line = f"{fraction:4.0%}  {row.get('frames', 0):>9,} frames  {text}{left}"
        if now - self._last >= self.pause:
            self._last = now
            self.say(self._line)
            self._line = ""

    def stop(self) -> None:
        """Take the bar away; the last plain line is shown in any case."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
        if self._line:
            self.say(self._line)
            self._line = ""


def describe(row: Mapping[str, Any], speed: float, shown: Mapping[str, float]) -> str:
    """One line: return, losses, speed, and what hooks asked to show."""
    parts = []
    if row.get("train/episode_return") is not None:
        parts.append(f"return {number(row['train/episode_return'], decimals=1)}")
    parts += [f"{key.removeprefix('loss/')} {row[key]:.3g}" for key in ("loss/policy", "loss/value") if key in row]
    parts += [f"{key} {value:.4g}" for key, value in shown.items()]
    parts.append(f"{speed:,.0f} frames/s")
    return "  ".join(parts)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
