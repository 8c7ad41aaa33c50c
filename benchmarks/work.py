"""Speed cards: what each library is asked to compute, and the counts by which that is checked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from benchmarks.cards import CARDS, Card, Ramp, Work

RECIPES = Path(__file__).parent / "recipes"


@dataclass(frozen=True)
class SpeedCard:
    """One piece of work.

    Attributes:
        card: its name, environment and work, in stable-baselines3's words.
        recipe: the same for rlrecipe: a recipe's name or file.
        settings: changes to the recipe.
        networks: features from input to output of every network that is learned, and of how many copies.
        others: further numbers that are learned.
        threshold: a return of training episodes (mean of 20) to be reached; None where the work is too short for one.
    """

    card: Card
    recipe: str
    settings: tuple[str, ...]
    networks: tuple[tuple[int, tuple[int, ...]], ...]
    others: int = 0
    threshold: float | None = None

    @property
    def work(self) -> Work:
        """In stable-baselines3's words."""
        return self.card.peer

    @property
    def minibatch(self) -> int:
        """Rows of one update."""
        return int(self.work.options.get("batch_size", self.work.frames_per_batch))

    @property
    def parameters(self) -> int:
        """Numbers that are learned, target networks not counted."""
        return self.others + sum(
            copies * sum(fan_in * fan_out + fan_out for fan_in, fan_out in pairwise(sizes))
            for copies, sizes in self.networks
        )

    @property
    def counts(self) -> dict[str, int]:
        """What a process that did this work has counted."""
        return {
            "frames": self.work.frames,
            "updates": self.work.updates,
            "minibatch": self.minibatch,
            "parameters": self.parameters,
        }


def _shorter(name: str, frames: int, **options: int) -> Card:
    card = CARDS[name]
    return replace(card, work=replace(card.peer, total_frames=frames, options={**card.peer.options, **options}))


#: Rows often enough to see when an episode ended.
SHORT = ("trainer.total_frames=10000", "collector.init_random_frames=1000", "trainer.log_interval=1000")
PPO_DEFAULTS = {
    "n_steps": 2048,
    "batch_size": 64,
    "n_epochs": 10,
    "gamma": 0.99,
    "gae_lambda": 0.95,
    "learning_rate": Ramp(3e-4),
    "clip_range": Ramp(0.2),
}

SPEED = {
    speed.card.name: speed
    for speed in (
        SpeedCard(
            CARDS["ppo/cartpole"],
            "ppo/cartpole",
            (),
            ((1, (4, 64, 64, 2)), (1, (4, 64, 64, 1))),
            threshold=400.0,
        ),
        SpeedCard(
            Card(
                "ppo/halfcheetah", "HalfCheetah-v5", 1443.0, Work("stable-baselines3's defaults", 102_400, PPO_DEFAULTS)
            ),
            str(RECIPES / "ppo-halfcheetah.yaml"),
            (),
            ((1, (17, 64, 64, 6)), (1, (17, 64, 64, 1))),
            others=6,
        ),
        SpeedCard(
            _shorter("sac/halfcheetah", 10_000, learning_starts=1000),
            "sac/halfcheetah",
            SHORT,
            ((1, (17, 256, 256, 12)), (2, (23, 256, 256, 1))),
            others=1,
        ),
        SpeedCard(
            _shorter("td3/halfcheetah", 10_000, learning_starts=1000),
            "td3/halfcheetah",
            SHORT,
            ((1, (17, 400, 300, 6)), (2, (23, 400, 300, 1))),
        ),
        SpeedCard(CARDS["dqn/cartpole"], "dqn/cartpole", (), ((1, (4, 256, 256, 2)),), threshold=400.0),
        SpeedCard(
            _shorter("a2c/cartpole", 100_000),
            "a2c/cartpole",
            ("trainer.total_frames=100000",),
            ((1, (4, 64, 64, 2)), (1, (4, 64, 64, 1))),
            threshold=400.0,
        ),
    )
}
