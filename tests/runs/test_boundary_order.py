"""The order at the end of a batch: evaluation, the row with its figures, the best, checkpoint."""

import json
from pathlib import Path
from typing import Any

import pytest

from rlrecipe.checkpoint.store import CheckpointStore
from tests import small

FIGURES = {
    "eval/episode_return_mean",
    "eval/episode_return_std",
    "eval/episode_length_mean",
    "eval/episodes_cut",
}


def test_the_row_of_a_boundary_has_its_evaluation(tmp_path: Path) -> None:
    """Rows are due at 128, 256, 320, 448 and 512 frames, evaluations at 256, 448 and at the end."""
    summary = small.train(small.CARTPOLE, tmp_path / "run").summary
    rows = small.rows(tmp_path / "run")
    assert [row["frames"] for row in rows] == [128, 256, 320, 448, 512]
    assert all("loss/policy" in row for row in rows)
    assert [row["frames"] for row in rows if row.keys() >= FIGURES] == [256, 448, 512]
    assert rows[-1]["eval/episode_return_mean"] == summary["eval_return_mean"]


def test_an_evaluation_without_a_row_that_is_due_has_one_of_its_own(tmp_path: Path) -> None:
    """The means go on to the next row, which is the last; that one has what was left, and the last evaluation."""
    small.train(small.CARTPOLE, tmp_path / "run", "trainer.log_interval=10000")
    rows = small.rows(tmp_path / "run")
    assert [row["frames"] for row in rows] == [256, 448, 512]
    assert [row.keys() == {"frames", "updates"} | FIGURES for row in rows] == [True, True, False]
    assert rows[-1].keys() >= {"train/episode_return", "loss/policy"} | FIGURES


def test_a_checkpoint_stands_behind_the_row_of_its_boundary(tmp_path: Path) -> None:
    """Also the one that is written only because its evaluation is the best."""
    run = tmp_path / "run"
    small.train(small.CARTPOLE, run, "checkpoint.every=10000")
    store = CheckpointStore(run / "checkpoints")
    best = store.pointer("best")
    assert best is not None
    kept = (run / "metrics.jsonl").read_bytes()[: store.load(best).session["files"]["metrics.jsonl"]]
    row: dict[str, Any] = json.loads(kept.splitlines()[-1])
    assert (row["frames"], row["updates"]) == tuple(int(part) for part in best.split("-"))
    assert row.keys() >= FIGURES


@pytest.mark.parametrize(("interval", "at"), [(100, 256), (10_000, 256), (100, 512)])
def test_a_signal_in_an_evaluation_leaves_it_and_its_row_to_the_resumed_run(
    interval: int, at: int, tmp_path: Path
) -> None:
    """A scheduled one, and the last one: the rows come out as if nobody had stopped."""
    overrides = f"trainer.log_interval={interval}", "checkpoint.every=10000"
    small.train(small.CARTPOLE, tmp_path / "whole", *overrides)
    run = tmp_path / "stopped"
    session = small.open_session(small.CARTPOLE, run, *overrides)

    def interrupted() -> bool:
        """As a signal at the evaluation's first step would have it."""
        if session.clock.frames == at:
            session.trainer.interrupt("a signal")
        return session.clock.frames == at

    session.evaluation.evaluator.interrupted = interrupted
    assert session.train().state == "stopped"
    assert not [row for row in small.rows(run) if row["frames"] == at]
    assert small.go_on(run).outcome.code == 0
    assert small.outcome_of(run) == small.outcome_of(tmp_path / "whole")
