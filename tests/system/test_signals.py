"""What a process does at a signal, in interpreters that import nothing else."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rlrecipe.system.signals import STOPPING, Signals, at_once, exit_code

ROOT = Path(__file__).parents[2]
#: Sends a signal to itself in the middle of what swallows every exception.
EARLY = """
import os, signal, sys
from rlrecipe.system.signals import Early
early = Early(resumable={resumable})
early.open()
{before}
try:
    class Swallowing:
        def __del__(self):
            os.kill(os.getpid(), signal.{number})
    Swallowing()
    sum(range(1000))
except BaseException:
    pass
print("went on")
"""


def python(code: str, *, ignored: signal.Signals | None = None) -> "subprocess.CompletedProcess[str]":
    """Run code in an interpreter of its own, in which a signal may be ignored from the start."""
    start = f"import os, signal; signal.signal({int(ignored)}, signal.SIG_IGN); " if ignored else "import os; "
    command = [sys.executable, "-c", f"{start}os.execv({sys.executable!r}, [{sys.executable!r}, '-c', {code!r}])"]
    return subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True)


@pytest.mark.parametrize("number", STOPPING, ids=lambda number: number.name)
def test_an_early_signal_ends_the_process_although_exceptions_are_swallowed(number: signal.Signals) -> None:
    done = python(EARLY.format(resumable=True, before="", number=number.name))
    assert done.returncode == (130 if number is signal.SIGINT else 75)
    assert done.stdout == ""
    assert done.stderr == f"{number.name}: stopped before training\n"


def test_what_cannot_be_resumed_ends_otherwise() -> None:
    done = python(EARLY.format(resumable=False, before="", number="SIGTERM"))
    assert (done.returncode, done.stderr) == (143, "SIGTERM: stopped before the end\n")


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT], ids=["nohup", "in the background of a script"])
def test_a_signal_that_was_ignored_at_the_start_stays_ignored(number: signal.Signals) -> None:
    done = python(EARLY.format(resumable=True, before="", number=number.name), ignored=number)
    assert (done.returncode, done.stdout, done.stderr) == (0, "went on\n", "")


def test_after_the_session_a_signal_changes_the_exit_code_no_more() -> None:
    over = "early.session_over()"
    done = python(EARLY.format(resumable=True, before=over, number="SIGTERM"))
    assert (done.returncode, done.stdout) == (0, "went on\n")
    # The command has answered: what is left to do at the interpreter's end may be cut short.
    done = python(EARLY.format(resumable=True, before="early.code = 6", number="SIGTERM"))
    assert (done.returncode, done.stdout) == (6, "")
    done = python(EARLY.format(resumable=True, before="early.ignore()", number="SIGTERM"))
    assert (done.returncode, done.stdout) == (0, "went on\n")


@pytest.mark.parametrize(("first", "second", "code"), [("SIGTERM", "SIGTERM", 143), ("SIGTERM", "SIGINT", 130)])
def test_a_second_signal_ends_a_session_at_once(first: str, second: str, code: int) -> None:
    send = "os.kill(os.getpid(), signal.{}); print(signals.received.name, flush=True)\n"
    done = python(
        "import os, signal\nfrom rlrecipe.system.signals import Signals\nsignals = Signals()\nwith signals:\n"
        f"    {send.format(first)}    {send.format(second)}"
    )
    assert (done.returncode, done.stdout) == (code, f"{first}\n")
    assert done.stderr == f"{first}: saving a checkpoint after this batch; once more to stop at once\n"


def test_the_system_repeats_one_signal_every_second() -> None:
    with Signals(quiet=True) as signals:
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGXCPU)
    assert (signals.received, signals.exit_code) == (signal.SIGXCPU, 75)


def test_handlers_of_a_program_are_put_back() -> None:
    def own(*_: object) -> None:
        raise AssertionError

    before = signal.signal(signal.SIGUSR1, own)
    ignored = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Signals(quiet=True) as signals, signals:
            os.kill(os.getpid(), signal.SIGHUP)
            assert signals.received is None
            os.kill(os.getpid(), signal.SIGUSR1)
            assert signals.received is signal.SIGUSR1
        assert signal.getsignal(signal.SIGUSR1) is own
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGUSR1, before)
        signal.signal(signal.SIGHUP, ignored)


def test_a_worker_is_never_without_protection_and_what_it_starts_can_be_ended() -> None:
    worker = (
        "import subprocess, sys, signal, time\n"
        "print('started', flush=True); sys.stdin.readline()\n"
        "from rlrecipe.system.signals import leave_to_parent\nleave_to_parent()\n"
        "simulator = subprocess.Popen(['sleep', '60'])\n"
        "simulator.terminate()\n"
        "print(simulator.wait(), flush=True)\n"
    )
    starter = (
        "import subprocess, sys\nfrom rlrecipe.system.signals import held_back\n"
        f"with held_back():\n    worker = subprocess.Popen([sys.executable, '-c', {worker!r}])\n"
        "print(worker.pid, flush=True)\nsys.exit(worker.wait())\n"
    )
    command = [sys.executable, "-c", starter]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        said = {process.stdout.readline().strip(), process.stdout.readline().strip()}
        pid = int(min(said))
        assert said == {str(pid), "started"}
        for number in STOPPING:
            os.kill(pid, number)
        time.sleep(0.01)
        process.stdin.write("go\n")
        process.stdin.flush()
        assert process.stdout.readline() == f"{-signal.SIGTERM}\n"
        assert process.wait() == 0


def test_codes() -> None:
    assert {exit_code(number) for number in STOPPING} == {75, 130}
    assert {at_once(number) for number in STOPPING} == {143, 130}
