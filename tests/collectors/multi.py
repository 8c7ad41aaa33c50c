"""Recipes whose frames worker processes collect, and what is left of such processes."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests import small

TROUBLED = Path(__file__).parents[1] / "fixtures/troubled.py"
#: Four batches of 64 frames by two processes.
SHORT = {"total_frames": 256, "log_interval": 64}
MULTI_SYNC: dict[str, Any] = {
    **small.CARTPOLE,
    "env": {"env_name": "CartPole-v1", "num_envs": 3},
    "algorithm": {"name": "ppo", "num_epochs": 2, "minibatch_size": 32},
    "collector": {"name": "multi_sync", "num_workers": 2, "frames_per_batch": 96},
    "trainer": {"total_frames": 384, "log_interval": 96},
    "checkpoint": {"every": 96, "keep_last": 100},
}
MULTI_ASYNC: dict[str, Any] = {
    **small.DQN,
    "collector": {"name": "multi_async", "num_workers": 2, "frames_per_batch": 64, "init_random_frames": 64},
    "trainer": {**SHORT, "updates_per_frame": 0.15},
}


def pids(collector: Any) -> list[int]:
    """Of a collector's processes."""
    return [worker.process.pid for worker in collector.workers]


def children(pid: int) -> list[int]:
    """Processes that a process has started and that still run."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def alive(pid: int) -> bool:
    """Whether a process is there and is not merely waiting to be read."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until_gone(processes: Iterable[int]) -> None:
    """Wait for processes that are about to end; a test that waits for ever fails by its own time limit."""
    while any(alive(pid) for pid in processes):
        time.sleep(0.01)


def open_files() -> set[str]:
    """What of this package's shared memory this process has open."""
    # The last batch over a memory may be part of a cycle.
    gc.collect()
    found = set()
    for descriptor in os.listdir("/proc/self/fd"):  # noqa: PTH208 - a Path of each would follow it
        try:
            found.add(os.readlink(f"/proc/self/fd/{descriptor}"))  # noqa: PTH115 - likewise
        except OSError:
            continue
    return {name for name in found if "memfd:rlrecipe" in name}
