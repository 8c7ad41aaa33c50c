"""The queue: what it skips, what it repeats, what it writes."""

from __future__ import annotations

import itertools
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from benchmarks import learning
from benchmarks.cards import CARDS
from benchmarks.curves import POINTS, core_share, thinned
from benchmarks.learning import Task, append, missing, newest, read_rows, work


def result(task: Task) -> dict[str, Any]:
    return {**task._asdict(), "eval_return_mean": 1.0}


def test_nothing_done_means_everything_missing_in_interleaved_order(tmp_path: Path) -> None:
    todo = missing(["ppo/cartpole"], ["sb3", "rlrecipe"], tmp_path / "none.jsonl")
    assert len(todo) == 20
    assert todo[:4] == [
        Task("ppo/cartpole", "sb3", 0),
        Task("ppo/cartpole", "rlrecipe", 0),
        Task("ppo/cartpole", "sb3", 1000),
        Task("ppo/cartpole", "rlrecipe", 1),
    ]


def test_peer_seeds_lie_further_apart_than_environments_reach() -> None:
    seeds = list(learning.SEEDS["sb3"])
    widest = max(card.work.num_envs for card in CARDS.values() if card.work)
    assert all(later - earlier >= widest for earlier, later in itertools.pairwise(seeds))


def test_a_stopped_queue_goes_on_where_it_was(tmp_path: Path) -> None:
    results = tmp_path / "deep" / "learning.jsonl"
    ran: list[Task] = []

    def stops_at_third(task: Task) -> dict[str, Any]:
        if len(ran) == 2:
            raise KeyboardInterrupt
        ran.append(task)
        return result(task)

    with pytest.raises(KeyboardInterrupt):
        work(["ppo/cartpole"], ["sb3"], results, stops_at_third)
    assert len(read_rows(results)) == 2
    second: list[Task] = []

    def notes(task: Task) -> dict[str, Any]:
        second.append(task)
        return result(task)

    assert work(["ppo/cartpole"], ["sb3"], results, notes) == []
    assert second[0] == Task("ppo/cartpole", "sb3", 2000)
    assert [row["seed"] for row in read_rows(results)] == list(range(0, 10_000, 1000))
    assert missing(["ppo/cartpole"], ["sb3"], results) == []


def test_a_failed_run_leaves_no_line_and_is_reported(tmp_path: Path) -> None:
    results = tmp_path / "learning.jsonl"

    def fails_once(task: Task) -> dict[str, Any]:
        if task.seed == 1000:
            raise subprocess.CalledProcessError(1, "train")
        return result(task)

    assert work(["ppo/cartpole"], ["sb3"], results, fails_once) == [Task("ppo/cartpole", "sb3", 1000)]
    assert missing(["ppo/cartpole"], ["sb3"], results) == [Task("ppo/cartpole", "sb3", 1000)]
    assert all(row["process_seconds"] >= 0 for row in read_rows(results))


def test_two_queues_on_one_file_are_refused(tmp_path: Path) -> None:
    results = tmp_path / "learning.jsonl"
    with learning.sole_queue(results), pytest.raises(SystemExit, match="another queue"):
        work(["ppo/cartpole"], ["sb3"], results, result)


def test_a_run_of_ours_is_trained_and_evaluated(tmp_path: Path) -> None:
    row = learning.run_rlrecipe(Task("ppo/cartpole", "rlrecipe", 4), tmp_path, ("trainer.total_frames=256",), 3)
    assert (row["frames"], row["updates"], row["seed"], row["eval_episodes"]) == (256, 20, 4, 3)
    assert row["run"].startswith("ppo/cartpole/seed-4-")
    assert (tmp_path / row["run"] / "metrics.jsonl").is_file()
    assert row["eval_return_mean"] >= 8  # CartPole's shortest possible episodes
    assert 0 < row["curve"][-1][0] <= 256
    assert row["curve"][-1][1] > 0
    assert 0 < row["core_share"] <= 1


def test_every_card_gets_its_first_seeds_before_one_gets_the_rest(tmp_path: Path) -> None:
    cards = ["a2c/cartpole", "td3/halfcheetah", "reinforce/cartpole"]
    todo = missing(cards, ["sb3", "rlrecipe"], tmp_path / "none.jsonl")
    counts = [(card, len(list(tasks))) for card, tasks in itertools.groupby(task.card for task in todo)]
    assert counts == [(cards[0], 10), (cards[1], 6), (cards[2], 5), (cards[0], 10), (cards[2], 5)]
    assert {task.library for task in todo if task.card == "reinforce/cartpole"} == {"rlrecipe"}


