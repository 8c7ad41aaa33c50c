"""A run folder from a stranger: nothing in it leads elsewhere."""

import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rlrecipe import load_policy
from rlrecipe.checkpoint.store import CheckpointStore
from rlrecipe.cli import main
from rlrecipe.system.files import UnsafeFileError
from tests import small


@pytest.fixture
def run_dir(finished_run: Path, tmp_path: Path) -> Path:
    """A finished run that belongs to the test."""
    return Path(shutil.copytree(finished_run, tmp_path / "runs/run"))


#: What a link may take the place of; ``*`` stands for the newest checkpoint's folder.
PLACES = (
    "run.log", ".lock", "metrics.jsonl", "episodes.jsonl", "status.json", "summary.json", "resolved.yaml",
    "recipe.yaml", "csv", "csv/metrics.csv", "tensorboard", "mlflow", "mlflow/mlflow.db", "wandb/run.json", "videos",
    "imports", "checkpoints", "checkpoints/latest", "checkpoints/best", "checkpoints/*",
    "checkpoints/*/policy.safetensors",
    "checkpoints/*/manifest.json", "checkpoints/damaged",
)  # fmt: skip
COMMANDS: dict[str, Callable[[Path], list[str]]] = {
    "resume": lambda run: ["resume", f"{run}", "-s", "trainer.total_frames=576"],
    "continue": lambda run: ["run", f"{run}/recipe.yaml", "--run-dir", f"{run}", "--continue"],
    "evaluate": lambda run: ["evaluate", f"{run}", "-n", "1"],
    "verify": lambda run: ["verify", f"{run}", "--sample", "1"],
    "replay": lambda run: ["replay", f"{run}", "--frames", "100:200"],
    "status": lambda run: ["status", f"{run}"],
    "checkpoint": lambda run: ["evaluate", f"{run}/checkpoints/{newest(run)}", "-n", "1"],
}


def newest(run_dir: Path) -> str:
    return sorted(path.name for path in (run_dir / "checkpoints").iterdir() if path.name.startswith("0"))[-1]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def lead_elsewhere(run_dir: Path, place: str) -> Path:
    """Move what is at a place out of the run, and leave a link to it; what it leads to."""
    path = run_dir / place.replace("*", newest(run_dir))
    outside = run_dir.parent.parent / "elsewhere"
    path.parent.mkdir(exist_ok=True)
    if path.exists():
        path.rename(outside)
    else:
        outside.write_text("the user's own\n")
    path.symlink_to(outside)
    return path


#: Every place by one command, and every command in some places.
CASES = [("resume", place) for place in PLACES]
CASES += [(command, place) for command in COMMANDS for place in ("run.log", "checkpoints/*", PLACES[-2])]


@pytest.mark.parametrize(("command", "place"), sorted(set(CASES)))
def test_a_link_in_a_run_is_refused_and_named(
    command: str, place: str, run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = COMMANDS[command](run_dir)
    link = lead_elsewhere(run_dir, place)
    before = contents(run_dir.parent.parent)
    assert main(words) == 2
    said = capsys.readouterr().err
    assert f"{link} is a link to" in said
    assert "Error" not in said
    assert contents(run_dir.parent.parent) == before


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("place", ["status.json", "checkpoints/*/state.json"])
def test_a_pipe_in_a_run_is_refused_and_named(
    command: str, place: str, run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = run_dir / place.replace("*", newest(run_dir))
    words = COMMANDS[command](run_dir)
    path.unlink()
    os.mkfifo(path)
    assert main(words) == 2
    assert f"{path} is no file but a named pipe" in capsys.readouterr().err


def test_a_link_in_a_run_is_refused_by_load_policy(run_dir: Path) -> None:
    lead_elsewhere(run_dir, "checkpoints")
    for path in (run_dir, run_dir / "checkpoints" / newest(run_dir)):
        with pytest.raises(UnsafeFileError, match="checkpoints is a link"):
            load_policy(path)


def test_links_on_the_way_to_a_run_are_fine(run_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "disk").symlink_to(run_dir.parent)
    (tmp_path / "mine").symlink_to(run_dir)
    (tmp_path / "policy").symlink_to(run_dir / "checkpoints" / newest(run_dir))
    for path in (tmp_path / "disk/run", tmp_path / "mine", tmp_path / "policy"):
        assert load_policy(path).checkpoint == newest(run_dir)
    assert main(["resume", str(tmp_path / "mine"), "-s", "trainer.total_frames=576"]) == 0
    capsys.readouterr()
    assert CheckpointStore(run_dir / "checkpoints").pointer("latest") == "000000000576-0000000036"


def test_a_copy_of_a_run_made_of_links_keeps_what_it_has(finished_run: Path, run_dir: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(run_dir, copy, copy_function=os.link)
    before = contents(copy)
    assert main(["-q", "resume", str(run_dir), "-s", "trainer.total_frames=576"]) == 0
    assert contents(copy) == before


# -- text and permissions


def test_files_are_utf8_and_for_the_group_whatever_the_locale(tmp_path: Path) -> None:
    """A process of its own: what Python makes of the locale is settled when it starts."""
    name = "é日"
    recipe = {**small.CARTPOLE, "runtime": {"compile": "off"}}
    recipe["loggers"] = [{"name": "csv", "exp_name": name}, "tensorboard", "mlflow"]
    small_recipe = {**recipe, "trainer": {"total_frames": 64}, "evaluation": {"episodes": 1}}
    (tmp_path / "r.yaml").write_text(json.dumps(small_recipe, ensure_ascii=False), encoding="utf-8")
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONPATH": str(Path.cwd())}
    commands = ["run r.yaml --run-dir run", "resume run -s trainer.total_frames=128"]
    for command in commands:
        done = subprocess.run(
            [sys.executable, "-m", "rlrecipe", "-q", *command.split()],
            cwd=tmp_path,
            env={**os.environ, **ascii_only},
            capture_output=True,
            umask=0o002,
        )
        assert done.returncode == 0, done.stderr
    assert name in (tmp_path / "run/resolved.yaml").read_text("utf-8")
    assert (tmp_path / "run/csv" / name / "metrics.csv").is_file()
    for path in (tmp_path / "run", *(tmp_path / "run").rglob("*")):
        expected = 0o775 if path.is_dir() else 0o664
        assert stat.S_IMODE(path.stat().st_mode) == expected, path
