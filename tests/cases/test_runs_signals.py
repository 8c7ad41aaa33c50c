"""Signals to a run: those that schedulers send, those that are ignored, and when they come."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from rlrecipe import Options, register
from rlrecipe.runs.directory import RunDirectory
from tests import processes, small
from tests.cli.command import Commands
from tests.cli.conftest import rlrecipe as rlrecipe

RECIPE = {**small.CARTPOLE, "hooks": ["sends"], "checkpoint": {"every": 1e6}}
WHOLE = {**small.CARTPOLE, "checkpoint": {"every": 1e6}}


def state(run_dir: Path) -> str:
    return str(json.loads((run_dir / "status.json").read_text(encoding="utf-8"))["state"])


class Sends:
    """A hook that sends a signal to its process in the third batch of the first session."""

    category = "operation"

    def __init__(self, number: signal.Signals) -> None:
        self.number, self.batches = number, 0

    def register(self, trainer: Any, name: str) -> None:
        trainer.register_op("post_steps", self)

    def __call__(self) -> None:
        self.batches += 1
        if self.batches == 3:
            os.kill(os.getpid(), self.number)


def sending(number: signal.Signals) -> None:
    """Register the hook ``sends``; it is asked for twice, and sends once."""
    sent: list[Sends] = []

    class SendsOptions(Options):
        """Sends a signal."""

    @register("hook", "sends")
    def make_sends(options: SendsOptions) -> Sends:
        sent.append(Sends(number))
        sent[-1].batches = 0 if len(sent) == 1 else 3
        return sent[-1]


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGUSR2, signal.SIGXCPU, signal.SIGHUP, signal.SIGTERM])
def test_what_schedulers_send_leads_to_a_checkpoint(
    own_components: None, number: signal.Signals, tmp_path: Path
) -> None:
    sending(number)
    outcome = small.train(RECIPE, tmp_path / "run").outcome
    assert (outcome.code, outcome.state, outcome.reason) == (75, "stopped", f"stopped by {number.name}")
    assert state(tmp_path / "run") == "stopped"
    assert small.go_on(tmp_path / "run").outcome.code == 0
    small.train(WHOLE, tmp_path / "whole")
    assert small.policy_bytes(tmp_path / "run") == small.policy_bytes(tmp_path / "whole")
    assert small.rows(tmp_path / "run") == small.rows(tmp_path / "whole")


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGXCPU])
def test_a_run_under_nohup_goes_on(own_components: None, number: signal.Signals, tmp_path: Path) -> None:
    before = signal.signal(number, signal.SIG_IGN)
    try:
        sending(number)
        assert small.train(RECIPE, tmp_path / "run").outcome.state == "finished"
    finally:
        signal.signal(number, before)


def test_a_signal_while_the_folder_is_made_leaves_it_whole(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    create = RunDirectory.create

    def interrupted(*arguments: Any) -> RunDirectory:
        os.kill(os.getpid(), signal.SIGTERM)
        return create(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(RunDirectory, "create", interrupted)
        outcome = small.train(small.CARTPOLE, tmp_path / "run").outcome
    assert (outcome.code, outcome.state) == (75, "stopped")
    assert (state(tmp_path / "run"), small.rows(tmp_path / "run")) == ("stopped", [])
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert small.go_on(tmp_path / "run").outcome.code == 0
    small.train(small.CARTPOLE, tmp_path / "whole")
    assert small.outcome_of(tmp_path / "run") == small.outcome_of(tmp_path / "whole")


def test_a_signal_while_a_run_is_closed_changes_nothing_any_more(tmp_path: Path) -> None:
    session = small.open_session(small.CARTPOLE, tmp_path / "run")
    close = session.recorder.close

    def interrupted() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        close()

    session.recorder.close = interrupted  # type: ignore[method-assign]  # the moment of the signal
    assert session.train().code == 0
    assert state(tmp_path / "run") == "finished"


@pytest.mark.parametrize(
    ("words", "number", "code"),
    [
        (("run",), signal.SIGINT, 130),
        (("run",), signal.SIGTERM, 75),
        (("evaluate", "run"), signal.SIGTERM, 143),
        (("validate",), signal.SIGINT, 130),
    ],
    ids=str,
)
def test_a_signal_before_there_is_a_session(
    words: tuple[str, ...], number: signal.Signals, code: int, tmp_path: Path
) -> None:
    # The moment: an environment's file is loaded.
    (tmp_path / "slow.py").write_text(
        "import pathlib, time\ntry:\n    pathlib.Path('loading').touch()\n    time.sleep(60)\n"
        "except BaseException:\n    pass\n",
        encoding="utf-8",
    )
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(small.CARTPOLE), encoding="utf-8")
    if words[0] == "evaluate":
        small.train(small.CARTPOLE, tmp_path / "run", "trainer.total_frames=64")
    what = ("recipe.yaml",) if len(words) == 1 else ()
    before = sorted(tmp_path.iterdir())
    with subprocess.Popen(
        [processes.program(), *words, *what, "--import", "slow.py"],
        cwd=tmp_path,
        env=processes.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        while not (tmp_path / "loading").exists():
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(number)
        out, err = process.communicate()
    (tmp_path / "loading").unlink()
    assert process.returncode == code
    assert (out, len(err.splitlines())) == ("", 1)
    assert number.name in err
    assert sorted(path for path in tmp_path.iterdir() if path.name != "__pycache__") == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("words", [("verify", "run"), ("replay", "run", "--frames", "0:128")], ids=["verify", "replay"])
def test_work_that_leaves_nothing_stops_with_nothing_left(
    own_components: None, rlrecipe: Commands, words: tuple[str, ...], number: signal.Signals
) -> None:
    armed = [False]

    class RingsOptions(Options):
        """Sends a signal when it is armed."""

    class Rings:
        category = "operation"

        def register(self, trainer: Any, name: str) -> None:
            trainer.register_op("post_steps", self)

        def __call__(self) -> None:
            if armed[0]:
                armed[0] = False
                os.kill(os.getpid(), number)

    @register("hook", "rings")
    def make_rings(options: RingsOptions) -> Rings:
        return Rings()

    small.train({**small.CARTPOLE, "hooks": ["rings"]}, Path("run"), "trainer.total_frames=192")
    before = sorted(Path().rglob("*"))
    armed[0] = True
    answer = rlrecipe(*words)
    assert (answer.code, answer.out) == (130 if number is signal.SIGINT else 143, "")
    assert sorted(Path().rglob("*")) == before


def test_ctrl_c_in_an_evaluation_is_one_line(tmp_path: Path) -> None:
    small.train(small.CARTPOLE, tmp_path / "run", "trainer.total_frames=64")
    with subprocess.Popen(
        [processes.program(), "evaluate", "run", "-n", "100000", "--video", "film.mp4"],
        cwd=tmp_path,
        env=processes.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        while not list(tmp_path.glob("*film*")):
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    assert (process.returncode, out) == (130, "")
    assert err == "SIGINT: stopping soon, with nothing written; once more to stop at once\n"
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
