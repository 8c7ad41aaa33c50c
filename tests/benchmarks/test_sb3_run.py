"""The peer's process, with a few frames of each kind of algorithm."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from benchmarks import sb3_run
from benchmarks.cards import CARDS, Card, Work
from benchmarks.sb3_run import Clock, build


def small(name: str, **options: Any) -> Card:
    """A card's work cut down to what a test can wait for."""
    card = CARDS[name]
    peer = card.peer
    work = Work("cut down", 64, {**peer.options, **options}, peer.num_envs)
    return Card(name, card.env_id, card.published_return, work)


@pytest.mark.parametrize(
    ("card", "optimizers"),
    [
        (small("ppo/cartpole", n_steps=8, batch_size=16, n_epochs=2), {"policy": 8}),
        (small("a2c/cartpole"), {"policy": 2}),
        (small("dqn/cartpole", learning_starts=8, train_freq=8, gradient_steps=2), {"policy": 14}),
        (small("ddpg/pendulum", learning_starts=60), {"critic": 4, "actor": 4}),
        (small("td3/pendulum", learning_starts=60), {"critic": 4, "actor": 2}),
        (small("sac/pendulum", learning_starts=60), {"critic": 4, "actor": 4, "temperature": 4}),
    ],
    ids=lambda value: value.name if isinstance(value, Card) else "",
)
def test_the_card_knows_how_often_the_optimizer_steps(card: Card, optimizers: dict[str, int], tmp_path: Path) -> None:
    row = sb3_run.run(card, 0, 1, tmp_path, card.peer.total_frames, eval_episodes=0)
    assert (row["frames"], row["updates"]) == (card.peer.frames, card.peer.updates)
    assert row["optimizer_steps"] == optimizers
    assert (tmp_path / "model.zip").is_file()


def test_a_run_leaves_its_curve_and_an_evaluation(tmp_path: Path) -> None:
    row = sb3_run.run(small("a2c/cartpole"), 0, 1, tmp_path, 400, eval_episodes=2)
    assert row["eval_return_mean"] >= 8
    frames, seconds, returns = zip(*row["curve"], strict=True)
    assert list(frames) == sorted(set(frames))
    assert frames[-1] <= row["frames"] == 400
    assert 0 < seconds[0] <= seconds[-1] <= row["train_seconds"]
    assert min(returns) >= 8
    assert 0 < row["core_share"] <= 1


def test_noise_is_normal_with_the_card_s_deviation() -> None:
    noise = build(small("td3/pendulum"), 0).action_noise
    assert repr(noise) == "NormalActionNoise(mu=[0.], sigma=[0.1])"


def test_the_clock_leaves_out_pauses_but_not_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(time, "process_time", lambda: 0.0)
    clock = Clock()
    now[0] = 1.5
    assert clock() == 1.5
    now[0] = 100.0
    assert clock() == 1.5
    now[0] = 101.0
    assert (clock(), clock.paused) == (2.5, 98.5)
