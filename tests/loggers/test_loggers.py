import csv
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from rlrecipe.interfaces import Logger
from rlrecipe.recipe.options import Slot

ROWS: list[dict[str, Any]] = [
    {"frames": 10, "updates": 1, "loss/policy": 0.5, "train/episode_return": None},
    {"frames": 10, "updates": 1, "eval/episode_return_mean": 3.0},
    {"frames": 20, "updates": 2, "loss/policy": 0.25, "train/episode_return": 7.0},
]


def logger(name: str, run_dir: Path, rows: list[dict[str, Any]]) -> Logger:
    chosen = Slot("logger").read(name)
    made: Logger = chosen.component.build(chosen, run_dir, rows)
    return made


def written(name: str, run_dir: Path, before: list[dict[str, Any]], after: list[dict[str, Any]]) -> None:
    made = logger(name, run_dir, before)
    for row in after:
        made.write(row)
    made.close()


def read_csv(run_dir: Path) -> list[dict[str, str]]:
    with (run_dir / "csv/metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def read_tensorboard(run_dir: Path) -> dict[str, list[tuple[int, float]]]:
    events = EventAccumulator(str(run_dir / "tensorboard"))
    events.Reload()
    return {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def test_csv_has_a_column_for_each_name(tmp_path: Path) -> None:
    written("csv", tmp_path, [], ROWS)
    rows = read_csv(tmp_path)
    assert [row["frames"] for row in rows] == ["10", "10", "20"]
    assert [row["loss/policy"] for row in rows] == ["0.5", "", "0.25"]
    assert [row["eval/episode_return_mean"] for row in rows] == ["", "3.0", ""]


def test_tensorboard_has_each_number_at_its_frames(tmp_path: Path) -> None:
    written("tensorboard", tmp_path, [], ROWS)
    assert read_tensorboard(tmp_path) == {
        "loss/policy": [(10, 0.5), (20, 0.25)],
        "eval/episode_return_mean": [(10, 3.0)],
        "train/episode_return": [(20, 7.0)],
    }


@pytest.mark.parametrize(("name", "read"), [("csv", read_csv), ("tensorboard", read_tensorboard)])
def test_a_resumed_run_has_each_row_once(name: str, read: Any, tmp_path: Path) -> None:
    written(name, tmp_path / "whole", [], ROWS)
    # The first session had gone on; its rows after the checkpoint are cut and come again.
    written(name, tmp_path / "resumed", [], [*ROWS[:2], {"frames": 15, "updates": 1, "loss/policy": 9.0}])
    written(name, tmp_path / "resumed", ROWS[:2], ROWS[2:])
    assert read(tmp_path / "resumed") == read(tmp_path / "whole")
