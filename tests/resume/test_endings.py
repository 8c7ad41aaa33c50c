"""Ends of a session that are easy to get wrong: early stops, cut evaluations, failures, levels."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rlrecipe import Options, register
from rlrecipe.context import LEVELS
from rlrecipe.runs.provenance import versions
from tests import small

STOPPING = small.changed(small.STATEFUL, ("hooks",), [{"name": "early_stopping", "threshold": 1.0, "episodes": 5}])


def test_an_early_stop_is_not_forgotten_by_a_kill(tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    assert "mean return of 1" in small.train(STOPPING, whole).outcome.reason
    killed = shutil.copytree(whole, tmp_path / "killed")
    # As a kill leaves it between the last checkpoint and the summary.
    (killed / "summary.json").unlink()
    status = json.loads((killed / "status.json").read_text())
    (killed / "status.json").write_text(json.dumps({**status, "state": "running"}))
    assert small.go_on(killed).outcome.code == 0
    assert small.outcome_of(killed) == small.outcome_of(whole)
    assert json.loads((whole / "summary.json").read_text())["frames"] < 512


def test_an_evaluation_that_was_cut_short_is_made_up_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small.train(small.STATEFUL, tmp_path / "whole")
    session = small.open_session(small.STATEFUL, tmp_path / "cut")
    evaluator = session.evaluation.evaluator
    run, cuts = evaluator.run, [0]

    def cut(episodes: int, deterministic: bool = True) -> Any:
        cuts[0] += 1
        session.trainer.interrupt("as a signal in the evaluation would")
        evaluator.interrupted = lambda: True
        return run(episodes, deterministic)

    monkeypatch.setattr(evaluator, "run", cut)
    assert session.train().code == 75
    assert cuts == [1]
    assert small.go_on(tmp_path / "cut").outcome.code == 0
    assert small.outcome_of(tmp_path / "cut") == small.outcome_of(tmp_path / "whole")


def test_a_failed_run_goes_on_from_its_newest_checkpoint(own_components: None, tmp_path: Path) -> None:
    broken = [True]

    class FragileOptions(Options):
        """Fails once."""

    class Fragile:
        category = "operation"
        calls = 0

        def register(self, trainer: Any, name: str) -> None:
            trainer.register_op("post_steps", self)
            self.trainer = trainer

        def __call__(self) -> None:
            if broken[0] and self.trainer.clock.frames == 320:
                raise OSError("the cable is out")

    @register("hook", "fragile")
    def make_fragile(options: FragileOptions) -> Fragile:
        return Fragile()

    recipe = small.changed(small.CARTPOLE, ("hooks",), ["fragile"])
    failed = small.train(recipe, tmp_path / "run").outcome
    assert (failed.code, failed.state, failed.reason) == (1, "failed", "OSError: the cable is out")
    assert "Traceback" in (tmp_path / "run/run.log").read_text()
    broken[0] = False
    assert small.go_on(tmp_path / "run").outcome.code == 0
    small.train(recipe, tmp_path / "whole")
    assert small.outcome_of(tmp_path / "run") == small.outcome_of(tmp_path / "whole")


def test_a_failing_last_evaluation_does_not_cost_the_policy(tmp_path: Path) -> None:
    recipe = small.changed(small.CARTPOLE, ("checkpoint", "every"), 1e6)
    session = small.open_session(small.changed(recipe, ("evaluation",), {"episodes": 1}), tmp_path / "run")

    def fail() -> Any:
        raise RuntimeError("no display")

    session.evaluation.evaluator.stage = replace(session.evaluation.evaluator.stage, make=fail, lend=None)
    assert session.train().code == 1
    assert session.store.names() == ["000000000512-0000000032"]


def test_a_level_that_was_lost_stays_lost(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    small.train(small.CARTPOLE, tmp_path / "run", "trainer.time_limit=100")
    there = versions(1)
    monkeypatch.setattr("rlrecipe.runs.scheduled.versions", lambda threads: {**there, "torch": "9.9"})
    small.go_on(tmp_path / "run", "trainer.time_limit=100")
    result = small.go_on(tmp_path / "run", "trainer.time_limit=null")
    assert result.summary["exact"] == "continue"
    assert LEVELS == ("exact", "boundary", "continue")


def test_fewer_cores_than_threads_go_on_at_the_level_continue(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The number of threads stays; whether libraries use all of them depends on the cores."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1}, raising=False)
    two = {**small.CARTPOLE, "runtime": {"threads": 2}}
    small.train(two, tmp_path / "same", "trainer.time_limit=100")
    shutil.copytree(tmp_path / "same", tmp_path / "fewer")
    assert small.go_on(tmp_path / "same", "trainer.time_limit=null").summary["exact"] == "exact"
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0}, raising=False)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("OMP_NUM_THREADS", "1")
        result = small.go_on(tmp_path / "fewer", "trainer.time_limit=null")
    assert result.summary["exact"] == "continue"
    assert result.recipe.runtime.threads == 2
    assert "threads 2 -> 1; the run goes on, but not bit for bit" in (tmp_path / "fewer/run.log").read_text()


@pytest.mark.parametrize(
    "change",
    [
        "trainer.log_interval={seconds: 1}",
        "evaluation.every={seconds: 1}",
        "algorithm.clip_epsilon={name: linear, start: 0.2, end: 0.1, until: {seconds: 2}}",
    ],
)
def test_what_depends_on_the_wall_clock_is_not_called_exact(change: str) -> None:
    assembly = small.build(small.CARTPOLE, change)
    assert assembly.exact == "continue"
    assert change.split("=")[0] in assembly.exact_reason


def test_the_horizon_is_not_forgotten_by_a_kill(tmp_path: Path) -> None:
    recipe = {**small.CARTPOLE, "optimizer": {"name": "sgd", "lr": 0.1, "schedule": "linear"}}
    small.train(recipe, tmp_path / "run", "trainer.total_frames=256", "checkpoint.every=1e6")
    copy = shutil.copytree(tmp_path / "run", tmp_path / "copy")
    assert small.go_on(copy, "trainer.total_frames=512", horizon=True).outcome.code == 0
    killed = shutil.copytree(tmp_path / "run", tmp_path / "killed")
    small.go_on(killed, "trainer.total_frames=512", "trainer.time_limit=1", horizon=True)
    small.go_on(killed, "trainer.time_limit=null")
    assert small.policy_bytes(killed) == small.policy_bytes(copy)
