import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import yaml

from tests import small

#: Long enough that a process cannot end between the row that is waited for and the kill.
RECIPE = {
    **small.STATEFUL,
    "trainer": {"total_frames": 8192, "log_interval": 100},
    "evaluation": {"every": 2000, "episodes": 2},
    "checkpoint": {"every": 2048},
    "loggers": ["csv"],
}


def rlrecipe(*arguments: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "rlrecipe", "-q", *arguments]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def frames_of_last_row(run_dir: Path) -> int:
    metrics = run_dir / "metrics.jsonl"
    complete = metrics.read_bytes().rpartition(b"\n")[0].splitlines() if metrics.is_file() else []
    return int(json.loads(complete[-1])["frames"]) if complete else 0


def newest_checkpoint(run_dir: Path) -> int:
    return max((int(path.name[:12]) for path in (run_dir / "checkpoints").glob("0*")), default=0)


def test_a_process_killed_between_two_checkpoints_is_resumed_exactly(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(RECIPE))
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    small.train(RECIPE, whole)
    with rlrecipe("run", str(recipe), "--run-dir", str(killed)) as process:
        # A row that is newer than the checkpoint before it has to be cut.
        while not 0 < newest_checkpoint(killed) < frames_of_last_row(killed):
            assert process.poll() is None, process.stderr.read().decode() if process.stderr else ""
            time.sleep(0.001)
        os.kill(process.pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert json.loads((killed / "status.json").read_text())["state"] == "running"
    with rlrecipe("resume", str(killed)) as process:
        assert process.wait() == 0
    assert small.outcome_of(killed) == small.outcome_of(whole)
