"""What a run shows while it goes on: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Column

#: Seconds between two plain lines, so that a short run does not flood a log.
PAUSE = 2.0


class _Console(Console):
    """A console whose reader may go away; training goes on without one."""

    def on_broken_pipe(self) -> None:
        """Say nothing from now on."""
        self.quiet = True
        # Where Python's own last flush would meet the broken pipe again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


class Display:
    """Progress on standard error.

    Args:
        quiet: show nothing.
        verbose: show every row, however fast they come.
        console: where to show it; standard error by default.
    """

    def __init__(self, quiet: bool = False, console: Console | None = None, *, verbose: bool = False) -> None:
        self.pause = 0.0 if verbose else PAUSE
        self.console = console or _Console(stderr=True, soft_wrap=not sys.stderr.isatty(), highlight=False)
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
        if self._log is not None:
            with self._log.open("a") as file:
                file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}\n")
        if always or not self.quiet:
            self.console.print(text, markup=False, soft_wrap=True)

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
        text = describe(row, speed, shown)
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
        parts.append(f"return {row['train/episode_return']:.1f}")
    parts += [f"{key.removeprefix('loss/')} {row[key]:.3g}" for key in ("loss/policy", "loss/value") if key in row]
    parts += [f"{key} {value:.4g}" for key, value in shown.items()]
    parts.append(f"{speed:,.0f} frames/s")
    return "  ".join(parts)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
