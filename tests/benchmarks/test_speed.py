"""The speed comparison, with a measurement that takes no time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import speed
from benchmarks.cards import CARDS
from benchmarks.speed import Contender

OURS, ONE, TWO = Contender("rlrecipe", 0), Contender("sb3", 1), Contender("sb3", 2)
SECONDS = {OURS: 5.0, ONE: 30.0, TWO: 20.0}
CARD = CARDS["ppo/cartpole"]


def rows_of(rounds: int) -> list[dict[str, Any]]:
    seen: dict[Contender, int] = {}

    def measure(contender: Contender, seed: int) -> dict[str, Any]:
        number = seen[contender] = seen.get(contender, -1) + 1
        # The warm-up is slow; later rounds slow down together.
        seconds = 500.0 if number == 0 else SECONDS[contender] * number
        return {**contender._asdict(), "seed": seed, "wall_seconds": seconds}

    return speed.session(CARD, [OURS, ONE, TWO], rounds, measure)


def test_rounds_are_interleaved_and_the_warm_up_does_not_count() -> None:
    rows = rows_of(5)
    assert [Contender(row["library"], row["threads"]) for row in rows[:4]] == [OURS, ONE, TWO, OURS]
    assert len(rows) == 18
    assert speed.walls(rows, OURS).tolist() == [5.0, 10.0, 15.0, 20.0, 25.0]


def test_ratios_are_taken_within_rounds() -> None:
    assert speed.ratio(rows_of(5), OURS, ONE) == (6.0, 6.0, 6.0)


def test_the_table_puts_the_better_peer_first() -> None:
    lines = speed.table(rows_of(3)).splitlines()
    assert "rlrecipe" in lines[2]
    assert "sb3, 2 threads" in lines[3]
    assert "4 [4, 4]" in lines[3]
    assert "sb3, 1 threads" in lines[4]


def test_work_done_is_read_with_the_weights(tmp_path: Path) -> None:
    (tmp_path / "summary.json").write_text(json.dumps({"frames": 3, "updates": 2, "wall_seconds": 1.0}))
    checkpoint = tmp_path / "checkpoints" / "000000000003-0000000002"
    checkpoint.mkdir(parents=True)
    (tmp_path / "checkpoints" / "latest").write_text(checkpoint.name)
    with pytest.raises(FileNotFoundError, match=r"policy\.safetensors"):
        speed.work_done(OURS, "", tmp_path)
    (checkpoint / "policy.safetensors").touch()
    assert speed.work_done(OURS, "", tmp_path) == {"frames": 3, "updates": 2}


def test_a_process_that_did_less_work_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "command", lambda *_: ["true"])
    monkeypatch.setattr(speed, "work_done", lambda *_: {"frames": CARD.peer.frames, "updates": CARD.peer.updates - 1})
    with pytest.raises(RuntimeError, match="7819"):
        speed.measure(ONE, CARD, 0, [])


def test_commands_skip_the_evaluation(tmp_path: Path) -> None:
    ours = speed.command(OURS, CARD, 3, tmp_path, ["runtime.threads=1"])
    assert ours[ours.index("-s") + 1] == "evaluation.episodes=1"
    assert "runtime.threads=1" in ours
    peer = speed.command(TWO, CARD, 3000, tmp_path, [])
    assert peer[peer.index("--episodes") + 1] == "0"
    assert peer[peer.index("--threads") + 1] == "2"
