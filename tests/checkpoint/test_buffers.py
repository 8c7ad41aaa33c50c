"""Runs whose state has pieces: resumed, verified, damaged, and gone on with without them."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import rlrecipe
from rlrecipe.checkpoint.store import CheckpointStore, NoCheckpoint
from rlrecipe.cli.status import size
from rlrecipe.recipe.load import load
from rlrecipe.runs.load_policy import find_checkpoint
from rlrecipe.runs.verify import verify
from tests import small
from tests.checkpoint.shelf import RECIPE, chunk, flip, register_shelf
from tests.cli.command import Commands


@pytest.fixture(autouse=True)
def shelf(own_components: None) -> None:
    register_shelf()


@pytest.fixture
def stopped(tmp_path: Path) -> Path:
    """A run that stopped after four of its eight batches, with a chunk that three of its checkpoints share."""
    small.train(RECIPE, tmp_path / "run", "trainer.time_limit=256")
    return tmp_path / "run"


@pytest.fixture
def rlrecipe_command(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    monkeypatch.chdir(tmp_path)
    return Commands(capsys, tmp_path)


def level(run_dir: Path) -> tuple[str, str]:
    """Of the newest checkpoint and of the run; the reason."""
    manifest = find_checkpoint(run_dir).manifest
    status = json.loads((run_dir / "status.json").read_text())
    assert manifest["exact"] == status["exact"]
    return manifest["exact"], manifest["exact_reason"]


def forget_the_first(run_dir: Path) -> None:
    """Remove the checkpoints from before a chunk was full, as pruning has done in a longer run."""
    for old in CheckpointStore(run_dir / "checkpoints").names()[:2]:
        shutil.rmtree(run_dir / "checkpoints" / old)


# -- undamaged


@pytest.mark.parametrize("backend", ["safetensors", "torch", "dcp"])
def test_checkpoints_of_a_run_share_what_did_not_change(backend: str, tmp_path: Path) -> None:
    small.train(RECIPE, tmp_path / "run", f"checkpoint.backend={backend}")
    # A checkpoint after each of eight batches, of which two fill a chunk.
    assert [chunk(tmp_path / "run", i).stat().st_nlink for i in range(4)] == [7, 5, 3, 1]
    assert chunk(tmp_path / "run", 0, 1).stat().st_ino != chunk(tmp_path / "run", 0, 2).stat().st_ino


def test_a_run_killed_anywhere_ends_as_the_one_that_was_not(tmp_path: Path) -> None:
    whole, killed = small.snapshots(RECIPE, tmp_path, "loggers=[csv]")
    for run_dir in killed:
        assert small.go_on(run_dir).outcome.code == 0
        assert small.outcome_of(run_dir) == small.outcome_of(whole), run_dir.name
        assert [chunk(run_dir, i).read_bytes() for i in range(4)] == [chunk(whole, i).read_bytes() for i in range(4)]
    assert level(whole)[0] == "exact"


def test_a_resumed_run_links_what_it_read(stopped: Path) -> None:
    before = chunk(stopped, 0).stat().st_ino
    small.go_on(stopped, "trainer.time_limit=null")
    assert chunk(stopped, 0).stat().st_ino == before
    assert chunk(stopped, 3).is_file()


def test_a_run_is_verified_with_its_pieces(tmp_path: Path) -> None:
    small.train(RECIPE, tmp_path / "run")
    assert [stretch.difference for stretch in verify(tmp_path / "run").stretches] == [None] * 8


def test_a_piece_that_comes_out_differently_is_named(tmp_path: Path) -> None:
    secret = {**RECIPE, "hooks": [{"name": "shelf", "secret": True}]}
    small.train(secret, tmp_path / "run", "checkpoint.every=256")
    found = [stretch.difference for stretch in verify(tmp_path / "run").stretches]
    assert found[0] is not None
    assert "shelf.chunks.0.observation (shelf.chunks.0.safetensors, shelf.chunks.1.safetensors)" in found[0]


def test_a_stretch_that_begins_at_a_damaged_piece_says_so(tmp_path: Path) -> None:
    small.train(RECIPE, tmp_path / "run")
    flip(chunk(tmp_path / "run", 3))
    found = [stretch.difference for stretch in verify(tmp_path / "run").stretches]
    assert found[:-1] == [None] * 7
    assert "shelf.chunks.3.safetensors does not match its digest" in str(found[-1])


def test_only_kept_checkpoints_hold_their_chunks(tmp_path: Path) -> None:
    small.train(RECIPE, tmp_path / "run", "checkpoint.keep_last=1", "checkpoint.keep_best=false")
    assert [chunk(tmp_path / "run", i).stat().st_nlink for i in range(4)] == [1, 1, 1, 1]
    small.go_on(tmp_path / "run", "trainer.total_frames=576")
    assert chunk(tmp_path / "run", 4).is_file()


def test_status_counts_a_shared_file_once(tmp_path: Path) -> None:
    small.train(RECIPE, tmp_path / "run")
    copy = shutil.copytree(tmp_path / "run", tmp_path / "copy")
    files = {file.stat().st_ino: file.stat().st_size for file in (tmp_path / "run").rglob("*") if file.is_file()}
    assert size(tmp_path / "run") == sum(files.values())
    # A copy has each file once for every name.
    assert size(copy) - size(tmp_path / "run") == 12 * chunk(copy, 0).stat().st_size


# -- damaged


def test_damage_in_a_shared_piece_ends_with_5_and_names_the_cure(
    rlrecipe_command: Commands, stopped: Path, tmp_path: Path
) -> None:
    flip(chunk(stopped, 0))
    forget_the_first(stopped)
    before = sorted(path.name for path in (stopped / "checkpoints").iterdir())
    file = rlrecipe_command.recipe({**RECIPE, "trainer": {**RECIPE["trainer"], "time_limit": 256}})
    for command in (("resume", stopped), ("run", file, "--run-dir", stopped, "--continue")):
        answer = rlrecipe_command(*command)
        assert answer.code == 5
        assert f"{chunk(stopped, 0)} does not match its digest" in answer.err
        assert answer.err.endswith(f"\n  rlrecipe resume {stopped} --without-buffer\n")
        assert "Traceback" not in answer.err
    assert sorted(path.name for path in (stopped / "checkpoints").iterdir()) == before
    answer = rlrecipe_command("resume", stopped, "--without-buffer", "-s", "trainer.time_limit=null")
    assert answer.code == 0
    assert "warning: the shelf starts empty" in answer.err
    assert level(stopped) == ("continue", "the shelf starts empty")
    assert json.loads((stopped / "summary.json").read_text())["exact"] == "continue"
    assert {row.get("frames") for row in small.rows(stopped)} >= {128, 256, 512}
    # From here on it is a run like any other, but for its level.
    assert rlrecipe_command("resume", stopped, "-s", "trainer.total_frames=576").code == 0
    assert level(stopped)[0] == "continue"
    assert "the level is continue" in str([stretch.unproved for stretch in verify(stopped).stretches][-1])


def test_damage_in_a_piece_of_its_own_costs_nothing_but_the_way_from_the_checkpoint_before(
    rlrecipe_command: Commands, stopped: Path, tmp_path: Path
) -> None:
    small.train(RECIPE, tmp_path / "whole")
    flip(chunk(stopped, 1))
    answer = rlrecipe_command("resume", stopped, "-s", "trainer.time_limit=null")
    assert answer.code == 0
    assert "shelf.chunks.1.safetensors does not match its digest; moved to" in answer.err
    assert small.outcome_of(stopped) == small.outcome_of(tmp_path / "whole")
    assert level(stopped)[0] == "exact"


@pytest.mark.parametrize("recipe", [RECIPE, {**RECIPE, "hooks": [{"name": "shelf", "silent": True}]}])
def test_the_buffer_may_be_left_out_of_a_checkpoint_that_is_sound(recipe: dict[str, Any], tmp_path: Path) -> None:
    """Whether or not the piece's owner says anything."""
    run_dir = tmp_path / "run"
    small.train(recipe, run_dir, "trainer.time_limit=256")
    small.go_on(run_dir, "trainer.time_limit=null", without_buffer=True)
    assert level(run_dir)[0] == "continue"
    assert "starts empty" in level(run_dir)[1] or "--without-buffer" in level(run_dir)[1]
    assert chunk(run_dir, 1).is_file()
    assert not chunk(run_dir, 2).exists()


