"""Every logger at once, in a process that is killed and in the one that goes on."""

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.loggers.readers import Series, by_experiment, csv_series, read_tensorboard
from tests.resume.test_killed_process import RECIPE, frames_of_last_row, newest_checkpoint, rlrecipe


def wanted(run_dir: Path) -> Series:
    series: Series = {}
    for row in map(json.loads, (run_dir / "metrics.jsonl").read_text().splitlines()):
        for key, value in row.items():
            if key not in ("frames", "updates") and value is not None:
                series.setdefault(key, []).append((row["frames"], value))
    return series


def processes_with(text: str) -> list[str]:
    """Command lines of running processes."""
    found: list[str] = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        found += [line] if text in line else []
    return found


def identities(run_dir: Path) -> list[Any]:
    return [json.loads((run_dir / name / "run.json").read_text()) for name in ("mlflow", "wandb")]


def test_a_killed_run_goes_on_in_the_same_experiments_with_each_row_once(tmp_path: Path) -> None:
    recipe, run_dir = tmp_path / "recipe.yaml", tmp_path / "killed"
    apart = [{"name": name, "exp_name": each} for name in ("mlflow", "wandb") for each in ("first", "second")]
    recipe.write_text(yaml.safe_dump({**RECIPE, "loggers": ["csv", "tensorboard", *apart]}))
    with rlrecipe("run", str(recipe), "--run-dir", str(run_dir)) as process:
        while not 0 < newest_checkpoint(run_dir) < frames_of_last_row(run_dir):
            assert process.poll() is None, process.stderr.read().decode() if process.stderr else ""
            time.sleep(0.001)
        os.kill(process.pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    before = identities(run_dir)
    with rlrecipe("resume", str(run_dir)) as resumed:
        assert resumed.wait() == 0
    assert identities(run_dir) == before
    rows = wanted(run_dir)
    assert len(rows["loss/policy"]) > 20
    written = by_experiment(run_dir)
    assert written.keys() == {(each["name"], each["exp_name"]) for each in apart}
    for name, found in [("csv", csv_series(run_dir)), ("tensorboard", read_tensorboard(run_dir)), *written.items()]:
        assert found.keys() == rows.keys(), name
        for key, series in rows.items():
            expected: Any = [(step, pytest.approx(value)) for step, value in series]
            assert found[key] == expected, (name, key)
    for pid in (process.pid, resumed.pid):
        deadline = time.monotonic() + 60
        # Wandb's own process sees that its parent is gone.
        while processes_with(f"--pid {pid} "):
            assert time.monotonic() < deadline, processes_with(f"--pid {pid} ")
            time.sleep(0.1)
