"""Loggers that fail or do not answer: when they begin, in the middle, at the end."""

import json
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rlrecipe import Options, option, register
from rlrecipe.loggers import apart
from rlrecipe.recipe.traits import LoggerTraits
from tests import small

#: Seconds of patience with the loggers here, which wait for nobody.
SHORT = 0.3
RECIPE = {**small.CARTPOLE, "evaluation": {"episodes": 1}, "trainer": {"total_frames": 256, "log_interval": 64}}


class BrokenOptions(Options):
    """A logger of a user's own that fails at one place, in one way."""

    at: str = option("make", "make, write or close.")
    how: str = option("raise", "raise, exit, hang, poll or signal.")


def _fail(how: str) -> None:
    if how == "raise":
        raise ConnectionError("nobody is there")
    if how == "exit":
        raise SystemExit(3)
    if how == "signal":
        os.kill(os.getpid(), signal.SIGTERM)
    while True:
        time.sleep(0.01 if how == "poll" else 1000)


class Broken:
    """Counts its rows."""

    def __init__(self, options: BrokenOptions) -> None:
        self.options = options
        self.rows: list[Mapping[str, Any]] = []

    def write(self, row: Mapping[str, Any]) -> None:
        self.rows.append(row)
        if self.options.at == "write" and len(self.rows) == 2:
            _fail(self.options.how)

    def close(self) -> None:
        if self.options.at == "close":
            _fail(self.options.how)


@pytest.fixture
def broken() -> Iterator[list[Broken]]:
    """The loggers that were made."""
    made: list[Broken] = []
    with small.own_components():

        @register("logger", "broken", traits=LoggerTraits(patience=SHORT))
        def make(options: BrokenOptions, run_dir: Path, rows: Sequence[Mapping[str, Any]]) -> Broken:
            if options.at == "make":
                _fail(options.how)
            made.append(Broken(options))
            return made[-1]

        yield made


def loggers(**options: Any) -> dict[str, Any]:
    return {**RECIPE, "loggers": [{"name": "broken", **options}, "csv"]}


SAID = {"make": "could not begin and gets no rows", "write": "failed and gets no more rows", "close": "not be closed"}


@pytest.mark.parametrize("how", ["raise", "exit", "hang", "poll"])
@pytest.mark.parametrize("at", ["make", "write", "close"])
def test_training_goes_on_without_a_logger_that_fails(at: str, how: str, broken: list[Broken], tmp_path: Path) -> None:
    result = small.train(loggers(at=at, how=how), tmp_path / "run")
    assert (result.outcome.code, result.outcome.state) == (0, "finished")
    (line,) = [line for line in (tmp_path / "run/run.log").read_text().splitlines() if "loggers.0 (broken)" in line]
    assert SAID[at] in line
    reason = {"raise": "ConnectionError: nobody is there", "exit": "SystemExit: 3"}.get(
        how, "it did not answer for 0 s"
    )
    assert reason in line
    assert ("training goes on" in line) == (at != "close")
    assert "every row is in metrics.jsonl, and a resumed run tries it again" in line
    # The others have every row.
    assert len(small.rows(tmp_path / "run")) == len((tmp_path / "run/csv/metrics.csv").read_text().splitlines()) - 1
    assert [len(each.rows) for each in broken] == {"make": [], "write": [2], "close": [4]}[at]


@pytest.mark.parametrize("how", ["raise", "hang"])
@pytest.mark.parametrize("at", ["make", "write", "close"])
def test_a_run_ends_where_a_required_logger_fails_and_can_go_on(
    at: str, how: str, broken: list[Broken], tmp_path: Path
) -> None:
    result = small.train(loggers(at=at, how=how, required=True), tmp_path / "run")
    assert (result.outcome.code, result.outcome.state) == (1, "failed")
    assert SAID[at] in result.outcome.reason
    assert "it is required, so the run ends" in result.outcome.reason
    assert json.loads((tmp_path / "run/status.json").read_text())["state"] == "failed"
    again = small.go_on(tmp_path / "run", "loggers=[csv]")
    assert (again.outcome.code, again.summary["frames"], again.summary["exact"]) == (0, 256, "exact")
    whole = small.train({**RECIPE, "loggers": ["csv"]}, tmp_path / "whole")
    assert whole.outcome.code == 0
    assert small.outcome_of(tmp_path / "run") == small.outcome_of(tmp_path / "whole")


@pytest.mark.parametrize("at", ["make", "write"])
def test_a_signal_ends_the_waiting(
    at: str, broken: list[Broken], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apart, "HURRY", SHORT)
    with small.own_components():

        @register("logger", "patient", traits=LoggerTraits(patience=600.0))
        def make(options: BrokenOptions, run_dir: Path, rows: Sequence[Mapping[str, Any]]) -> Broken:
            if options.at == "make":
                _fail(options.how)
            return Broken(options)

        patient = {**RECIPE, "loggers": [{"name": "patient", "at": at, "how": "signal"}]}
        result = small.train(patient, tmp_path / "run")
    assert (result.outcome.code, result.outcome.state) == (75, "stopped")
    assert (tmp_path / "run/checkpoints/latest").is_file()


def test_what_a_thread_of_a_logger_fails_with_is_kept_and_not_shown(
    broken: list[Broken], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    session = small.open_session(RECIPE, tmp_path / "run")
    session.display.log_to(tmp_path / "run/run.log")
    writer = threading.Thread(target=_fail, args=("raise",))

    def fail_apart() -> None:
        if writer.ident is None:
            writer.start()
            writer.join()

    session.trainer.boundaries.append(fail_apart)
    before = threading.excepthook
    assert session.train().code == 0
    assert threading.excepthook is before
    assert "ConnectionError: nobody is there" in (tmp_path / "run/run.log").read_text()
    assert "nobody is there" not in capfd.readouterr().err


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a server that takes connections and never answers."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        yield server.getsockname()[1]


@pytest.fixture
def closed() -> int:
    """A port where nobody listens."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port: int = server.getsockname()[1]
        return port


@pytest.mark.parametrize("server", ["silent", "closed"])
def test_a_server_of_mlflow_that_is_not_there(
    server: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = LoggerTraits.of
    monkeypatch.setattr(LoggerTraits, "of", lambda options: replace(usual(options), patience=1.0))
    uri = f"http://127.0.0.1:{request.getfixturevalue(server)}"
    result = small.train({**RECIPE, "loggers": [{"name": "mlflow", "tracking_uri": uri}]}, tmp_path / "run")
    assert result.outcome.code == 0
    assert "loggers.0 (mlflow) could not begin and gets no rows: it did" in (tmp_path / "run/run.log").read_text()
