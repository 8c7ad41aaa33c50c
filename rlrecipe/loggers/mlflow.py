"""Rows as an MLflow run, in a database of its own unless a server is named."""

from __future__ import annotations

import logging
import os
import re
import sqlite3
import tempfile
import time
import warnings
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import unquote, urlparse

from rlrecipe.loggers.base import Logger, Note, file_of, flat, histogram, last_frames, numbers, recipe_of, step_of
from rlrecipe.loggers.video import write_mp4
from rlrecipe.recipe.names import NAMED, SHOWN, Address
from rlrecipe.recipe.options import LoggerOptions, option
from rlrecipe.recipe.registry import register
from rlrecipe.recipe.secrets import without_credentials
from rlrecipe.recipe.traits import LoggerTraits
from rlrecipe.system.files import append, make_folder, vacate

#: What MLflow takes at once, and at most.
_BATCH, _PARAMS, _KEY, _VALUE = 1000, 100, 250, 6000


_SERVER = Address(
    ("http", "https", "databricks"),
    ("databricks",),
    "set MLFLOW_TRACKING_URI in the environment instead, or leave it out: mlflow/ in the run directory is taken",
)
_STORE = Address(
    ("s3", "gs", "wasbs", "abfss", "hdfs", "dbfs", "http", "https", "mlflow-artifacts"),
    cure="leave it out: files go to the run directory, or where the server says",
)


class MLFlowOptions(LoggerOptions):
    """Rows as metrics over frames, and the recipe as parameters, of one MLflow run."""

    exp_name: Annotated[str | None, NAMED] = option(
        None, "The MLflow experiment; null: the recipe's name. Each name is a run."
    )
    run_name: Annotated[str | None, NAMED] = option(None, "The run's name in it; null: the run directory's.")
    tracking_uri: Annotated[str | None, _SERVER] = option(
        None,
        "A tracking server, such as http://localhost:5000; null: MLFLOW_TRACKING_URI of the environment, which may "
        "also be a folder or database, else mlflow/mlflow.db in the run directory.",
    )
    artifact_location: Annotated[str | None, _STORE] = option(
        None, "Where files of a new experiment go, such as s3://bucket/folder; null: where the server says."
    )
    tags: Annotated[dict[str, str], SHOWN] = option({}, "Tags of the run.")


def _client(uri: str) -> Any:
    """MLflow's client: quiet, and without its reports home."""
    # Read while it is imported; what a user has set holds.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    # By default it asks a server that is not there for four minutes.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    for name in ("mlflow.store.db.utils", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    with warnings.catch_warnings():
        # What its own libraries will not do in later versions is MLflow's concern.
        warnings.simplefilter("ignore")
        from mlflow import MlflowClient

        return MlflowClient(tracking_uri=uri)


