"""``rlrecipe verify`` and ``rlrecipe replay``."""

import shutil
from pathlib import Path

import pytest

from tests import small
from tests.cli.command import Commands


@pytest.fixture
def run(finished_run: Path, tmp_path: Path) -> Path:
    return shutil.copytree(finished_run, tmp_path / "finished")


def test_a_sound_run_is_verified(rlrecipe: Commands, run: Path) -> None:
    answer = rlrecipe("verify", str(run), "--sample", "2", "--json")
    assert answer.code == 0
    assert answer.json["verified"] is True
    assert [stretch["difference"] for stretch in answer.json["stretches"]] == [None, None]
    assert "2 stretches are the same" in rlrecipe("verify", str(run), "--sample", "2").out


def test_a_changed_checkpoint_ends_with_1_and_is_named(rlrecipe: Commands, run: Path) -> None:
    file = sorted((run / "checkpoints").glob("0*"))[-1] / "policy.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    answer = rlrecipe("verify", str(run))
    assert answer.code == 1
    assert f"{file} does not match its digest" in answer.err
    assert "1 of 8 stretches differ" in answer.err


def test_a_stretch_is_replayed_into_the_run(rlrecipe: Commands, run: Path) -> None:
    answer = rlrecipe("replay", str(run), "--frames", "130:300", "--hook", "nan_guard")
    assert answer.code == 0
    assert (run / "replays/128-300/metrics.jsonl").is_file()
    assert "metrics.jsonl" in answer.out
    assert small.rows(run / "replays/128-300")


@pytest.mark.parametrize("frames", ["5", "9:3", "a:b", ":", "-1:4", "3:3"])
def test_a_wrong_stretch_is_refused(rlrecipe: Commands, run: Path, frames: str) -> None:
    answer = rlrecipe("replay", str(run), f"--frames={frames}")
    assert answer.code == 2
    assert "such as 50000:60000" in answer.err


def test_a_folder_without_checkpoints_is_refused(rlrecipe: Commands, tmp_path: Path) -> None:
    answer = rlrecipe("verify", str(tmp_path))
    assert answer.code == 2
    assert "is no run directory: it has no resolved.yaml" in answer.err
    (tmp_path / "resolved.yaml").touch()
    answer = rlrecipe("verify", str(tmp_path))
    assert answer.code == 2
    assert "has 0 checkpoints: there is nothing to compare with" in answer.err
