"""What a stranger's run says reaches the terminal as text, and standard output stays one document."""

import json
import shutil
from pathlib import Path

import pytest

from rlrecipe.checkpoint.verified import canonical, digest
from rlrecipe.cli import main
from rlrecipe.runs.progress import Display

#: Clears the screen, sets the window's title, and turns the direction of writing.
ESCAPES = "\x1b[2J\x1b]0;title\x07\u202e\x9b31m"


def steers(text: str) -> list[str]:
    return [c for c in ("\x1b", "\x07", "\u202e", "\x9b") if c in text]


@pytest.fixture
def run_dir(finished_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished_run, tmp_path / "run"))


def edit(file: Path, **changes: object) -> None:
    """Change a manifest, its digest with it."""
    manifest = {**json.loads(file.read_bytes()), **changes}
    del manifest["digest"]
    file.write_bytes(canonical({**manifest, "digest": digest(canonical(manifest))}))


def test_a_status_and_its_metrics(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = json.loads((run_dir / "status.json").read_text())
    hostile = {**told, "reason": ESCAPES, ESCAPES: [ESCAPES], "frames": float("nan"), "speed": float("inf")}
    (run_dir / "status.json").write_text(json.dumps(hostile))
    (run_dir / "metrics.jsonl").write_text(json.dumps({"frames": 1, ESCAPES: ESCAPES, "loss": float("nan")}) + "\n")
    assert main(["status", str(run_dir)]) == 0
    said = capsys.readouterr().out
    assert steers(said) == []
    assert "?[2J?]0;title??" in said
    assert main(["status", str(run_dir), "--json"]) == 0
    found = json.loads(capsys.readouterr().out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert found["reason"] == ESCAPES
    assert found["frames"] is None


def test_a_manifest_on_the_terminal_and_in_the_log(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    newest = sorted((run_dir / "checkpoints").glob("0*"))[-1]
    edit(newest / "manifest.json", exact="continue", exact_reason=ESCAPES, versions={"python": ESCAPES})
    assert main(["resume", str(run_dir), "-s", "trainer.total_frames=576"]) == 0
    said = capsys.readouterr().err
    assert "?[2J" in said
    assert steers(said) == []
    assert "?[2J" in (run_dir / "run.log").read_text("utf-8")
    assert steers((run_dir / "run.log").read_text("utf-8")) == []


@pytest.mark.parametrize("options", [[], ["--debug"]])
def test_an_error_of_somebody_elses_code(
    options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "mine.py"
    mine.write_text(f"raise RuntimeError({ESCAPES!r})")
    assert main(["validate", "ppo/cartpole", "--import", str(mine), *options]) == 3
    said = capsys.readouterr()
    assert "?[2J" in said.err + said.out
    assert steers(said.err + said.out) == []


def test_lines_and_their_log_keep_their_shape(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    display = Display()
    display.log_to(tmp_path / "run.log")
    display.say(f"one\n\ttwo{ESCAPES} é")
    assert "one\n\ttwo?[2J" in (tmp_path / "run.log").read_text("utf-8")
    assert steers(capsys.readouterr().err) == []


def test_a_recipe_is_shown_exactly(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    family = "👨\u200d👩"
    (tmp_path / "r.yaml").write_text(
        f'extends: ppo/cartpole\nhooks: [{{name: log_scalar, key: [next, "{family}"]}}]\n', encoding="utf-8"
    )
    assert main(["show", str(tmp_path / "r.yaml")]) == 0
    assert family in capsys.readouterr().out
