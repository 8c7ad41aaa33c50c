"""How threads wait for each other: at work, which is fastest alone, or asleep, where others want the cores.

libgomp, which torch computes with, lets a thread that has to wait look again and again for a while. Beside another
process that takes the time of the thread that is waited for. It reads the way once, when torch is imported. No bit
depends on it: how many threads there are is another matter (``resolve``).
"""

from __future__ import annotations

import importlib
import os
import sys
import time
from dataclasses import dataclass

from rlrecipe.machine import Usage, asked_threads, cores, spare, usage

#: What a user decides it with; what is set holds.
SETTINGS = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
#: Seconds over which the load is sampled, at least.
SAMPLE = 0.1
#: Threads that find no core of their own from which on they had better sleep.
CROWDED = 0.5


@dataclass(frozen=True)
class Waiting:
    """How threads wait in this process, and why."""

    asleep: bool
    reason: str


class _Process:
    """What there is once in a process: libgomp, and when the load was first looked at."""

    begun: Usage | None = None
    waiting: Waiting | None = None


def begin() -> None:
    """Look at the load for the first time: what is imported until ``choose`` takes longer than the sample."""
    _Process.begun = usage()


def chosen() -> Waiting | None:
    """How this process's threads wait; None where it was left to libgomp."""
    return _Process.waiting


def choose() -> None:
    """Choose by the load, and import torch; where torch is there already, or the user has chosen, nothing is done."""
    if "torch" in sys.modules or any(name in os.environ for name in SETTINGS):
        return
    wanted = min(2, cores(), asked_threads() or 2)
    if wanted < 2:
        return
    _Process.waiting = decide(wanted)
    if not _Process.waiting.asleep:
        return
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
    try:
        importlib.import_module("torch")
    finally:
        # Not for the processes that this one starts: each chooses by its own time's load.
        os.environ.pop("OMP_WAIT_POLICY", None)


def decide(wanted: int) -> Waiting:
    """Whether ``wanted`` threads find a core each, by what other processes took since ``begin``."""
    before = _Process.begun or usage()
    time.sleep(max(0.0, before.when + SAMPLE - time.monotonic()))
    left = spare(before, usage())
    return Waiting(wanted - left > CROWDED, f"other processes leave {left:.1f} of {cores()} cores")


def advice(factor: float, threads: int, before: Usage) -> str:
    """What to do about updates that have become slow.

    Args:
        factor: how many times as long they take.
        threads: of this run.
        before: the processor time when this session began to look.
    """
    there, left = cores(), spare(before, usage())
    said = f"updates take {factor:.1f} times as long as at the start of this session"
    if there - left < CROWDED:
        return (
            f"{said}, though no other process takes the cores: see whether memory is short or the processor slowed down"
        )
    said = f"{said}: other processes take {there - left:.1f} of {there} cores"
    waiting = chosen()
    if threads > 1 and (waiting is None or not waiting.asleep):
        return f"{said}; stop this run and resume it: its threads then wait asleep, which suffers less from others"
    return f"{said}; end them, run fewer at a time, or give this run cores of its own"