def test_a_run_without_a_buffer_loses_nothing_by_leaving_it_out(tmp_path: Path) -> None:
    small.train(small.CARTPOLE, tmp_path / "run", "trainer.time_limit=200")
    small.go_on(tmp_path / "run", "trainer.time_limit=null", without_buffer=True)
    assert level(tmp_path / "run")[0] == "exact"


def test_a_checkpoint_that_was_named_is_not_replaced_by_another(rlrecipe_command: Commands, stopped: Path) -> None:
    flip(chunk(stopped, 1))
    newest = chunk(stopped, 1).parent.relative_to(rlrecipe_command.folder)
    answer = rlrecipe_command("resume", newest)
    assert answer.code == 5
    assert f"{newest}/shelf.chunks.1.safetensors does not match its digest" in answer.err
    assert answer.err.endswith(f"\n  rlrecipe resume {newest} --without-buffer\n")
    assert newest.is_dir()
    assert rlrecipe_command("resume", newest, "--without-buffer", "-s", "trainer.time_limit=null").code == 0
    assert level(stopped)[0] == "continue"


def test_a_damaged_piece_keeps_nobody_from_the_policy(rlrecipe_command: Commands, stopped: Path) -> None:
    flip(chunk(stopped, 0))
    flip(chunk(stopped, 1))
    newest = chunk(stopped, 0).parent
    for path in (stopped, newest):
        assert rlrecipe_command("evaluate", path, "-n", "1", "--json").json["checkpoint"] == newest.name
        assert rlrecipe.load_policy(path).checkpoint == newest.name
    best = rlrecipe.load_policy(stopped, best=True)
    assert best.checkpoint == CheckpointStore(stopped / "checkpoints").pointer("best")
    assert small.train(RECIPE, stopped.parent / "new", init_from=stopped).outcome.code == 0


