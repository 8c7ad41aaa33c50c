"""Rows of a run: what a speed counts."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rlrecipe.loop import updates
from rlrecipe.recipe.options import Options, option
from rlrecipe.recipe.registry import register
from rlrecipe.runs.progress import Display
from rlrecipe.runs.start import run
from tests import small
from tests.loggers.readers import csv_series, read_tensorboard


def test_a_speed_leaves_out_the_seconds_of_compiling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A first update that took an hour to get ready for: with it, no speed could be above a frame a second."""
    seconds = iter((0.0, 3600.0))
    monkeypatch.setattr(updates, "time", SimpleNamespace(monotonic=lambda: next(seconds)))
    small.train(small.CARTPOLE, tmp_path / "run", "runtime.compile=on")
    first, *rest = [
        row["time/frames_per_second"]
        for row in map(json.loads, (tmp_path / "run" / "metrics.jsonl").read_text().splitlines())
        if "time/seconds" in row
    ]
    assert first > 1e6
    assert 0 < max(rest) < 1e6


class FailingOptions(Options):
    """A logger that fails at one row, and again when it is closed."""

    at: int = option(..., "The row, from 0.")


class Failing:
    """Counts the rows that it is given."""

    given = 0

    def __init__(self, at: int) -> None:
        self.at = at

    def write(self, row: Mapping[str, Any]) -> None:
        Failing.given += 1
        if Failing.given > self.at:
            raise ConnectionError("the server is gone")

    def close(self) -> None:
        raise ConnectionError("the server is still gone")


@pytest.mark.parametrize("at", [2, 10**6])
def test_a_logger_that_fails_is_told_of_once_and_stops_nothing(
    at: int, own_components: None, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    @register("logger", "failing")
    def make(options: FailingOptions, run_dir: Path, rows: Sequence[Mapping[str, Any]]) -> Failing:
        return Failing(options.at)

    monkeypatch.setattr(Failing, "given", 0)
    loggers = ["csv", {"name": "failing", "at": at}, "tensorboard"]
    result = run({**small.CARTPOLE, "loggers": loggers}, run_dir=tmp_path / "run", display=Display())
    assert result.outcome.code == 0
    said = capfd.readouterr().err
    told = "loggers.1 (failing) failed and gets no more rows: ConnectionError: the server is gone; training goes on"
    assert said.count(told) == (at == 2)
    assert said.count("every row is in metrics.jsonl") == 1
    assert said.count("loggers.1 (failing) could not be closed: ConnectionError") == (at != 2)
    rows = small.rows(tmp_path / "run")
    assert Failing.given == min(at + 1, len(rows))
    wanted: Any = [(row["frames"], row["loss/policy"]) for row in rows if "loss/policy" in row]
    assert len(wanted) > 3
    assert csv_series(tmp_path / "run")["loss/policy"] == wanted
    # TensorBoard keeps float32.
    wanted = [(step, pytest.approx(value)) for step, value in wanted]
    assert read_tensorboard(tmp_path / "run")["loss/policy"] == wanted


def test_a_required_logger_that_cannot_begin_ends_the_run(own_components: None, tmp_path: Path) -> None:
    @register("logger", "failing")
    def make(options: FailingOptions, run_dir: Path, rows: Sequence[Mapping[str, Any]]) -> Failing:
        raise PermissionError("no such project")

    loggers = ["csv", {"name": "failing", "at": 0, "required": True}]
    outcome = small.train({**small.CARTPOLE, "loggers": loggers}, tmp_path / "run").outcome
    assert outcome.code == 1
    assert "loggers.1 (failing) could not begin and gets no rows: PermissionError: no such project" in outcome.reason
    assert small.rows(tmp_path / "run") == []
