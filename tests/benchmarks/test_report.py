"""Tables and the picture, from made-up results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.report import comparison_table, learning_table, plot_curves, read_curve, recipe_name


def rows(library: str, card: str, returns: list[float]) -> list[dict[str, Any]]:
    same = {"card": card, "library": library, "frames": 100_096, "updates": 7_820, "train_seconds": 2.0}
    return [{**same, "seed": seed, "eval_return_mean": value} for seed, value in enumerate(returns)]


def write_run(folder: Path, shift: float) -> Path:
    folder.mkdir()
    (folder / "resolved.yaml").write_text("name: ppo-cartpole-v1\n")
    lines = [
        {"frames": frames, "updates": 1, "train/episode_return": None if frames == 0 else frames + shift}
        for frames in range(0, 1000, 100)
    ]
    lines.append({"frames": 1000, "updates": 2, "eval/episode_return_mean": 500.0})
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def test_learning_table_has_a_line_per_card_and_library() -> None:
    table = learning_table(rows("sb3", "ppo/cartpole", [500.0] * 10) + rows("rlrecipe", "ppo/cartpole", [400.0]))
    lines = table.splitlines()
    assert len(lines) == 4
    assert "| ppo/cartpole | sb3 | 10 | 100,096 | 7,820 | 500 [500, 500] | 500.0 |" in lines[3]


def test_comparison_covers_the_shared_cards_and_all_of_them_normalised() -> None:
    results = rows("sb3", "ppo/cartpole", [22.0] * 4) + rows("rlrecipe", "ppo/cartpole", [500.0] * 4)
    results += rows("sb3", "ppo/pendulum", [-172.0] * 4)
    lines = comparison_table(results).splitlines()
    assert lines[2] == "| ppo/cartpole | 478 [478, 478] |"
    assert lines[3] == "| all 1, normalised | 1 [1, 1] |"
    assert len(comparison_table(rows("sb3", "ppo/cartpole", [1.0])).splitlines()) == 2


def test_curve_reads_numbers_only(tmp_path: Path) -> None:
    frames, values = read_curve(write_run(tmp_path / "a", 1.0), "train/episode_return")
    assert frames.tolist() == list(range(100, 1000, 100))
    assert values[0] == 101.0


def test_curves_become_a_picture(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / name, shift) for name, shift in (("a", 0.0), ("b", 5.0))]
    out = tmp_path / "docs" / "curve.png"
    plot_curves({recipe_name(runs[0]): runs}, out)
    assert out.read_bytes().startswith(b"\x89PNG")


def test_a_run_without_episodes_is_an_error(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a", 0.0)
    (run / "metrics.jsonl").write_text("")
    with pytest.raises(ValueError, match="no run of x"):
        plot_curves({"x": [run]}, tmp_path / "curve.png")
