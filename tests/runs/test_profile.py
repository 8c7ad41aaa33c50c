import json
import time
from pathlib import Path

import pytest

from rlrecipe.runs.profile import PHASES, Profile, process_start, table
from tests import small
from tests.cli.command import Commands


def test_a_profile_says_where_the_whole_process_went(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rlrecipe = Commands(capsys, tmp_path)
    answer = rlrecipe("run", rlrecipe.recipe(small.STATEFUL), "--run-dir", "run", "--profile")
    assert answer.code == 0
    report = json.loads(Path("run/profile.json").read_text())
    phases = report["phases"]
    assert set(PHASES) - set(phases) <= {"compile"}
    assert sum(phase["seconds"] for phase in phases.values()) == pytest.approx(report["seconds"], abs=0.01)
    assert sum(phase["share"] for phase in phases.values()) == pytest.approx(1, abs=0.01)
    # 512 frames of two environments, and their first start.
    assert phases["environment"]["calls"] == 257
    assert phases["update"]["calls"] == 32
    lines = answer.err.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("where "))
    assert [line.strip().split("  ")[0] for line in lines[at + 1 : at + 1 + len(phases)]] == list(phases)


def test_watching_changes_no_result(tmp_path: Path) -> None:
    small.train(small.STATEFUL, tmp_path / "plain")
    small.train(small.STATEFUL, tmp_path / "watched", profile=Profile())
    assert small.outcome_of(tmp_path / "watched") == small.outcome_of(tmp_path / "plain")


def test_a_phase_inside_another_takes_its_time_from_it(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    profile = Profile(begun=0.0)

    def spend(seconds: float) -> None:
        now[0] += seconds

    def update() -> None:
        spend(2)
        profile.watched(spend, "compile")(4)
        spend(8)

    def evaluate() -> None:
        profile.watched(spend, "policy")(16)

    spend(1)
    profile.go_on("start")
    profile.watched(update, "update")()
    profile.watched(evaluate, "evaluation")()
    report = profile.report()
    assert {name: phase["seconds"] for name, phase in report["phases"].items()} == {
        "import": 1,
        "update": 10,
        "compile": 4,
        "evaluation": 16,
    }
    assert "  compile             4.00 s  12.9%" in table(report)


def test_a_process_begins_before_it_asks() -> None:
    assert 0 < time.perf_counter() - process_start() < 24 * 3600
