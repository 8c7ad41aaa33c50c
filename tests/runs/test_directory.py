import json
import multiprocessing
import os
import socket
from pathlib import Path

import pytest
import yaml

from rlrecipe.recipe.load import load
from rlrecipe.recipe.secrets import masked_arguments
from rlrecipe.runs.directory import RunDirectory, RunDirectoryError
from tests import small

FIRST = {"recipe.yaml": "a", "resolved.yaml": "b", "provenance.json": "{}", "status.json": "{}"}


def test_it_appears_with_its_first_files_inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seen from the rename itself: before it there is no folder, after it all four are there."""
    seen, rename = [], Path.rename

    def watched(self: Path, target: Path) -> Path:
        existed = target.exists()
        result = rename(self, target)
        seen.append((existed, sorted(path.name for path in target.iterdir())))
        return result

    monkeypatch.setattr(Path, "rename", watched)
    copy = tmp_path / "mine.py"
    copy.write_text("x = 1")
    RunDirectory.create(tmp_path / "runs/deep/run", FIRST, {"mine.py": copy})
    assert seen == [(False, sorted([*FIRST, "imports"]))]
    assert (tmp_path / "runs/deep/run/imports/mine.py").read_text() == "x = 1"


def test_nothing_is_made_where_something_is(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for path, reason in ((tmp_path, "is not empty"), (tmp_path / "file", "is a file")):
        with pytest.raises(RunDirectoryError, match=reason):
            RunDirectory.create(path, FIRST)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def _try(path: Path) -> str:
    try:
        RunDirectory(path).lock()
    except RunDirectoryError as error:
        return str(error)
    return "locked"


def test_one_process_at_a_time(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path)
    directory.lock()
    directory.lock()
    assert f"in use by process {os.getpid()}" in _try(tmp_path)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert f"in use by process {os.getpid()}" in pool.apply(_try, (tmp_path,))
        directory.unlock()
        assert pool.apply(_try, (tmp_path,)) == "locked"
    # The lock of a process that has ended is nobody's.
    assert _try(tmp_path) == "locked"


def test_a_folder_without_a_status_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match="is no run directory"):
        RunDirectory(tmp_path).status()


# -- the files of a run


def test_the_files_of_a_run(finished_run: Path) -> None:
    assert {path.name for path in finished_run.iterdir()} - {".lock"} == {
        "recipe.yaml", "resolved.yaml", "provenance.json", "status.json", "metrics.jsonl", "episodes.jsonl",
        "summary.json", "checkpoints", "csv", "tensorboard", "run.log",
    }  # fmt: skip


def test_the_status_says_how_the_run_stands(finished_run: Path) -> None:
    status = json.loads((finished_run / "status.json").read_text())
    expected = {"state": "finished", "frames": 512, "updates": 32, "pid": os.getpid(), "host": socket.gethostname()}
    assert {key: status[key] for key in expected} == expected
    assert status["exact"] == "exact"
    assert "captured by attributes" in status["exact_reason"]


def test_the_summary_speaks_of_the_final_policy(finished_run: Path) -> None:
    summary = json.loads((finished_run / "summary.json").read_text())
    assert {
        "frames",
        "updates",
        "wall_seconds",
        "frames_per_second",
        "eval_return_mean",
        "eval_return_std",
        "exact",
    } <= set(summary)
    last = small.rows(finished_run)[-1]
    assert last["frames"] == summary["frames"] == 512
    assert last["eval/episode_return_mean"] == summary["eval_return_mean"]


def test_rows_have_counters_and_numbers_and_time_only_under_time(finished_run: Path) -> None:
    lines = [json.loads(line) for line in (finished_run / "metrics.jsonl").read_text().splitlines()]
    for row in lines:
        assert list(row)[:2] == ["frames", "updates"]
        assert all(value is None or isinstance(value, int | float) for value in row.values())
    trained = [row for row in lines if "loss/policy" in row]
    # A row is due whenever 100 frames are crossed, and at the end: batches have 64.
    assert [row["frames"] for row in trained] == [128, 256, 320, 448, 512]
    assert {"train/episode_return", "train/episode_length", "time/seconds", "batch/next/reward"} <= set(trained[0])
    evaluated = [row for row in lines if "eval/episode_return_mean" in row]
    assert [row["frames"] for row in evaluated] == [256, 448, 512]
    assert all("eval/episode_return_std" in row for row in evaluated)
    assert len({(row["frames"], "eval/episode_return_mean" in row) for row in lines}) == len(lines)


def test_every_training_episode_is_recorded(finished_run: Path) -> None:
    episodes = small.rows(finished_run, "episodes.jsonl")
    assert all(set(episode) == {"frames", "return", "length"} for episode in episodes)
    # CartPole pays 1 a step; what is not in an episode yet is in the two that are still open.
    assert all(episode["return"] == episode["length"] for episode in episodes)
    assert 0 <= 512 - sum(episode["length"] for episode in episodes) < 2 * 200
    assert [episode["frames"] for episode in episodes] == sorted(episode["frames"] for episode in episodes)


def test_means_of_rows_are_the_episodes_since_the_row_before(finished_run: Path) -> None:
    episodes = small.rows(finished_run, "episodes.jsonl")
    before = 0
    for row in small.rows(finished_run):
        if "loss/policy" not in row:
            continue
        inside = [e["return"] for e in episodes if before < e["frames"] <= row["frames"]]
        assert row["train/episode_return"] == pytest.approx(sum(inside) / len(inside))
        before = row["frames"]


def test_the_provenance(finished_run: Path) -> None:
    provenance = json.loads((finished_run / "provenance.json").read_text())
    assert {"argv", "versions", "git", "hardware", "seed"} <= set(provenance)
    assert {"python", "torch", "numpy", "gymnasium", "rlrecipe"} <= set(provenance["versions"])
    assert provenance["seed"] == 0
    assert provenance["git"] is None or set(provenance["git"]) == {"commit", "dirty"}


def test_secrets_of_the_command_line_are_not_kept() -> None:
    given = ["rlrecipe", "-s", "loggers.0.api_key=abc", "--token=xyz", "seed=1", "wandb.password=p"]
    kept = ["rlrecipe", "-s", "loggers.0.api_key=***", "--token=***", "seed=1", "wandb.password=***"]
    assert masked_arguments(given) == kept


def test_the_resolved_recipe_leaves_nothing_to_the_machine(finished_run: Path) -> None:
    content = yaml.safe_load((finished_run / "resolved.yaml").read_text())
    assert "auto" not in str(content)
    assert content["networks"]["policy"]["distribution"] == {"name": "categorical"}
    assert load(finished_run / "resolved.yaml").recipe.name == "ppo-cartpole-v1"


@pytest.mark.parametrize("inside", ["sub", "checkpoints/000000000009-0000000001", "checkpoints/x/y"])
def test_a_run_inside_another_is_refused(inside: str, tmp_path: Path) -> None:
    small.train({**small.CARTPOLE, "trainer": {"total_frames": 64}}, tmp_path / "run")
    with pytest.raises(RunDirectoryError, match=r"lies inside the run .*run; choose a --run-dir elsewhere"):
        RunDirectory.refuse_used(tmp_path / "run" / inside)
