"""Rows as one CSV file."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from rlrecipe.lazy import torch
from rlrecipe.loggers.base import Logger, file_of, flat, folder_of, histogram, numbers
from rlrecipe.recipe.names import FILE_NAME, LONGEST_NAME
from rlrecipe.recipe.options import LoggerOptions, option
from rlrecipe.recipe.registry import register
from rlrecipe.system.files import append, open_binary, open_text, replacing, vacate, write


class CSVOptions(LoggerOptions):
    """Rows in ``csv/metrics.csv``, a column for each name."""

    exp_name: Annotated[str | None, FILE_NAME] = option(
        None, "A folder inside csv/ for them; null: none.", max_length=LONGEST_NAME, pattern=r"^\w[\w. -]*$"
    )


class CSVLogger(Logger):
    """Appends rows to ``<log_dir>/<exp_name>/metrics.csv``; a name that is new makes the file anew with its column.

    Args:
        exp_name: a folder inside ``log_dir``; empty for none.
        log_dir: where the folder is.
        video_format: ``mp4``, or ``pt`` for the tensor as ``torch.save`` writes it.
        video_fps: pictures a second of videos.
        rows: rows of before; without them, those in the file stay.

    Raises:
        ValueError: the file is there, and is no table of rows.
    """

    def __init__(
        self,
        exp_name: str,
        log_dir: str | Path | None = None,
        video_format: str = "mp4",
        video_fps: float = 30,
        *,
        rows: Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        super().__init__(exp_name, log_dir or "csv_logs")
        if video_format not in ("mp4", "pt"):
            raise ValueError(f"video_format is 'mp4' or 'pt', got {video_format!r}")
        self.video_format, self.video_fps = video_format, video_fps
        self.folder = folder_of(self.log_dir, exp_name)
        self.path = self.folder / "metrics.csv"
        self.rows = [dict(row) for row in (self._there() if rows is None else rows)]
        for row in self.rows:
            self._passed((name for name, value in row.items() if value not in ("", None)), row["frames"])
        self._rewrite()

    def _there(self) -> list[dict[str, Any]]:
        if not self.path.is_file():
            return []
        try:
            with open_text(self.path, "r") as file:
                table = csv.DictReader(file, strict=True)
                if table.fieldnames and "frames" not in table.fieldnames:
                    raise ValueError(f"its columns are {', '.join(table.fieldnames)}, and none is frames")
                return [_read(row, table.line_num) for row in table]
        except (ValueError, csv.Error) as error:
            cure = "move it away, or take another exp_name or log_dir"
            raise ValueError(f"{self.path} is no table that a CSVLogger wrote: {error}; {cure}") from None

    def cut(self, frames: int) -> None:
        """Take away the rows after ``frames``."""
        super().cut(frames)
        self.rows = [row for row in self.rows if row["frames"] <= frames]
        self._rewrite()

    def _rewrite(self) -> None:
        self.columns = list(dict.fromkeys(key for row in self.rows for key in row))
        with replacing(self.path) as file:
            writer = csv.DictWriter(file, self.columns)
            writer.writeheader()
            writer.writerows(self.rows[:-1])
            self._last = file.tell()
            writer.writerows(self.rows[-1:])

    def write(self, row: Mapping[str, Any]) -> None:
        """Append a row."""
        self._passed(numbers(row), row["frames"])
        self.rows.append(dict(row))
        if any(key not in self.columns for key in row):
            self._rewrite()
            return
        with open_text(self.path, "a") as file:
            self._last = file.tell()
            csv.DictWriter(file, self.columns).writerow(row)

    def _log(self, metrics: Mapping[str, float], step: int) -> None:
        """Numbers of one step that come one after the other share a row."""
        row: dict[str, Any] = {"frames": step}
        if self.rows and self.rows[-1]["frames"] == step and not metrics.keys() & self.rows[-1].keys():
            row = self.rows.pop()
            with open_binary(self.path, "a") as file:
                file.truncate(self._last)
        self.write({**row, **metrics})

    def log_video(self, name: str, video: Any, step: int | None = None, *, fps: float | None = None) -> None:
        """Write ``videos/<name>_<step>.mp4``."""
        path = file_of(self.folder / "videos", name, step, f".{self.video_format}")
        if self.video_format == "pt":
            torch.save(video, vacate(path))
        else:
            from rlrecipe.loggers.video import write_mp4

            write_mp4(path, video, fps or self.video_fps)

    def log_histogram(self, name: str, data: Any, step: int | None = None, *, bins: Any = 10) -> None:
        """Append counts and edges to ``histograms/<name>.jsonl``."""
        path = file_of(self.folder / "histograms", name, None, ".jsonl")
        append(path, json.dumps({"frames": step, **histogram(data, bins)}) + "\n")

    def log_hparams(self, cfg: Any) -> None:
        """Write ``hparams.txt``, a line for each option."""
        write(self.folder / "hparams.txt", "".join(f"{key}: {value}\n" for key, value in sorted(flat(cfg))))

    def close(self) -> None:
        """Every row is in the file already."""


def _read(row: dict[Any, Any], line: int) -> dict[str, Any]:
    if None in row:
        raise ValueError(f"line {line} has more fields than there are columns")
    try:
        return {**row, "frames": int(row["frames"])}
    except (TypeError, ValueError):
        raise ValueError(f"line {line} has the frames {row['frames']!r}, expected a whole number") from None


@register("logger", "csv")
def make_csv(options: CSVOptions, run_dir: Path, rows: Sequence[Mapping[str, Any]]) -> CSVLogger:
    """A CSV file of the run, starting with the rows of before."""
    return CSVLogger(options.exp_name or "", run_dir / "csv", rows=rows)
