"""However a run of worker processes ends, none of them is left, and none of their memory."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.collectors import multi

pytestmark = pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="children are read from /proc")
#: A batch takes 0.64 s at least: two signals come in one.
RECIPE: dict[str, Any] = {
    **multi.MULTI_SYNC,
    "env": {"name": "troubled", "num_envs": 2, "pause": 0.02},
    "collector": {**multi.MULTI_SYNC["collector"], "frames_per_batch": 64},
    "trainer": {"total_frames": 1_000_000},
    "evaluation": {"every": None},
    "checkpoint": {"every": 64},
    "runtime": {"compile": "off"},
}
ASYNC = {
    **multi.MULTI_ASYNC,
    **{key: RECIPE[key] for key in ("env", "evaluation", "checkpoint", "runtime")},
    "trainer": {"total_frames": 1_000_000, "updates_per_frame": 0.15},
}


def running(recipe: dict[str, Any], folder: Path) -> tuple["subprocess.Popen[bytes]", list[int]]:
    """A run that has written a checkpoint after its first batch, and its workers."""
    file, run_dir = folder / "recipe.yaml", folder / "run"
    file.write_text(yaml.safe_dump(recipe))
    command = [sys.executable, "-m", "rlrecipe", "-q", "run", str(file), "--run-dir", str(run_dir)]
    process = subprocess.Popen(
        [*command, "--import", str(multi.TROUBLED)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        # As a terminal's: Ctrl-C goes to the whole group.
        start_new_session=True,
    )
    while len(list((run_dir / "checkpoints").glob("0*"))) < 2:
        assert process.poll() is None, process.stderr.read().decode() if process.stderr else ""
        time.sleep(0.01)
    workers = multi.children(process.pid)
    assert len(workers) == 2
    return process, workers


def ended(process: "subprocess.Popen[bytes]") -> tuple[int, str]:
    """Exit code and what was said on standard error."""
    _, said = process.communicate()
    return process.returncode, said.decode()


@pytest.mark.parametrize("recipe", [RECIPE, ASYNC], ids=["multi_sync", "multi_async"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 75)])
def test_a_signal_to_the_whole_group(recipe: dict[str, Any], number: int, code: int, tmp_path: Path) -> None:
    process, workers = running(recipe, tmp_path)
    os.killpg(process.pid, number)
    assert ended(process)[0] == code
    assert not any(multi.alive(pid) for pid in workers)
    status = json.loads((tmp_path / "run/status.json").read_text())
    assert status["state"] == "stopped"
    assert status["frames"] == int(status["checkpoint"].split("-")[0])


def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    process, workers = running(RECIPE, tmp_path)
    os.killpg(process.pid, signal.SIGTERM)
    # Apart: two of a kind that nobody has seen yet are one.
    time.sleep(0.1)
    os.killpg(process.pid, signal.SIGTERM)
    assert ended(process)[0] == 143
    multi.wait_until_gone(workers)


@pytest.mark.parametrize("recipe", [RECIPE, ASYNC], ids=["multi_sync", "multi_async"])
def test_a_killed_run_leaves_no_worker(recipe: dict[str, Any], tmp_path: Path) -> None:
    process, workers = running(recipe, tmp_path)
    process.kill()
    code, said = ended(process)
    assert code == -signal.SIGKILL
    multi.wait_until_gone(workers)
    assert said == ""


@pytest.mark.parametrize("recipe", [RECIPE, ASYNC], ids=["multi_sync", "multi_async"])
def test_a_killed_worker_ends_the_run_with_one_line(recipe: dict[str, Any], tmp_path: Path) -> None:
    process, workers = running(recipe, tmp_path)
    os.kill(workers[1], signal.SIGKILL)
    code, said = ended(process)
    assert code == 1
    assert len(said.splitlines()) == 1
    assert f"process {workers[1]}) was ended by SIGKILL" in said
    assert not any(multi.alive(pid) for pid in workers)
    assert json.loads((tmp_path / "run/status.json").read_text())["state"] == "failed"