class MLFlowLogger(Logger):
    """Writes to one MLflow run by a client of its own; ``mlflow``'s current run and settings stay as they are.

    Args:
        exp_name: the experiment, made if it is new.
        tracking_uri: a server or database; a folder (``file:`` too) stands for ``mlflow.db`` in it, since MLflow
            keeps no runs in plain files any more.
        tags: of the run.
        run_name: its name; MLflow makes one up.
        artifact_location: where files of a new experiment go; for a folder, ``artifacts`` in it.
        video_fps: pictures a second of videos.
        rows: rows of before, if this is a run's logger: its MLflow run goes on with them.
        note: what remembers the run.
    """

    def __init__(
        self,
        exp_name: str,
        tracking_uri: str | Path,
        tags: Mapping[str, str] | None = None,
        *,
        run_name: str | None = None,
        artifact_location: str | None = None,
        video_fps: float = 30,
        rows: Sequence[Mapping[str, Any]] | None = None,
        note: Note | None = None,
    ) -> None:
        super().__init__(exp_name, tracking_uri)
        self.video_fps, self._tags, self._run_name = video_fps, dict(tags or {}), run_name
        self.folder = _folder(str(tracking_uri))
        self.note, uri = note, str(tracking_uri)
        known = note.read() if note else {}
        # A database that holds nothing but what the note beside it says: others are only added to.
        own = self.folder is not None and note is not None and note.path.parent.resolve() == self.folder
        self._own, self._moves = self.folder if own else None, artifact_location is None
        if self.folder is not None:
            make_folder(self.folder)
            uri = f"sqlite:///{self.folder / 'mlflow.db'}"
            artifact_location = artifact_location or (self.folder / "artifacts").as_uri()
        if self._own is not None and note is not None and all(each["tracking_uri"] for each in note.everyone()):
            # Of a session that ended before any run in it was noted; it may be half a database.
            vacate(self._own / "mlflow.db")
        if self.folder is not None and not (self.folder / "mlflow.db").exists():
            # SQLite's own permissions take no notice of the umask; it goes on with an empty file.
            append(self.folder / "mlflow.db", "")
        # The address of the environment may have a password in it.
        where = None if own else without_credentials(uri)
        self.experiment = _client(uri)
        #: Names and steps that the run had already: what comes again after a resume is there once.
        self.there: set[tuple[str, int]] = set()
        if known.get("tracking_uri", "") == where and self._goes_on(known["run_id"], rows or ()):
            self.run_id = str(known["run_id"])
        else:
            self.run_id = self._new(artifact_location)
        if self.note:
            self.note.write({"tracking_uri": where, "run_id": self.run_id})
        self._log_all([(step_of(row), numbers(row)) for row in rows or ()])

    def _new(self, artifact_location: str | None) -> str:
        """A new run in the experiment."""
        found = self.experiment.get_experiment_by_name(self.exp_name)
        self.id = found.experiment_id if found else self.experiment.create_experiment(self.exp_name, artifact_location)
        return str(self.experiment.create_run(self.id, run_name=self._run_name, tags=self._tags).info.run_id)

    def _goes_on(self, run_id: str, rows: Sequence[Mapping[str, Any]]) -> bool:
        """Take up a run where the rows end; False if it is no longer there."""
        from mlflow.exceptions import MlflowException

        if self._own is not None:
            _cut(self._own / "mlflow.db", run_id, last_frames(rows))
            if self._moves:
                _move(self._own, run_id)
        try:
            run = self.experiment.get_run(run_id)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return False
        if run.info.lifecycle_stage == "deleted":
            return False
        self.id = run.info.experiment_id
        self.experiment.update_run(run_id, status="RUNNING")
        self.there = self._steps(run)
        return True

    def _steps(self, run: Any) -> set[tuple[str, int]]:
        history = self.experiment.get_metric_history
        return {(key, metric.step) for key in run.data.metrics for metric in history(run.info.run_id, key)}

    def cut(self, frames: int) -> None:
        """Take away what came after ``frames``; a server keeps it, and is not given it again."""
        super().cut(frames)
        if self.folder is not None:
            _cut(self.folder / "mlflow.db", self.run_id, frames)
        self.there = self._steps(self.experiment.get_run(self.run_id))

    def _log(self, metrics: Mapping[str, float], step: int) -> None:
        self._log_all([(step, metrics)])

    def _log_all(self, rows: Sequence[tuple[int, Mapping[str, float]]]) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        named = ((_name(key), value, step) for step, metrics in rows for key, value in metrics.items())
        waiting = [Metric(key, value, now, step) for key, value, step in named if (key, step) not in self.there]
        for start in range(0, len(waiting), _BATCH):
            self.experiment.log_batch(self.run_id, metrics=waiting[start : start + _BATCH])

    def log_video(self, name: str, video: Any, step: int | None = None, *, fps: float | None = None) -> None:
        """Write ``videos/<name>_<step>.mp4`` among the run's artifacts."""
        with tempfile.TemporaryDirectory() as staging:
            path = file_of(Path(staging), name, step, ".mp4")
            write_mp4(path, video, fps or self.video_fps)
            inside = path.parent.relative_to(staging).as_posix()
            self.experiment.log_artifact(self.run_id, str(path), "videos" if inside == "." else f"videos/{inside}")

    def log_histogram(self, name: str, data: Any, step: int | None = None, *, bins: Any = 10) -> None:
        """Write counts and edges as ``histograms/<name>_<step>.json`` among the run's artifacts."""
        ending = "" if step is None else f"_{step}"
        self.experiment.log_dict(self.run_id, histogram(data, bins), f"histograms/{name}{ending}.json")

    def log_hparams(self, cfg: Any) -> None:
        """Write options as parameters; one that a resumed run changed, as a tag: MLflow's parameters are final."""
        from mlflow.entities import Param

        there = self.experiment.get_run(self.run_id).data.params
        given = {_name(key): value[:_VALUE] for key, value in flat(cfg)}
        new = [Param(key, value) for key, value in given.items() if key not in there]
        for start in range(0, len(new), _PARAMS):
            self.experiment.log_batch(self.run_id, params=new[start : start + _PARAMS])
        for key, value in given.items():
            if key in there and there[key] != value:
                self.experiment.set_tag(self.run_id, f"resumed.{key}"[:_KEY], value)

    def close(self) -> None:
        """Say that the run has ended; a resumed one takes that back."""
        self.experiment.set_terminated(self.run_id)


