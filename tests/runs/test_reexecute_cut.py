"""A run whose evaluation a signal cut short is none that went otherwise."""

import signal
from pathlib import Path

from rlrecipe.runs.verify import verify
from tests import small

#: No evaluation is a reason to save: the checkpoint that was written at the stop stays.
RECIPE = {**small.CARTPOLE, "checkpoint": {**small.CARTPOLE["checkpoint"], "keep_best": False}}


def test_an_evaluation_that_was_cut_short_is_done_again_as_it_was(tmp_path: Path) -> None:
    session = small.open_session(RECIPE, tmp_path / "run")

    def in_the_evaluation() -> bool:
        if session.clock.frames >= 256:
            session.signals.received = signal.SIGTERM
        return session.signals.received is not None

    session.evaluation.evaluator.interrupted = in_the_evaluation
    assert session.train().code == 75
    assert session.evaluation.pending
    assert small.go_on(tmp_path / "run").outcome.code == 0
    small.train(RECIPE, tmp_path / "whole")
    assert small.outcome_of(tmp_path / "run") == small.outcome_of(tmp_path / "whole")
    assert verify(tmp_path / "run").differences == []
