"""Rows as TensorBoard scalars."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from rlrecipe.lazy import np
from rlrecipe.loggers.base import Logger, flat, folder_of, last_frames
from rlrecipe.loggers.video import gif
from rlrecipe.recipe.names import FILE_NAME, LONGEST_NAME
from rlrecipe.recipe.options import LoggerOptions, option
from rlrecipe.recipe.registry import register


class TensorboardOptions(LoggerOptions):
    """Rows in ``tensorboard/``, over frames."""

    exp_name: Annotated[str | None, FILE_NAME] = option(
        None,
        "What TensorBoard calls the run: a folder inside tensorboard/; null: none.",
        max_length=LONGEST_NAME,
        pattern=r"^\w[\w. -]*$",
    )


class TensorboardLogger(Logger):
    """Writes each number at its step, into ``<log_dir>/<exp_name>``.

    Args:
        exp_name: a folder inside ``log_dir``; empty for none.
        log_dir: where the folder is.
        rows: rows of before: the events of scalars are made anew from them; without them, those there stay.
    """

    def __init__(
        self, exp_name: str, log_dir: str | Path = "tb_logs", *, rows: Sequence[Mapping[str, Any]] | None = None
    ) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.folder, self.rows = folder_of(log_dir, exp_name), rows
        super().__init__(exp_name, self.folder)
        if rows is not None:
            # Event files cannot be cut back; made anew from the rows, they hold each exactly once.
            for events in self.folder.glob("events.out.tfevents.*"):
                events.unlink()
        self.experiment = SummaryWriter(str(self.folder))
        for row in rows or ():
            self.write(row)

    @functools.cached_property
    def _media(self) -> Any:
        """Where what no row holds goes: of a run, a folder of its own, which a resumed run keeps up to its rows."""
        from torch.utils.tensorboard import SummaryWriter

        if self.rows is None:
            return self.experiment
        purge = int(last_frames(self.rows)) + 1 if self.rows else None
        return SummaryWriter(str(self.folder / "media"), purge_step=purge)

    def cut(self, frames: int) -> None:
        """Let readers forget what stands in the files after ``frames``."""
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog

        super().cut(frames)
        experiment: Any = self.experiment
        writer = experiment._get_file_writer()
        writer.add_event(Event(step=frames + 1, file_version="brain.Event:2"))
        writer.add_event(Event(step=frames + 1, session_log=SessionLog(status=SessionLog.START)))

    def _log(self, metrics: Mapping[str, float], step: int) -> None:
        for key, value in metrics.items():
            self.experiment.add_scalar(key, value, step)

    def log_video(self, name: str, video: Any, step: int | None = None, *, fps: float | None = None) -> None:
        """Write a GIF, which is what TensorBoard shows as a video."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        encoded, height, width = gif(video, fps or 30)
        picture = Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=encoded)
        self._media._get_file_writer().add_summary(Summary(value=[Summary.Value(tag=name, image=picture)]), step)

    def log_histogram(self, name: str, data: Any, step: int | None = None, *, bins: Any = "tensorflow") -> None:
        """Write a histogram."""
        self._media.add_histogram(name, np.asarray(data), step, bins=bins)

    def log_hparams(self, cfg: Any) -> None:
        """Write options as a table of text."""
        table = "\n".join(["| option | value |", "|---|---|", *(f"| {key} | {value} |" for key, value in flat(cfg))])
        self._media.add_text("hparams", table)

    def close(self) -> None:
        """Flush and close."""
        self.experiment.close()
        if self.rows is not None and "_media" in vars(self):
            self._media.close()


@register("logger", "tensorboard", requires={"tensorboard": "tensorboard"})
def make_tensorboard(
    options: TensorboardOptions, run_dir: Path, rows: Sequence[Mapping[str, Any]]
) -> TensorboardLogger:
    """TensorBoard events of the run, starting with the rows of before."""
    return TensorboardLogger(options.exp_name or "", run_dir / "tensorboard", rows=rows)
