"""What ``verify`` proves of a run, what it finds, and what it says that nothing lets it prove."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rlrecipe.checkpoint.store import CheckpointStore
from rlrecipe.checkpoint.verified import canonical, digest
from rlrecipe.runs.fork import fork
from rlrecipe.runs.progress import Display
from rlrecipe.runs.verify import Verification, verify
from tests import small
from tests.cli.command import Commands

#: Three checkpoints are kept, of 320, 384 and 448 frames and the last: what lies before them is not proved.
PRUNED = {**small.STATEFUL, "checkpoint": {"every": 64, "keep_last": 3, "keep_best": False}}


@pytest.fixture(scope="module")
def pruned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run; read only."""
    folder = tmp_path_factory.mktemp("pruned") / "run"
    assert small.train(PRUNED, folder).outcome.code == 0
    return folder


@pytest.fixture
def run(pruned: Path, tmp_path: Path) -> Path:
    return shutil.copytree(pruned, tmp_path / "copy")


def test_it_says_which_frames_it_proved_and_which_not(pruned: Path) -> None:
    found = verify(pruned)
    assert (found.verified, found.differences) == (True, [])
    assert found.proved == [(385, 512)]
    assert found.unproved == [(1, 384, "no checkpoint lies before them; --from-start does them again")]
    assert any("is not here (pruned, or removed)" in note for note in found.notes)
    assert {"csv", "tensorboard", "recipe.yaml", "provenance.json", "run.log"} == set(found.uncovered)


def test_from_the_start_everything_is_proved(pruned: Path) -> None:
    found = verify(pruned, from_start=True)
    assert (found.verified, found.proved, found.unproved) == (True, [(1, 512)], [])


def test_stretches_that_were_not_drawn_are_said(finished_run: Path) -> None:
    found = verify(finished_run, 2)
    assert found.proved == [(1, 64), (449, 512)]
    assert found.unproved == [(n + 1, n + 64, "not looked at (--sample)") for n in range(64, 448, 64)]


def _summary(run: Path) -> None:
    _edit(run / "summary.json", lambda told: told.update(eval_return_mean=500.0))


def _status(run: Path) -> None:
    _edit(run / "status.json", lambda told: told.update(exact="boundary"))


def _empty_status(run: Path) -> None:
    (run / "status.json").write_text("{}")


def _resolved(run: Path) -> None:
    file = run / "resolved.yaml"
    file.write_text(file.read_text().replace("gamma: 0.99", "gamma: 0.98"))


def _best(run: Path) -> None:
    (run / "checkpoints/latest").write_text(CheckpointStore(run / "checkpoints").names()[0] + "\n")


def _early_row(run: Path) -> None:
    lines = (run / "metrics.jsonl").read_text().splitlines(keepends=True)
    row = json.loads(lines[0])
    row["train/episode_return"] += 1
    (run / "metrics.jsonl").write_text(json.dumps(row) + "\n" + "".join(lines[1:]))


def _early_episode(run: Path) -> None:
    text = (run / "episodes.jsonl").read_text()
    (run / "episodes.jsonl").write_text(text.replace('"length": ', '"length": 1', 1))


def _late_row(run: Path) -> None:
    with (run / "metrics.jsonl").open("a") as file:
        file.write(json.dumps({"frames": 576, "updates": 36, "train/episode_return": 500.0}) + "\n")


def _late_evaluation(run: Path) -> None:
    with (run / "metrics.jsonl").open("a") as file:
        file.write(json.dumps({"frames": 512, "updates": 32, "eval/episode_return_mean": 500.0}) + "\n")


def _no_row(run: Path) -> None:
    with (run / "episodes.jsonl").open("a") as file:
        file.write("[1, 2]\n")


def _missing_episodes(run: Path) -> None:
    (run / "episodes.jsonl").unlink()


def _missing_summary(run: Path) -> None:
    (run / "summary.json").unlink()


