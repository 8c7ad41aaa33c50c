"""A disk that is full fails a save, not the run."""

import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rlrecipe.checkpoint.store import CheckpointStore
from rlrecipe.runs.session import Session
from tests import small


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Writing beyond ``size`` bytes fails, as it does on a disk that is full."""
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_save_that_fails_is_told_loudly_and_training_goes_on(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    session = small.open_session(small.CARTPOLE, tmp_path / "run")
    session.checkpoints.say = print
    calls = [0]

    def squeeze() -> None:
        calls[0] += 1
        # The third and the fourth checkpoint find no room.
        if calls[0] in (3, 4):
            with files_of_at_most(1000):
                assert not session.checkpoints.save()
            session.checkpoints.alarm.crossed = session.clock.frames // 64

    session.trainer.boundaries.insert(1, squeeze)
    assert session.train().code == 0
    said = capfd.readouterr().out
    assert said.count("ERROR: the checkpoint 0000000001") == 1
    assert said.count("could not be written") == 2
    assert "the one before it is kept" in said
    store = CheckpointStore(tmp_path / "run/checkpoints")
    store.sweep()
    assert all(store.load(name) for name in store.names())
    assert not list(store.folder.glob(".*"))
    assert store.pointer("latest") == store.names()[-1]


def test_a_run_whose_last_checkpoint_cannot_be_written_has_failed(tmp_path: Path) -> None:
    session = small.open_session(small.changed(small.CARTPOLE, ("checkpoint", "every"), 1e6), tmp_path / "run")
    session.trainer.boundaries.append(lambda: _no_more_room(session))
    outcome = session.train()
    assert (outcome.code, outcome.state) == (1, "failed")
    assert "could not be written" in outcome.reason


def _no_more_room(session: Session) -> None:
    if session.clock.done:
        # A folder where the staging folder's parent should be: nothing can be written there.
        folder = session.store.folder
        folder.mkdir(exist_ok=True)
        folder.rename(folder.with_name("gone"))
        folder.write_text("no folder")
