"""What loggers of a trainer in Python hold after a crash, and what becomes of one that fails."""

import csv
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from rlrecipe.loggers import CSVLogger, TensorboardLogger
from tests.trainers.simple import simple


def frames_of(folder: Path, kind: str) -> list[int]:
    if kind == "csv":
        with (folder / "walk/metrics.csv").open(newline="") as file:
            return [int(row["frames"]) for row in csv.DictReader(file)]
    events = EventAccumulator(str(folder / "walk"))
    events.Reload()
    return [event.step for event in events.Scalars("loss/square")]


def interrupted(trainer: Any, at: int) -> None:
    def fail() -> None:
        if trainer.clock.frames >= at:
            raise ConnectionError("the power went")

    trainer.register_op("post_steps", fail)
    with pytest.raises(ConnectionError):
        trainer.train()


@pytest.mark.parametrize(("kind", "made"), [("csv", CSVLogger), ("tensorboard", TensorboardLogger)])
def test_rows_after_the_file_that_is_loaded_are_there_once(kind: str, made: Any, tmp_path: Path) -> None:
    options = {"log_interval": 8, "save_trainer_interval": 24, "save_trainer_file": tmp_path / "trainer.pt"}
    logger = made("walk", tmp_path)
    interrupted(simple(6, logger=logger, **options), at=48)
    logger.close()
    assert frames_of(tmp_path, kind) == [8, 16, 24, 32, 40]
    logger = made("walk", tmp_path)
    trainer = simple(6, logger=logger, **options).load_from_file(tmp_path / "trainer.pt")
    if kind == "csv":
        # Nobody trains yet: who only looks at the file loses nothing.
        assert frames_of(tmp_path, kind) == [8, 16, 24, 32, 40]
    trainer.train()
    logger.close()
    assert frames_of(tmp_path, kind) == [8, 16, 24, 32, 40, 48]
    assert [row["frames"] for row in trainer.rows] == [32, 40, 48]


class Failing:
    """Fails at its second row."""

    def __init__(self) -> None:
        self.given = 0
        self.closed = False

    def write(self, row: dict[str, float]) -> None:
        self.given += 1
        if self.given == 2:
            raise OSError("no space left on device")

    def close(self) -> None:
        self.closed = True


class FailingScalars:
    """One of torchrl's kind that fails at once."""

    def log_scalar(self, name: str, value: float, step: int) -> None:
        raise OSError("the server is gone")


def test_a_logger_that_fails_is_told_of_once_and_stops_nothing(tmp_path: Path) -> None:
    failing = Failing()
    trainer = simple(4, log_interval=8, logger=[failing, FailingScalars(), CSVLogger("walk", tmp_path)])
    with pytest.warns(UserWarning, match="failed and gets no more rows") as told:
        trainer.train()
    rest = "training goes on, every row is in trainer.rows"
    assert sorted(str(each.message) for each in told) == [
        f"logger 0 (Failing) failed and gets no more rows: OSError: no space left on device; {rest}",
        f"logger 1 (FailingScalars) failed and gets no more rows: OSError: the server is gone; {rest}",
    ]
    # Who made it closes it.
    assert (failing.given, failing.closed) == (2, False)
    assert [row["frames"] for row in trainer.rows] == frames_of(tmp_path, "csv") == [8, 16, 24, 32]
