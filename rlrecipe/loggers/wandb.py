"""Rows as a Weights & Biases run, offline unless asked otherwise."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from rlrecipe.lazy import np
from rlrecipe.loggers.base import Logger, Note, file_of, folder_of, last_frames, numbers, recipe_of, step_of
from rlrecipe.loggers.video import write_mp4
from rlrecipe.recipe.names import NAMED, SHOWN
from rlrecipe.recipe.options import LoggerOptions, option
from rlrecipe.recipe.registry import register
from rlrecipe.recipe.traits import LoggerTraits


class WandbOptions(LoggerOptions):
    """Rows over frames in ``wandb/``, and the recipe as config; ``wandb sync`` uploads what was written offline."""

    exp_name: Annotated[str | None, NAMED] = option(
        None, "The run's name; null: the run directory's. Each name is a run."
    )
    project: Annotated[str | None, NAMED] = option(None, "The project; null: the recipe's name.")
    entity: Annotated[str | None, NAMED] = option(None, "A user or team; null: your own.")
    group: Annotated[str | None, NAMED] = option(None, "Groups runs, such as those of several seeds.")
    tags: Annotated[list[str], SHOWN] = option([], "Tags of the run.")
    mode: Literal["offline", "online", "disabled"] = option(
        "offline", "online uploads while training and needs a login; disabled writes nothing."
    )


class WandbLogger(Logger):
    """Writes to one run of Weights & Biases, quietly.

    Args:
        exp_name: the run's name.
        offline: write files only; ``wandb sync`` uploads them.
        save_dir: where the folder ``wandb`` goes.
        id: the run's; one that is there already goes on.
        project: where it belongs.
        video_fps: pictures a second of videos.
        log_dir: the same as ``save_dir``.
        mode: takes the place of ``offline``.
        rows: rows of before, if this is a run's logger: an offline run is made anew from them.
        settings: further arguments of ``wandb.init``.

    Raises:
        ValueError: it is to upload, and nobody has logged in.
    """

    _open: ClassVar[int] = 0

    def __init__(
        self,
        exp_name: str,
        offline: bool = True,
        save_dir: str | Path | None = None,
        id: str | None = None,  # noqa: A002 - torchrl's name
        project: Annotated[str | None, NAMED] = None,
        *,
        video_fps: float = 32,
        log_dir: str | Path | None = None,
        mode: str | None = None,
        rows: Sequence[Mapping[str, Any]] | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(exp_name, save_dir or log_dir or ".")
        self.video_fps, self.mode = video_fps, mode or ("offline" if offline else "online")
        self.folder = folder_of(self.log_dir, "wandb")
        # Read while it is imported; errors of wandb's own would be sent otherwise.
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        import wandb

        self._wandb = wandb
        if self.mode == "online" and not wandb.api.api_key:
            raise ValueError(
                "wandb: mode online needs a login: run `wandb login`, or set WANDB_API_KEY, or mode: offline"
            )
        if rows is not None and self.mode == "offline":
            for old in self.folder.glob(f"offline-run-*-{id}"):
                shutil.rmtree(old)
        quiet = wandb.Settings(silent=True, console="off", disable_git=True, disable_code=True, x_disable_stats=True)
        self.experiment = wandb.init(
            project=project,
            name=exp_name,
            id=id,
            dir=self.log_dir,
            mode=self.mode,  # type: ignore[arg-type] # options have checked it
            resume="allow" if self.mode == "online" else None,
            reinit="create_new",
            settings=quiet,
            **settings,
        )
        WandbLogger._open += 1
        self.id, self._closed = self.experiment.id, False
        #: Steps before it are on the server already.
        self._from = self.experiment.step
        if rows is not None:
            self._again(rows)

    def _again(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write rows and videos of before, in the order of their steps: later ones than the rows come again."""
        last, videos = last_frames(rows), list[tuple[int, str, Path]]()
        for path in sorted((self.folder / "videos").rglob("*.mp4")):
            name, _, number = path.relative_to(self.folder / "videos").with_suffix("").as_posix().rpartition("_")
            if name and number.isdecimal():
                videos.append((int(number), name, path))
        for step, _, path in videos:
            if step > last:
                path.unlink()
        given: list[tuple[int, dict[str, Any]]] = [(step_of(row), numbers(row)) for row in rows]
        given += [(step, {name: self._wandb.Video(str(path))}) for step, name, path in videos if step <= last]
        for step, metrics in sorted(given, key=lambda pair: pair[0]):
            self._log(metrics, step)

    def _log(self, metrics: Mapping[str, Any], step: int | None) -> None:
        if step is None or step >= self._from:
            self.experiment.log({**metrics, **({} if step is None else {"frames": step})}, step=step)

    def log_video(self, name: str, video: Any, step: int | None = None, *, fps: float | None = None) -> None:
        """Write an mp4 file, a copy of which stays in ``wandb/videos``."""
        path = file_of(self.folder / "videos", name, step, ".mp4")
        write_mp4(path, video, fps or self.video_fps)
        self._log({name: self._wandb.Video(str(path))}, step)

    def log_histogram(self, name: str, data: Any, step: int | None = None, *, bins: Any = 64) -> None:
        """Write a histogram."""
        counts = np.histogram(np.asarray(data, dtype=np.float64), bins)
        self._log({name: self._wandb.Histogram(np_histogram=counts)}, step)

    def log_hparams(self, cfg: Any) -> None:
        """Write options as the run's config."""
        config: Any = self.experiment.config
        config.update(dict(cfg), allow_val_change=True)

    def close(self) -> None:
        """Finish the run; the last one ends wandb's own process."""
        if self._closed:
            return
        self._closed = True
        WandbLogger._open -= 1
        self.experiment.finish()
        if not WandbLogger._open and self._wandb.run is None:
            self._wandb.teardown()


# Its own process has to start, and at the end to send what it holds.
@register("logger", "wandb", requires={"wandb": "wandb"}, traits=LoggerTraits(apart_by="exp_name", patience=30.0))
def make_wandb(options: WandbOptions, run_dir: Path, rows: Sequence[Mapping[str, Any]]) -> WandbLogger:
    """A run of Weights & Biases, with the rows of before."""
    recipe, note = recipe_of(run_dir), Note(run_dir / "wandb" / "run.json", options.exp_name)
    known = note.read().get("id") or secrets.token_hex(4)
    note.write({"id": known})
    logger = WandbLogger(
        options.exp_name or run_dir.resolve().name,
        save_dir=run_dir,
        id=known,
        project=options.project or recipe.get("name") or "rlrecipe",
        mode=options.mode,
        rows=rows,
        entity=options.entity,
        group=options.group,
        tags=options.tags,
    )
    logger.log_hparams(recipe)
    return logger