def test_a_line_without_a_curve_is_done_unless_curves_are_asked_for(tmp_path: Path) -> None:
    results = tmp_path / "learning.jsonl"
    task = Task("ppo/cartpole", "sb3", 0)
    append(results, result(task))
    assert task not in missing(["ppo/cartpole"], ["sb3"], results)
    assert missing(["ppo/cartpole"], ["sb3"], results, curves=True)[0] == task
    append(results, result(task) | {"curve": [[1, 0.1, 2.0]]})
    assert task not in missing(["ppo/cartpole"], ["sb3"], results, curves=True)
    assert len(read_rows(results)) == 2
    assert newest(read_rows(results))[task]["curve"] == [[1, 0.1, 2.0]]


def test_queues_beside_each_other_share_a_file(tmp_path: Path) -> None:
    results = tmp_path / "learning.jsonl"
    with learning.sole_queue(results, beside=True):
        assert work(["sac/pendulum"], ["sb3"], results, result, beside=True) == []
        with pytest.raises(SystemExit, match="another queue"):
            work(["td3/pendulum"], ["sb3"], results, result)
    assert len(read_rows(results)) == 5


def test_a_peer_that_did_other_work_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learning, "_output", lambda _: {"frames": 20_000, "updates": 19_899})
    task = Task("sac/pendulum", "sb3", 0)
    with pytest.raises(RuntimeError, match="19899 updates, not 20000 and 19900"):
        learning.run_sb3(task, 1)
    assert work(["sac/pendulum"], ["sb3"], tmp_path / "r.jsonl", lambda task: learning.run_sb3(task, 1))[0] == task


def test_curves_take_their_seconds_from_the_metrics(tmp_path: Path) -> None:
    rows = [{"frames": 100, "time/seconds": 1.0}, {"frames": 200, "time/seconds": 3.0}, {"frames": 200}]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    episodes = [{"frames": frames, "return": float(frames), "length": 1} for frames in (50, 150, 151, 200)]
    (tmp_path / "episodes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in episodes))
    assert learning.curve_of(tmp_path, 200)[:2] == [(50, 0.5, 50.0), (150, 2.0, 150.0)]


def test_a_core_share_counts_waiting_but_no_second_core() -> None:
    assert core_share(3.0, 4.0) == 0.75
    assert core_share(7.0, 4.0) == 1.0


def test_a_curve_is_thinned_to_windows_of_equal_frames() -> None:
    episodes = [(frames, frames / 100, float(frames)) for frames in range(10, 1001, 10)]
    points = thinned(episodes, 1000, windows=4)
    assert points == [(250, 2.5, 130.0), (500, 5.0, 380.0), (750, 7.5, 630.0), (1000, 10.0, 880.0)]
    assert thinned(episodes[:3], 1000, windows=4) == [(30, 0.3, 20.0)]  # no episode, no point
    assert len(thinned([(frames, 0.0, 1.0) for frames in range(1, 30_000)], 30_000)) == POINTS


def test_cards_count_the_work_of_the_zoo() -> None:
    counts = {name: (card.work.frames, card.work.updates) for name, card in CARDS.items() if card.work}
    assert counts == {
        "ppo/cartpole": (100_096, 7_820),
        "ppo/pendulum": (102_400, 16_000),
        "dqn/cartpole": (50_176, 24_704),  # 196 batches of 256, the first three without updates
        "a2c/cartpole": (500_000, 12_500),
        "ddpg/pendulum": (20_000, 10_000),
        "td3/pendulum": (20_000, 10_000),
        "sac/pendulum": (20_000, 19_900),
        "td3/halfcheetah": (100_000, 90_000),
        "sac/halfcheetah": (100_000, 90_000),
        "dqn/lunarlander": (100_000, 100_000),
    }
    cartpole, pendulum = CARDS["ppo/cartpole"].peer.options, CARDS["ppo/pendulum"].peer.options
    assert cartpole["learning_rate"](0.5) == 5e-4
    assert pendulum["learning_rate"](0.5) == 1e-3
    with pytest.raises(ValueError, match="no reinforce"):
        _ = CARDS["reinforce/cartpole"].peer
