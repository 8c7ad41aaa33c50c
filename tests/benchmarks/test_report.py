"""The page and the pictures, from made-up results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.cards import CARDS
from benchmarks.curves import Point
from benchmarks.pictures import plot_card, plot_curves, read_curve, smoothed
from benchmarks.report import curves_of, recipe_name, write_page
from benchmarks.tables import grouped, judged, results_table, together, verdict

CURVE = [[50_000, 1.0, 100.0], [100_000, 2.0, 400.0]]


def rows(library: str, card: str, returns: list[float], **more: Any) -> list[dict[str, Any]]:
    same = {"card": card, "library": library, "frames": 100_096, "updates": 7_820, "train_seconds": 2.0, **more}
    return [{**same, "seed": seed, "eval_return_mean": value} for seed, value in enumerate(returns)]


def words(ours: list[float], theirs: list[float], random: float = 0.0) -> str:
    return verdict(np.array(ours), np.array(theirs), random).words


def test_the_verdict_follows_the_rule() -> None:
    assert words([96.0] * 5, [100.0] * 5) == "no lower by more than 5 %"
    assert words([95.0] * 5, [100.0] * 5) == "no lower by more than 5 %"  # just not more
    assert words([94.0] * 5, [100.0] * 5) == "**lower**"
    assert words([94.0] * 5, [100.0] * 5, random=-100.0) == "no lower by more than 5 %"  # of 200
    assert words([0.0, 10.0, 80.0, 100.0, 100.0], [100.0, 100.0, 90.0, 60.0, 20.0]) == "interval contains zero"
    # A peer below random leaves no margin: what it has is enough, less is not.
    assert words([-10.0] * 5, [-10.0] * 5) == "no lower by more than 5 %"
    assert words([-10.1] * 5, [-10.0] * 5) == "**lower**"


def test_the_verdict_says_what_is_absent_or_unequal() -> None:
    card = CARDS["sac/pendulum"]
    ours, theirs = rows("rlrecipe", card.name, [-150.0] * 5), rows("sb3", card.name, [-150.0] * 5)
    assert judged(card, grouped(ours)).words == "no runs of sb3 yet"
    assert judged(card, grouped(theirs)).words == "no runs of rlrecipe yet"
    assert judged(card, grouped(ours + theirs)).words == "no lower by more than 5 %"
    assert judged(card, grouped(ours[:4] + theirs)).words == "no lower by more than 5 %, so far"
    more = rows("sb3", card.name, [-150.0] * 5, updates=1)
    assert judged(card, grouped(ours + more)).words == "no lower by more than 5 %, work differs"
    alone = CARDS["reinforce/cartpole"]
    assert judged(alone, grouped(rows("rlrecipe", alone.name, [500.0]))).words == "no counterpart"


def test_the_table_has_a_line_per_card_and_library() -> None:
    results = rows("sb3", "ppo/cartpole", [500.0] * 10) + rows("rlrecipe", "ppo/cartpole", [400.0])
    lines = results_table(grouped(results + rows("rlrecipe", "unknown/card", [1.0]))).splitlines()
    assert len(lines) == 4
    assert lines[2] == "| ppo/cartpole | sb3 | 10 | 100,096 | 7,820 | 500 [500, 500] | 2.0 |  |  |"
    assert "| 1 of 10 | 100,096 | 7,820 | 400 [400, 400] | 2.0 | -100 [-100, -100] | **lower**, so far |" in lines[3]


def test_of_a_repeated_run_the_newest_line_counts() -> None:
    results = rows("sb3", "ppo/cartpole", [1.0] * 10) + rows("sb3", "ppo/cartpole", [500.0] * 10)
    assert "| 10 | 100,096 | 7,820 | 500 [500, 500] |" in results_table(grouped(results))


def test_all_shared_cards_together_are_normalised() -> None:
    results = rows("sb3", "ppo/cartpole", [22.0] * 4) + rows("rlrecipe", "ppo/cartpole", [500.0] * 4)
    sentence = together(grouped(results + rows("sb3", "ppo/pendulum", [-172.0] * 4)))
    assert sentence.startswith("All cards that both have run (1)")
    assert sentence.endswith("rlrecipe 1 [1, 1], stable-baselines3 0 [0, 0], difference 1 [1, 1].")
    assert together({}) == ""


def test_the_page_is_made_from_whatever_is_there(tmp_path: Path) -> None:
    results, page = tmp_path / "learning.jsonl", tmp_path / "docs" / "results.md"
    versions = {"versions": {"torch": "2.15.0"}, "machine": "x86_64, 2 cores", "load_before": 0.5}
    found = rows("sb3", "ppo/cartpole", [500.0] * 10)
    found += rows("rlrecipe", "ppo/cartpole", [500.0] * 10, curve=CURVE, **versions)
    found += rows("sb3", "sac/pendulum", [-150.0] * 3, curve=CURVE)
    results.write_text("".join(json.dumps(row) + "\n" for row in found))
    write_page(results, page)
    text = page.read_text()
    assert "23 runs. Versions: torch 2.15.0. Machine: x86_64, 2 cores" in text
    assert "- `sac/pendulum`, stable-baselines3: 2 of 5" in text
    assert "`ppo/cartpole`, rlrecipe" not in text
    pictures = {path.name: path.read_bytes() for path in (tmp_path / "docs" / "results").iterdir()}
    assert set(pictures) == {"ppo-cartpole.png", "sac-pendulum.png"}
    assert all(f"](results/{name})" in text for name in pictures)
    write_page(results, page)
    assert page.read_text() == text
    assert (tmp_path / "docs" / "results" / "ppo-cartpole.png").read_bytes() == pictures["ppo-cartpole.png"]


def test_seconds_leave_out_the_wait_for_a_core() -> None:
    runs = rows("sb3", "ppo/cartpole", [1.0], curve=CURVE, core_share=0.25)
    assert curves_of(runs) == [[(50_000, 0.25, 100.0), (100_000, 0.5, 400.0)]]
    assert "| 0.5 |" in results_table(grouped(runs))


def test_a_page_without_runs_lists_what_is_to_do(tmp_path: Path) -> None:
    write_page(tmp_path / "none.jsonl", tmp_path / "results.md")
    assert "- `dqn/lunarlander`, rlrecipe: 10 of 10" in (tmp_path / "results.md").read_text()


def test_smoothing_looks_back_over_a_share_of_the_run() -> None:
    frames = np.array([10.0, 20.0, 30.0, 100.0])
    assert smoothed(frames, np.array([1.0, 3.0, 5.0, 7.0]), share=0.2).tolist() == [1.0, 2.0, 4.0, 7.0]


def test_a_card_s_picture_is_small(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    noise = [[Point(f, f / 9, r) for f, r in enumerate(generator.normal(size=200), 1)] for _ in range(10)]
    plot_card({"sb3": noise, "rlrecipe": noise}, tmp_path / "card.png")
    assert (tmp_path / "card.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "card.png").stat().st_size < 150_000


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
