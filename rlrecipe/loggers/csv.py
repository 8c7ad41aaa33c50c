"""Rows as one CSV file."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rlrecipe.interfaces import Logger
from rlrecipe.recipe.options import Options
from rlrecipe.recipe.registry import register


class CSVOptions(Options):
    """Rows in ``csv/metrics.csv``, a column for each name."""


class CSVLogger:
    """Appends rows; a name that is new makes the file anew with one column more."""

    def __init__(self, path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
        self.path, self.rows = path, [dict(row) for row in rows]
        self.columns = list(dict.fromkeys(key for row in self.rows for key in row))
        path.parent.mkdir(parents=True, exist_ok=True)
        self._rewrite()

    def _rewrite(self) -> None:
        staged = self.path.with_name(f".{self.path.name}")
        with staged.open("w", newline="") as file:
            writer = csv.DictWriter(file, self.columns)
            writer.writeheader()
            writer.writerows(self.rows)
        staged.replace(self.path)

    def write(self, row: Mapping[str, Any]) -> None:
        """Append a row."""
        self.rows.append(dict(row))
        new = [key for key in row if key not in self.columns]
        if new:
            self.columns += new
            self._rewrite()
            return
        with self.path.open("a", newline="") as file:
            csv.DictWriter(file, self.columns).writerow(row)

    def close(self) -> None:
        """Every row is in the file already."""


@register("logger", "csv")
def make_csv(options: CSVOptions, run_dir: Path, rows: Sequence[Mapping[str, Any]]) -> Logger:
    """A CSV file of the run, starting with the rows of before."""
    return CSVLogger(run_dir / "csv" / "metrics.csv", rows)
