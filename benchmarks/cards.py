"""Work cards: what both libraries are asked to do, written once.

A card fixes everything that changes the work or its result. Networks are stable-baselines3's
default for vectors of numbers: tanh, 64-64, policy and value apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Ramp:
    """A value that is constant, or falls linearly to zero over the run."""

    start: float
    linear: bool = False

    def __call__(self, remaining: float) -> float:
        """The value when the fraction ``remaining`` of the run is still ahead."""
        return self.start * remaining if self.linear else self.start


@dataclass(frozen=True)
class Card:
    """One piece of PPO work. ``name`` is also the name of the bundled recipe."""

    name: str
    source: str
    env_id: str
    num_envs: int
    total_frames: int
    n_steps: int
    batch_size: int
    epochs: int
    gamma: float
    gae_lambda: float
    learning_rate: Ramp
    clip_range: Ramp
    entropy_coeff: float
    random_return: float  # of a policy that acts at random: 0 on the normalised scale
    published_return: float  # the zoo's: 1 on the normalised scale

    @property
    def frames_per_batch(self) -> int:
        """Frames of one batch, over all environments."""
        return self.n_steps * self.num_envs

    @property
    def batches(self) -> int:
        """Batches of a run: whole ones, so the last may go past ``total_frames``."""
        return -(-self.total_frames // self.frames_per_batch)

    @property
    def frames(self) -> int:
        """Frames that a run really takes."""
        return self.batches * self.frames_per_batch

    @property
    def updates(self) -> int:
        """Optimizer steps of a run."""
        return self.batches * self.epochs * -(-self.frames_per_batch // self.batch_size)

    def normalised(self, returns: NDArray[np.float64]) -> NDArray[np.float64]:
        """``returns`` on the scale where random is 0 and published is 1."""
        return (returns - self.random_return) / (self.published_return - self.random_return)


CARDS = {
    card.name: card
    for card in (
        Card(
            name="ppo/cartpole",
            source="the zoo's",
            env_id="CartPole-v1",
            num_envs=8,
            total_frames=100_000,
            n_steps=32,
            batch_size=256,
            epochs=20,
            gamma=0.98,
            gae_lambda=0.8,
            learning_rate=Ramp(1e-3, linear=True),
            clip_range=Ramp(0.2, linear=True),
            entropy_coeff=0.0,
            random_return=22.0,
            published_return=500.0,
        ),
        Card(
            name="ppo/pendulum",
            source="after the zoo, without gSDE",
            env_id="Pendulum-v1",
            num_envs=4,
            total_frames=100_000,
            n_steps=1024,
            batch_size=64,
            epochs=10,
            gamma=0.9,
            gae_lambda=0.95,
            learning_rate=Ramp(1e-3),
            clip_range=Ramp(0.2),
            entropy_coeff=0.0,
            random_return=-1229.0,
            published_return=-172.0,
        ),
    )
}
