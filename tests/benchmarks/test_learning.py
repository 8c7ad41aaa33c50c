"""The queue: what it skips, what it repeats, what it writes."""

from __future__ import annotations

import itertools
import subprocess
from pathlib import Path
from typing import Any

import pytest

from benchmarks import learning
from benchmarks.cards import CARDS
from benchmarks.learning import Task, missing, read_rows, work


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
    widest = max(card.num_envs for card in CARDS.values())
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


def test_cards_count_the_work_of_the_zoo() -> None:
    cartpole, pendulum = CARDS["ppo/cartpole"], CARDS["ppo/pendulum"]
    assert (cartpole.frames, cartpole.updates) == (100_096, 7_820)
    assert (pendulum.frames, pendulum.updates) == (102_400, 16_000)
    assert cartpole.learning_rate(0.5) == 5e-4
    assert pendulum.learning_rate(0.5) == 1e-3
