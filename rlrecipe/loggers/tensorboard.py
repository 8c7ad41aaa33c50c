"""Rows as TensorBoard scalars."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rlrecipe.interfaces import Logger
from rlrecipe.recipe.options import Options
from rlrecipe.recipe.registry import register


class TensorBoardOptions(Options):
    """Rows in ``tensorboard/``, over frames."""


class TensorBoardLogger:
    """Writes each number of a row at the row's frames."""

    def __init__(self, folder: Path, rows: Sequence[Mapping[str, Any]]) -> None:
        from torch.utils.tensorboard import SummaryWriter

        # Event files cannot be cut back; made anew from the rows, they hold each exactly once.
        shutil.rmtree(folder, ignore_errors=True)
        self.writer = SummaryWriter(str(folder))
        for row in rows:
            self.write(row)

    def write(self, row: Mapping[str, Any]) -> None:
        """Add the row's numbers."""
        for key, value in row.items():
            if key not in ("frames", "updates") and isinstance(value, int | float):
                self.writer.add_scalar(key, value, row["frames"])

    def close(self) -> None:
        """Flush and close."""
        self.writer.close()


@register("logger", "tensorboard", requires={"tensorboard": "tensorboard"})
def make_tensorboard(options: TensorBoardOptions, run_dir: Path, rows: Sequence[Mapping[str, Any]]) -> Logger:
    """TensorBoard events of the run, starting with the rows of before."""
    return TensorBoardLogger(run_dir / "tensorboard", rows)
