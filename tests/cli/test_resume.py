import json
import signal
import subprocess
import time
from pathlib import Path

import pytest

from rlrecipe.runs.provenance import versions
from tests import processes, small
from tests.cli.command import Commands

LONG = {
    **small.CARTPOLE,
    "trainer": {"total_frames": 16_384, "log_interval": 1024},
    "evaluation": {"episodes": 2},
    "checkpoint": {"every": 1e6},
}


@pytest.fixture
def stopped(rlrecipe: Commands) -> Path:
    """A run that its time limit stopped."""
    file = rlrecipe.recipe(small.STATEFUL)
    assert rlrecipe("run", file, "--run-dir", "here", "-s", "trainer.time_limit=200").code == 75
    return Path("here")


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ("algorithm.gamma=0.5", "algorithm.gamma: 0.99 became 0.5"),
        ("seed=3", "seed: 0 became 3"),
        ("optimizer.lr=1", "optimizer.lr: 0.003 became 1.0"),
        ("env.num_envs=4", "env.num_envs: 2 became 4"),
        ("trainer.clip_norm=null", "trainer.clip_norm"),
    ],
)
def test_a_changed_recipe_is_refused_with_its_differences(
    rlrecipe: Commands, stopped: Path, change: str, line: str
) -> None:
    before = (stopped / "resolved.yaml").read_text()
    answer = rlrecipe("resume", stopped, "-s", change)
    assert answer.code == 2
    assert line in answer.err
    assert (stopped / "resolved.yaml").read_text() == before


@pytest.mark.parametrize(
    "change",
    [
        "trainer.total_frames=576", "trainer.time_limit=null", "checkpoint.keep_last=1", "loggers=[]",
        "evaluation.episodes=3", "runtime.device=cpu", "runtime.device=auto",
    ],
)  # fmt: skip
def test_these_keys_may_change(rlrecipe: Commands, stopped: Path, change: str) -> None:
    answer = rlrecipe("resume", stopped, "-s", "trainer.time_limit=null", "-s", change, "--json")
    assert answer.code == 0, answer.err
    assert answer.json["frames"] == (576 if "576" in change else 512)
    key, value = change.replace("=auto", "=cpu").split("=")
    assert rlrecipe("resume", stopped, "-s", change, "--json").json["state"] == "finished"
    assert value == "[]" or value.split(".")[-1] in (stopped / "resolved.yaml").read_text()
    assert key


def test_a_change_that_this_machine_cannot_do_is_told_before_anything_starts(rlrecipe: Commands, stopped: Path) -> None:
    files = ("status.json", "resolved.yaml", "metrics.jsonl")
    before = [(stopped / name).read_bytes() for name in files]
    answer = rlrecipe("resume", stopped, "-s", "runtime.device=cuda:99")
    assert answer.code == 4
    assert "E402 at runtime.device: this machine has no cuda:99\n  -s | runtime.device=cuda:99" in answer.err
    assert [(stopped / name).read_bytes() for name in files] == before


def test_a_checkpoint_may_be_resumed(rlrecipe: Commands, stopped: Path) -> None:
    first = min((stopped / "checkpoints").glob("0*"))
    assert rlrecipe("resume", first, "-s", "trainer.time_limit=null").code == 0
    assert small.rows(stopped)[-1]["frames"] == 512


def test_what_is_no_run_is_refused(rlrecipe: Commands) -> None:
    Path("empty").mkdir()
    for path, reason in (("empty", "is no run directory"), ("nowhere", "does not exist")):
        answer = rlrecipe("resume", path)
        assert answer.code == 2
        assert reason in answer.err


def test_a_damaged_checkpoint_is_named_and_the_one_before_used(rlrecipe: Commands, stopped: Path) -> None:
    newest = max((stopped / "checkpoints").glob("0*"))
    (newest / "state.safetensors").write_bytes(b"damaged")
    answer = rlrecipe("-q", "resume", stopped, "-s", "trainer.time_limit=null")
    assert answer.code == 0
    for told in (answer.err, (stopped / "run.log").read_text()):
        assert f"{newest}/state.safetensors does not match its digest" in told
    rlrecipe("run", rlrecipe.recipe(small.STATEFUL), "--run-dir", "whole")
    assert small.outcome_of(stopped) == small.outcome_of(Path("whole"))


def test_without_a_usable_checkpoint_it_ends_with_5(rlrecipe: Commands, stopped: Path) -> None:
    for file in (stopped / "checkpoints").glob("0*/policy.safetensors"):
        file.write_bytes(b"damaged")
    for command in (("resume", stopped), ("evaluate", stopped)):
        answer = rlrecipe(*command)
        assert answer.code == 5
        assert "Traceback" not in answer.err


def test_a_finished_run_is_a_no_op_with_its_summary(rlrecipe: Commands, stopped: Path) -> None:
    rlrecipe("resume", stopped, "-s", "trainer.time_limit=null")
    answer = rlrecipe("resume", stopped, "--json")
    assert answer.code == 0
    assert answer.json["frames"] == 512
    assert "nothing to resume" in answer.err


def test_another_version_goes_on_at_the_level_continue(
    rlrecipe: Commands, stopped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = versions(1)
    monkeypatch.setattr("rlrecipe.runs.scheduled.versions", lambda threads: {**here, "torch": "0.0.1"})
    answer = rlrecipe("resume", stopped, "-s", "trainer.time_limit=null")
    assert answer.code == 0
    assert "warning" in answer.err
    assert "-> 0.0.1" in answer.err
    status = json.loads((stopped / "status.json").read_text())
    assert (status["exact"], "0.0.1" in status["exact_reason"]) == ("continue", True)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 75), (signal.SIGINT, 130)], ids=["SIGTERM", "SIGINT"])
def test_a_signal_leads_to_a_checkpoint_from_which_the_run_goes_on(
    rlrecipe: Commands, number: signal.Signals, code: int
) -> None:
    file = rlrecipe.recipe(LONG)
    assert rlrecipe("run", file, "--run-dir", "whole").code == 0
    here = Path("here")
    command = [str(processes.program()), "run", str(file), "--run-dir", str(here)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while not (here / "metrics.jsonl").is_file() or not (here / "metrics.jsonl").read_bytes():
            assert process.poll() is None, process.stderr.read() if process.stderr else ""
            time.sleep(0.001)
        process.send_signal(number)
        _, err = process.communicate()
    assert process.returncode == code
    assert "Traceback" not in err
    status = json.loads((here / "status.json").read_text())
    assert (status["state"], number.name in status["reason"]) == ("stopped", True)
    assert 0 < status["frames"] < 16_384
    assert status["checkpoint"] is not None
    assert rlrecipe("resume", here).code == 0
    assert small.outcome_of(here) == small.outcome_of(Path("whole"))
