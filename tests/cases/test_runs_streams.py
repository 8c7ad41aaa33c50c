"""Training and its records do not depend on who listens; an answer is one document whatever simulators print."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import rlrecipe as package
from rlrecipe.runs.progress import Display, Listener
from tests import processes, small
from tests.cli.command import Commands
from tests.cli.conftest import rlrecipe as rlrecipe
from tests.runs.test_full_disk import files_of_at_most

SHORT = {**small.CARTPOLE, "trainer": {"total_frames": 128}, "evaluation": {"episodes": 2}}
NOISY = '''
"""Simulators print from C, from processes of their own, and from Python."""
import ctypes, os, subprocess, sys
import gymnasium as gym
import numpy as np

os.write(1, b"NOISE\\n")

class Noisy(gym.Env):
    def __init__(self, render_mode=None):
        self.observation_space = gym.spaces.Box(-1, 1, (3,), np.float32)
        self.action_space = gym.spaces.Discrete(2)
        os.write(1, b"NOISE\\n")
        sys.__stdout__.write("NOISE\\n")
        sys.__stdout__.flush()
        ctypes.CDLL(None).puts(b"NOISE")

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        print("NOISE")
        return self.np_random.uniform(-1, 1, 3).astype(np.float32), {}

    def step(self, action):
        self.t += 1
        os.write(1, b"NOISE\\n")
        return self.np_random.uniform(-1, 1, 3).astype(np.float32), 1.0, self.t == 20, False, {}

    def close(self):
        subprocess.run(["echo", "NOISE"])

gym.register("Noisy-v0", Noisy)
'''


def written(folder: Path, content: Any) -> Path:
    file = folder / "recipe.yaml"
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    return file


@pytest.mark.parametrize("streams", ["2>/dev/full", ">/dev/full", "2>&1 | head -n 1", "--json >/dev/full 2>/dev/full"])
def test_a_run_ends_well_whoever_listens(streams: str, tmp_path: Path) -> None:
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; rlrecipe run {written(tmp_path, SHORT)} --run-dir run {streams}"],
        cwd=tmp_path,
        env=processes.environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "run/status.json").read_text(encoding="utf-8"))["state"] == "finished"
    assert small.rows(tmp_path / "run")[-1]["frames"] == 128
    if streams == ">/dev/full":
        assert "standard output cannot be written: No space left on device; what it would have said" in done.stderr


def test_a_run_without_any_stream_in_a_locale_that_knows_no_accents(tmp_path: Path) -> None:
    # An interpreter of its own: closed descriptors and encodings are what it starts with.
    folder = tmp_path / "läufe"
    folder.mkdir()
    command = f'"{sys.executable}" -m rlrecipe run "$1" --run-dir läufe/a <&- >&- 2>&-'
    done = subprocess.run(
        ["bash", "-c", command, "bash", written(folder, SHORT)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(processes.ROOT), "PYTHONIOENCODING": "ascii", "LC_ALL": "C"},
    )
    assert done.returncode == 0
    assert json.loads((folder / "a/status.json").read_text(encoding="utf-8"))["state"] == "finished"
    assert "läufe/a: ppo-cartpole-v1" in (folder / "a/run.log").read_text(encoding="utf-8")


def test_an_answer_that_cannot_be_written_is_no_success(tmp_path: Path) -> None:
    for words, code in (
        ("list > /dev/full", 1),
        ("run --help > /dev/full", 1),
        ("list | head -n 1 | grep -q .", 0),
        ("list >&-", 0),
    ):
        command = f'set -o pipefail; "{sys.executable}" -m rlrecipe {words}'
        done = subprocess.run(
            ["bash", "-c", command],
            env={**os.environ, "PYTHONPATH": str(processes.ROOT)},
            stderr=subprocess.PIPE,
            text=True,
        )
        assert (words, done.returncode) == (words, code)
        expected = "standard output cannot be written: No space left on device\n" if code else ""
        assert done.stderr == expected


class Broken(io.StringIO):
    """A stream of a program that uses rlrecipe, whose reader is gone or which is closed."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def write(self, text: str, /) -> int:
        raise self.error

    def flush(self) -> None:
        raise self.error

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    "stream", [Broken(OSError(5, "Input/output error")), Broken(BrokenPipeError()), Broken(ValueError("closed")), None]
)
def test_in_python_training_does_not_depend_on_standard_error(
    stream: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # A terminal, too, where a bar is drawn from another thread.
    monkeypatch.setattr(sys, "stderr", stream)
    result = package.train(SHORT, tmp_path / "run", quiet=False)
    assert result.outcome.state == "finished"


def test_what_an_encoding_does_not_know_is_shown_as_escapes(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), "ascii")
    monkeypatch.setattr(sys, "stderr", stream)
    Display().say("süß")
    stream.flush()
    assert stream.buffer.getvalue() == b"s\\xfc\\xdf\n"
    assert Listener().encoding == "ascii"


