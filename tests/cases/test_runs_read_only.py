"""Run folders that this user may read, and not write to."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rlrecipe.cli import main
from tests import small

#: What users own nothing.
NOBODY = 65534
RECIPE = {**small.CARTPOLE, "evaluation": {"episodes": 1}, "trainer": {"total_frames": 128}, "loggers": []}


@contextmanager
def without_rights() -> Iterator[None]:
    """As a user for whom permissions count; the rights of root come back afterwards."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where everybody may look, unlike pytest's own folder."""
    path = Path(tempfile.mkdtemp())
    path.chmod(0o755)
    yield path
    for each in [path, *path.rglob("*")]:
        each.chmod(each.stat().st_mode | 0o700)
    shutil.rmtree(path)


def read_only(path: Path) -> Path:
    for each in [path, *path.rglob("*")]:
        each.chmod(0o555 if each.is_dir() else 0o444)
    return path


def content(path: Path) -> dict[str, bytes]:
    return {str(file): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def test_a_finished_run_is_left_as_it_is(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_dir, recipe = folder / "run", folder / "recipe.yaml"
    recipe.write_text(small.dump_of(RECIPE))
    small.train(RECIPE, run_dir)
    # With rights first: what is imported late may lie where only they reach.
    commands = [
        ("resume", str(run_dir)),
        ("run", str(recipe), "--run-dir", str(run_dir), "--continue"),
        ("resume", str(run_dir / "checkpoints/000000000128-0000000008")),
        ("status", "--json", str(run_dir)),
    ]
    assert [main(command) for command in commands] == [0, 0, 0, 0]
    before = content(read_only(run_dir))
    capsys.readouterr()
    with without_rights():
        assert [main(command) for command in commands[:3]] == [0, 0, 0]
        assert capsys.readouterr().err.count("is finished; there is nothing to resume") == 3
        assert main(commands[3]) == 0
    assert json.loads(capsys.readouterr().out)["state"] == "finished"
    assert content(run_dir) == before


@pytest.mark.parametrize("closed", ["", "checkpoints", "metrics.jsonl", ".lock"])
def test_a_run_that_would_go_on_says_what_it_cannot_write(
    closed: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_dir = folder / "run"
    small.train(RECIPE, run_dir, "trainer.time_limit=64")
    for each in [run_dir, *run_dir.rglob("*")]:
        each.chmod(0o777 if each.is_dir() else 0o666)
    (run_dir / closed).chmod(0o555 if (run_dir / closed).is_dir() else 0o444)
    with without_rights():
        assert main(["resume", str(run_dir)]) == 2
    said = capsys.readouterr().err
    assert f"{run_dir / closed} cannot be written (Permission denied): a run goes on in its own folder" in said
    assert "cp -r" in said
    if not closed:
        with without_rights():
            assert main(["replay", str(run_dir), "--frames", "1:64"]) == 2
        assert capsys.readouterr().err == said
    small.train(RECIPE, folder / "whole")
    copied = shutil.copytree(run_dir, folder / "copy")
    for each in [copied, *copied.rglob("*")]:
        each.chmod(0o755 if each.is_dir() else 0o644)
    assert small.go_on(copied, "trainer.time_limit=null").outcome.code == 0
    assert small.outcome_of(copied) == small.outcome_of(folder / "whole")