# -- left out of every checkpoint


def test_the_recipe_may_leave_the_buffer_out() -> None:
    assert load(RECIPE).recipe.checkpoint.include_buffer is True
    assert load(RECIPE, ["checkpoint.include_buffer=false"]).recipe.checkpoint.include_buffer is False
    meaning = type(load(RECIPE).recipe.checkpoint).model_fields["include_buffer"].description or ""
    assert "empty" in meaning
    assert "level continue" in meaning


def test_whether_the_buffer_is_left_out_may_change_when_a_run_goes_on(tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    small.train(small.DQN, run_dir, "trainer.time_limit=200")
    with_rows = set((run_dir / "checkpoints").glob("*/replay_buffer.chunks*"))
    assert with_rows
    result = small.go_on(run_dir, "trainer.time_limit=null", "checkpoint.include_buffer=false")
    assert result.summary["exact"] == "continue"
    assert len(CheckpointStore(run_dir / "checkpoints").names()) > len(with_rows)
    assert set((run_dir / "checkpoints").glob("*/replay_buffer.chunks*")) == with_rows


def test_what_cannot_be_used_is_told_in_python_too(stopped: Path) -> None:
    forget_the_first(stopped)
    flip(chunk(stopped, 0))
    with pytest.raises(NoCheckpoint, match="--without-buffer"):
        small.go_on(stopped)