def test_lines_that_find_no_room_in_run_log_cost_no_run(tmp_path: Path) -> None:
    display = Display(quiet=True)
    display.log_to(tmp_path / "run.log")
    with files_of_at_most(0):
        display.say("the disk is full")
    display.log_to(tmp_path / "gone/run.log")
    display.say("so is its folder")


def test_json_is_one_document_whatever_an_environment_prints(tmp_path: Path) -> None:
    (tmp_path / "noisy.py").write_text(NOISY, encoding="utf-8")
    written(tmp_path, small.changed(SHORT, ("env", "env_name"), "Noisy-v0"))
    workers = ("-s", "collector.name=multi_sync", "-s", "collector.num_workers=2")
    for words in (
        ("run", "recipe.yaml", "--run-dir", "run", "--json", *workers, "-s", "collector.frames_per_batch=64"),
        ("evaluate", "run", "-n", "2", "--json"),
        ("validate", "recipe.yaml", "--format", "json"),
        ("run", "recipe.yaml", "--json", "-s", "algorithm.gama=1"),
    ):
        done = processes.rlrecipe(*words, "--import", "noisy.py", cwd=tmp_path)
        assert isinstance(json.loads(done.out), dict), words
        assert "NOISE" in done.err
    shown = processes.rlrecipe("show", "recipe.yaml", "--import", "noisy.py", cwd=tmp_path)
    assert "NOISE" not in shown.out
    assert yaml.safe_load(shown.out)["name"] == "ppo-noisy-v0"


def test_a_shown_recipe_is_utf_8_in_any_locale(tmp_path: Path) -> None:
    recipe = written(tmp_path, small.changed(SHORT, ("env", "kwargs"), {"render_mode": "süß"}))
    done = subprocess.run(
        [sys.executable, "-m", "rlrecipe", "show", recipe],
        env={**os.environ, "PYTHONPATH": str(processes.ROOT), "PYTHONIOENCODING": "iso-8859-1"},
        stdout=subprocess.PIPE,
    )
    assert "süß" in done.stdout.decode()


def test_an_option_in_utf_8_means_the_same_in_any_locale(rlrecipe: Commands) -> None:
    # As Python decodes the two bytes of an accent where the locale is ASCII.
    recipe = "loggers=[{name: csv, exp_name: caf\udcc3\udca9}]"
    assert "exp_name: café" in rlrecipe("show", "ppo/cartpole", "-s", recipe).out


def test_the_home_in_every_path(rlrecipe: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(rlrecipe.folder))
    rlrecipe.recipe(SHORT)
    (rlrecipe.folder / "own.py").touch()
    assert rlrecipe("run", "~/recipe.yaml", "--run-dir=~/runs/a", "--import=~/own.py").code == 0
    assert rlrecipe("resume", "~/runs/a", "--import=~/own.py").code == 0
    assert rlrecipe("status", "~/runs/a").code == 0
    assert rlrecipe("validate", "--static", "~/recipe.yaml").code == 0
    assert rlrecipe("evaluate", "~/runs/a", "-n", "1", "--video=~/film.mp4", "--import=~/own.py").code == 0
    assert rlrecipe("run", "~/recipe.yaml", "--run-dir=~/b", "--init-from=~/runs/a").code == 0
    package.train("~/recipe.yaml", "~/c", init_from=Path("~/b"))
    assert package.load_policy("~/c").checkpoint is not None
    made = {path.name for path in rlrecipe.folder.iterdir() if not path.name.startswith("__")}
    assert made == {"recipe.yaml", "own.py", "runs", "film.mp4", "b", "c"}


def test_a_terminal_that_is_gone_costs_no_run(tmp_path: Path) -> None:
    written(tmp_path, SHORT)
    ours, theirs = os.openpty()
    with subprocess.Popen(
        [processes.program(), "run", "recipe.yaml", "--run-dir", "run"],
        cwd=tmp_path,
        env=processes.environment(),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        # Nobody is at the other end any more: writing fails with EIO.
        os.close(ours)
        assert process.wait() == 0
    assert json.loads((tmp_path / "run/status.json").read_text(encoding="utf-8"))["state"] == "finished"
