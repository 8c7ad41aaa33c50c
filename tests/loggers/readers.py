"""What loggers have written, by the readers that come with each library."""

import csv
import json
import struct
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Run
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from wandb.proto.wandb_internal_pb2 import Record  # type: ignore[attr-defined] # generated, without types

#: Steps and values by name.
Series = dict[str, list[tuple[int, float]]]


def read_csv(run_dir: Path) -> list[dict[str, str]]:
    with (run_dir / "csv/metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def csv_series(run_dir: Path) -> Series:
    series: Series = {}
    for row in read_csv(run_dir):
        for key, value in row.items():
            if key not in ("frames", "updates") and value:
                series.setdefault(key, []).append((int(row["frames"]), float(value)))
    return series


def read_tensorboard(run_dir: Path) -> Series:
    events = EventAccumulator(str(run_dir / "tensorboard"), size_guidance={"scalars": 0})
    events.Reload()
    return {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def mlflow_run(folder: Path, of: int = 1) -> tuple[MlflowClient, Run]:
    """The newest run of the so many of a database, and a client that reads it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        client = MlflowClient(tracking_uri=f"sqlite:///{folder / 'mlflow.db'}")
    runs = client.search_runs([each.experiment_id for each in client.search_experiments()])
    assert len(runs) == of
    return client, runs[0]


def read_mlflow(run_dir: Path) -> Series:
    return mlflow_series(*mlflow_run(run_dir / "mlflow"))


def mlflow_series(client: MlflowClient, run: Run) -> Series:
    series = {key: client.get_metric_history(run.info.run_id, key) for key in run.data.metrics}
    assert {key: history[-1].value for key, history in series.items()} == run.data.metrics
    return {key: [(metric.step, metric.value) for metric in history] for key, history in series.items()}


def wandb_records(file: Path) -> Iterator[Any]:
    """Records of an offline file: LevelDB's log format, which wandb 0.30 reads in its Go program only."""
    content, whole, at = file.read_bytes(), b"", 7
    assert content[:4] == b":W&B"
    while at + 7 <= len(content):
        left = 32768 - at % 32768
        if left < 7:
            at += left
            continue
        _, length, kind = struct.unpack("<IHB", content[at : at + 7])
        whole += content[at + 7 : at + 7 + length]
        at += 7 + length
        # Whole, or the last part of one.
        if kind in (1, 4):
            record = Record()
            record.ParseFromString(whole)
            whole = b""
            yield record


def wandb_file(save_dir: Path) -> Path:
    """The one run that is there."""
    (file,) = (save_dir / "wandb").glob("offline-run-*/*.wandb")
    return file


def wandb_history(save_dir: Path) -> list[dict[str, Any]]:
    return history_of(wandb_file(save_dir))


def history_of(file: Path) -> list[dict[str, Any]]:
    history: list[dict[str, Any]] = []
    for record in wandb_records(file):
        if record.WhichOneof("record_type") == "history":
            history.append({})
            for item in record.history.item:
                *parents, key = item.nested_key or [item.key]
                inner = history[-1]
                for parent in parents:
                    inner = inner.setdefault(parent, {})
                inner[key] = json.loads(item.value_json)
    return history


def read_wandb(run_dir: Path) -> Series:
    return wandb_series(wandb_history(run_dir))


def wandb_series(history: list[dict[str, Any]]) -> Series:
    series: Series = {}
    for row in history:
        assert row["_step"] == row["frames"]
        for key, value in row.items():
            if not key.startswith("_") and key != "frames":
                series.setdefault(key, []).append((row["_step"], value))
    return series


def by_experiment(run_dir: Path) -> dict[tuple[str, str], Series]:
    """What each run of MLflow and each of wandb has, by the names of logger and experiment; one run of a name."""
    found: dict[tuple[str, str], Series] = {}
    client, _ = mlflow_run(run_dir / "mlflow", of=2)
    for each in client.search_experiments():
        for run in client.search_runs([each.experiment_id]):
            assert found.setdefault(("mlflow", each.name), series := mlflow_series(client, run)) is series
    for file in (run_dir / "wandb").glob("offline-run-*/*.wandb"):
        (name,) = {each.run.display_name for each in wandb_records(file) if each.WhichOneof("record_type") == "run"}
        assert found.setdefault(("wandb", name), series := wandb_series(history_of(file))) is series
    return found


READERS = {"csv": csv_series, "tensorboard": read_tensorboard, "mlflow": read_mlflow, "wandb": read_wandb}
