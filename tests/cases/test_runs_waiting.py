"""How threads wait: chosen by the load, before libgomp is loaded, without moving a bit."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rlrecipe.loop import pace
from rlrecipe.machine import cores, usage
from rlrecipe.runs import waiting
from tests import small

WIDE = {"name": "mlp", "num_cells": [256, 256]}
TWO_THREADS = {
    **small.CARTPOLE,
    "networks": {"policy": WIDE, "value": WIDE},
    "algorithm": {"name": "ppo", "num_epochs": 1, "minibatch_size": 64},
    "trainer": {"total_frames": 128},
    "evaluation": {"episodes": 1},
    "loggers": [],
    "runtime": {"threads": 2},
}
#: Begins to look as ``rlrecipe`` does, waits for a line, and prints what is chosen and what libgomp reads.
CHOICE = """
import os, sys
from rlrecipe.runs import waiting
waiting.begin()
class Torch:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            print(os.environ.get("OMP_WAIT_POLICY"), flush=True)
            raise ImportError("enough seen")
sys.meta_path.insert(0, Torch())
sys.stdin.readline()
try:
    waiting.choose()
except ImportError:
    pass
print(waiting.chosen(), os.environ.get("OMP_WAIT_POLICY"))
"""


def choice(env: dict[str, str]) -> list[str]:
    clean = {name: value for name, value in os.environ.items() if name not in (*waiting.SETTINGS, "OMP_NUM_THREADS")}
    done = subprocess.run(
        [sys.executable, "-c", CHOICE], env={**clean, **env}, input="\n", capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


@pytest.mark.skipif(cores() < 2, reason="one core runs one thread, which waits for none")
def test_beside_processes_that_want_the_cores_threads_wait_asleep() -> None:
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2 * cores())]
    try:
        policy, said = choice({})
    finally:
        for process in busy:
            process.kill()
            process.wait()
    assert policy == "PASSIVE"
    assert said.startswith("Waiting(asleep=True, reason='other processes leave ")
    # What this process starts chooses for itself.
    assert said.endswith(" None")


@pytest.mark.parametrize(
    "env", [{"OMP_WAIT_POLICY": "ACTIVE"}, {"GOMP_SPINCOUNT": "7"}, {"OMP_NUM_THREADS": "1"}], ids=str
)
def test_nothing_is_chosen_for_who_has_chosen(env: dict[str, str]) -> None:
    assert choice(env) == [f"None {env.get('OMP_WAIT_POLICY')}"]


def test_where_torch_is_there_already_it_is_too_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "decide", lambda wanted: pytest.fail("nothing can be chosen any more"))
    waiting.choose()
    assert waiting.chosen() is None


def test_waiting_moves_no_bit(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(small.dump_of(TWO_THREADS))
    outcomes = []
    # Processes of their own: libgomp reads it once.
    for name, env in (("asleep", {"OMP_WAIT_POLICY": "PASSIVE"}), ("at work", {"GOMP_SPINCOUNT": "10000"})):
        command = [sys.executable, "-m", "rlrecipe", "-q", "run", str(recipe), "--run-dir", str(tmp_path / name)]
        subprocess.run(command, env={**os.environ, **env}, check=True, capture_output=True)
        outcomes.append(small.outcome_of(tmp_path / name))
    assert outcomes[0] == outcomes[1]


def looks(*medians: float) -> pace.Pace:
    """A pace that has seen looks at updates of these seconds each."""
    seen = pace.Pace()
    for seconds in medians:
        for _ in range(max(pace.LEAST, int(pace.SPAN / seconds) + 1)):
            seen.took(seconds)
    return seen


def test_several_times_slower_has_to_last() -> None:
    assert looks(0.01, 0.05, 0.05).slower is None
    assert looks(0.01, 0.05, 0.05, 0.01).slower is None
    assert looks(0.01, 0.029, 0.029, 0.029, 0.029).slower is None
    assert looks(0.01, 0.05, 0.05, 0.04).slower == pytest.approx(4)
    # A single long update among many, as a checkpoint's or a page fault, moves no median.
    seen = looks(0.01)
    for _ in range(3):
        seen.took(60.0)
        for _ in range(pace.LEAST):
            seen.took(0.01)
    assert seen.slower is None


@pytest.mark.parametrize(
    ("threads", "asleep", "cure"),
    [
        (2, False, "stop this run and resume it: its threads then wait asleep"),
        (2, True, "give this run cores of its own"),
        (1, False, "give this run cores of its own"),
    ],
)
def test_slow_updates_are_said_once_with_the_cure(
    threads: int, asleep: bool, cure: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rlrecipe.runs.waiting.spare", lambda before, after: cores() - 1.0)
    monkeypatch.setattr(waiting._Process, "waiting", waiting.Waiting(asleep, "of a test"))
    recipe: dict[str, Any] = {**small.CARTPOLE, "runtime": {"threads": threads}}
    session = small.open_session(recipe, tmp_path / "run")
    session.display.log_to(tmp_path / "run/run.log")
    # As after minutes: the first look is long past.
    session.trainer.pace = looks(0.001)
    session._usage = usage()
    session.trainer.pace.slower = 4.25
    assert session.train().code == 0
    said = (tmp_path / "run/run.log").read_text()
    assert said.count("warning: updates take 4.2 times as long as at the start of this session: other processes") == 1
    assert cure in said
    assert "pace" not in session.trainer.state_dict()


def test_slow_updates_beside_nobody_have_another_cause() -> None:
    nobody = replace(usage(), busy=None, groups=())
    assert "no other process takes the cores" in waiting.advice(3.0, 2, nobody)