def _folder(uri: str) -> Path | None:
    """The folder that a tracking URI stands for, if it does."""
    parsed = urlparse(uri)
    if parsed.scheme == "file":
        return Path(unquote(parsed.path)).resolve()
    known = parsed.scheme or uri == "databricks"
    return None if known else Path(uri).expanduser().resolve()


def _name(key: str) -> str:
    """A name as MLflow takes it."""
    return re.sub(r"[^\w.\- :/]", "_", key)[:_KEY]


def _cut(path: Path, run_id: str, last: float) -> None:
    """Take from the database of a run what was logged after its newest row."""
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("DELETE FROM metrics WHERE run_uuid = ? AND step > ?", (run_id, last))
        database.execute("DELETE FROM latest_metrics WHERE run_uuid = ?", (run_id,))
        # SQLite takes the columns beside max() from the row that has it.
        database.execute(
            "INSERT INTO latest_metrics (key, value, timestamp, step, is_nan, run_uuid) "
            "SELECT key, value, timestamp, max(step), is_nan, run_uuid FROM metrics WHERE run_uuid = ? GROUP BY key",
            (run_id,),
        )


def _move(folder: Path, run_id: str) -> None:
    """Let the database find its files where the run directory lies now."""
    artifacts = (folder / "artifacts").as_uri()
    with closing(sqlite3.connect(folder / "mlflow.db")) as database, database:
        database.execute(
            "UPDATE experiments SET artifact_location = ? WHERE name != 'Default' "
            "AND experiment_id = (SELECT experiment_id FROM runs WHERE run_uuid = ?)",
            (artifacts, run_id),
        )
        database.execute(
            "UPDATE runs SET artifact_uri = ? WHERE run_uuid = ?", (f"{artifacts}/{run_id}/artifacts", run_id)
        )


@register(
    "logger",
    "mlflow",
    requires={"mlflow": "mlflow", "sqlalchemy": "mlflow", "alembic": "mlflow"},
    traits=LoggerTraits(apart_by="exp_name"),
)
def make_mlflow(options: MLFlowOptions, run_dir: Path, rows: Sequence[Mapping[str, Any]]) -> MLFlowLogger:
    """An MLflow run of the run, with the rows of before."""
    recipe = recipe_of(run_dir)
    logger = MLFlowLogger(
        options.exp_name or recipe.get("name") or "rlrecipe",
        options.tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or run_dir / "mlflow",
        options.tags,
        run_name=options.run_name or run_dir.resolve().name,
        artifact_location=options.artifact_location,
        rows=rows,
        note=Note(run_dir / "mlflow" / "run.json", options.exp_name),
    )
    logger.log_hparams(recipe)
    return logger