def _previous(index: int) -> Callable[[Path], None]:
    def change(run: Path) -> None:
        store = CheckpointStore(run / "checkpoints")
        _rewrite(store.folder / store.names()[index], previous="0" * 64)

    return change


def _level(run: Path) -> None:
    store = CheckpointStore(run / "checkpoints")
    _rewrite(store.folder / store.names()[-1], exact="boundary")


def _edit(file: Path, change: Callable[[dict[str, Any]], None]) -> None:
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def _rewrite(folder: Path, **facts: Any) -> None:
    """A manifest with other facts, whose own digest is right again."""
    manifest = json.loads((folder / "manifest.json").read_bytes())
    del manifest["digest"]
    manifest |= facts
    (folder / "manifest.json").write_bytes(canonical({**manifest, "digest": digest(canonical(manifest))}))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_summary, "summary.json: eval_return_mean is 500.0, and becomes "),
        (_missing_summary, "summary.json cannot be read"),
        (_status, "status.json: exact is boundary, and exact in the last checkpoint"),
        (_empty_status, "status.json says None as state"),
        (_resolved, "resolved.yaml: algorithm.gamma: 0.99 became 0.98"),
        (_best, "checkpoints/latest names 000000000384-0000000024; it is 000000000512-0000000032"),
        (_early_row, "metrics.jsonl: rows between frames 0 and 384 are not as they were"),
        (_early_episode, "episodes.jsonl: rows between frames 0 and 384 are not as they were"),
        (_late_row, "metrics.jsonl has 1 rows after the end of the run at frame 512"),
        (_late_evaluation, "metrics.jsonl has 1 rows after the end of the run at frame 512"),
        (_no_row, "is no row"),
        (_missing_episodes, "episodes.jsonl cannot be read"),
        (_previous(-1), "manifest.json: previous is not the digest of the checkpoint before, 000000000448-0000000028"),
        (_previous(1), "manifest.json: previous is not the digest of the checkpoint before, 000000000384-0000000024"),
        (_level, "status.json: exact is exact, and boundary in the last checkpoint"),
    ],
)
def test_what_was_changed_afterwards_is_found(
    change: Callable[[Path], None], said: str, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(run)
    # Nothing of it needs a stretch that is done again.
    monkeypatch.setattr("rlrecipe.runs.verify._between", lambda *_: ())
    found = verify(run)
    assert not found.verified
    assert any(said in line for line in found.differences), found.differences


def test_everything_that_was_changed_is_named_at_once(run: Path) -> None:
    for change in (_early_row, _late_row, _summary, _resolved):
        change(run)
    found = verify(run, 1)
    for file in ("metrics.jsonl: rows between", "metrics.jsonl has 1 rows", "summary.json: eval", "resolved.yaml: "):
        assert any(line.startswith(file) for line in found.differences), file
    assert [last for _, last, _ in found.unproved] == [384, 512]


def test_a_manifest_whose_predecessor_was_pruned_is_said(run: Path) -> None:
    _previous(0)(run)
    found = verify(run)
    name = CheckpointStore(run / "checkpoints").names()[0]
    # Its own digest is another one now, which the next one does not name.
    assert any("previous is not the digest of the checkpoint before" in line for line in found.differences)
    assert any(note.startswith(f"{name} follows ") for note in found.notes)


def test_a_checkpoint_that_was_removed_is_said_and_the_rest_is_proved(run: Path) -> None:
    store = CheckpointStore(run / "checkpoints")
    middle = store.names()[1]
    shutil.rmtree(store.folder / middle)
    found = verify(run)
    assert (found.verified, found.proved) == (True, [(385, 512)])
    assert any(middle in note for note in found.notes)


def test_an_extra_file_is_not_covered(run: Path) -> None:
    (run / "notes.txt").write_text("mine")
    assert "notes.txt" in verify(run).uncovered


def test_a_fork_is_verified_and_its_first_frames_are_the_parents(pruned: Path, tmp_path: Path) -> None:
    fork(pruned, ["optimizer.lr=1e-3"], at=400, run_dir=tmp_path / "fork", display=Display(quiet=True))
    for from_start in (False, True):
        found = verify(tmp_path / "fork", from_start=from_start)
        assert (found.verified, found.proved, found.differences) == (True, [(385, 512)], [])
        assert found.unproved == [(1, 384, f"they are the parent's: rlrecipe verify {pruned}")]
    first = sorted((tmp_path / "fork/checkpoints").glob("0*"))[0]
    _rewrite(first, previous="0" * 64)
    assert any("the parent's checkpoint" in line for line in verify(tmp_path / "fork").differences)


def test_a_run_that_began_with_other_weights_is_proved_with_them(pruned: Path, tmp_path: Path) -> None:
    parent = shutil.copytree(pruned, tmp_path / "parent")
    small.train(PRUNED, tmp_path / "run", init_from=parent)
    assert verify(tmp_path / "run", from_start=True).proved == [(1, 512)]
    shutil.rmtree(parent)
    found = verify(tmp_path / "run", from_start=True)
    assert found.proved == [(385, 512)]
    assert "began with the weights of" in found.unproved[0][2]


def test_a_stopped_run_goes_as_far_as_its_checkpoint(tmp_path: Path) -> None:
    small.train(small.CARTPOLE, tmp_path / "run", "trainer.time_limit=256")
    assert verify(tmp_path / "run").proved == [(1, 256)]
    _edit(tmp_path / "run/status.json", lambda told: told.update(state="running"))
    _late_row(tmp_path / "run")
    with (tmp_path / "run/metrics.jsonl").open("a") as file:
        file.write('{"frames": 64')
    found = verify(tmp_path / "run")
    assert (found.verified, found.unproved) == (True, [(257, 576, "no checkpoint lies behind them yet")])


def test_a_longer_run_is_verified(tmp_path: Path) -> None:
    # Its first end has a row of its own: nobody who starts before it and ends after it makes that one again.
    small.train(small.CARTPOLE, tmp_path / "run", "trainer.total_frames=256", "evaluation.every=null")
    small.go_on(tmp_path / "run", "trainer.total_frames=512")
    assert verify(tmp_path / "run", from_start=True).proved == [(1, 512)]
    store = CheckpointStore(tmp_path / "run/checkpoints")
    for name in store.names()[2:-2]:
        shutil.rmtree(store.folder / name)
    found = verify(tmp_path / "run")
    assert found.differences == []
    assert any("trainer.total_frames" in reason for _, _, reason in found.unproved)


def test_levels_below_exact_are_not_proved(rlrecipe: Commands) -> None:
    small.train({**small.DQN, "checkpoint": {"every": 64, "include_buffer": False}}, Path("run"))
    answer = rlrecipe("verify", "run", "--json")
    assert answer.code == 2
    assert (answer.json["verified"], answer.json["differences"], answer.json["proved"]) == (False, [], [])
    assert all("the level is continue" in one["reason"] for one in answer.json["unproved"][1:])
    assert "no frame was proved" in answer.err


def test_the_document_and_the_text(rlrecipe: Commands, run: Path) -> None:
    answer = rlrecipe("verify", run, "--json")
    assert answer.code == 0, answer.err
    told = answer.json
    assert (told["format"], told["kind"], told["verified"], told["proved"]) == (1, "verification", True, [[385, 512]])
    assert told["unproved"][0]["frames"] == [1, 384]
    shown = rlrecipe("verify", run, "--from-start").out
    assert "proved: frames 1 to 512" in shown
    assert "not proved" not in shown
    _summary(run)
    answer = rlrecipe("verify", run)
    assert answer.code == 1
    assert "summary.json: eval_return_mean is 500.0" in answer.err


def test_nothing_is_written(run: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    assert isinstance(verify(run, from_start=True), Verification)
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before
