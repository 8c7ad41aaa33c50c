"""Work cards: what both libraries are asked to do, written once.

A card's name is also that of the bundled recipe. Its work is the peer's, in stable-baselines3's own
words; what is not said is stable-baselines3's default, but all that decides how much is computed is said.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: Mean return of 100 episodes with uniformly random actions: 0 on the normalised scale.
RANDOM_RETURNS = {"CartPole-v1": 22.0, "Pendulum-v1": -1229.0, "LunarLander-v3": -202.0, "HalfCheetah-v5": -280.0}


@dataclass(frozen=True)
class Ramp:
    """A value that is constant, or falls linearly to zero over the run."""

    start: float
    linear: bool = False

    def __call__(self, remaining: float) -> float:
        """The value when the fraction ``remaining`` of the run is still ahead."""
        return self.start * remaining if self.linear else self.start


@dataclass(frozen=True)
class Work:
    """What stable-baselines3 computes: ``options`` are keyword arguments of its algorithm.

    ``action_noise`` is the one exception: there it is the standard deviation of normal noise on actions in [-1, 1].
    """

    source: str
    total_frames: int
    options: Mapping[str, Any]
    num_envs: int = 1

    @property
    def frames_per_batch(self) -> int:
        """Frames between two phases of updates, over all environments."""
        return int(self.options.get("n_steps", self.options.get("train_freq"))) * self.num_envs

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
        """Steps of the optimizer that steps most often: the only one, or the critic's."""
        if "n_steps" in self.options:
            size = int(self.options.get("batch_size", self.frames_per_batch))
            return self.batches * int(self.options.get("n_epochs", 1)) * -(-self.frames_per_batch // size)
        # Updates come after a batch, once more frames than `learning_starts` are done.
        silent = int(self.options["learning_starts"]) // self.frames_per_batch
        return (self.batches - silent) * int(self.options["gradient_steps"])


@dataclass(frozen=True)
class Card:
    """One piece of work; ``work`` is None where stable-baselines3 has no such algorithm."""

    name: str
    env_id: str
    published_return: float  # 1 on the normalised scale
    work: Work | None = None
    seeds: int = 10
    eval_episodes: int = 100

    @property
    def algorithm(self) -> str:
        """The algorithm's registered name, the first part of the card's."""
        return self.name.partition("/")[0]

    @property
    def libraries(self) -> tuple[str, ...]:
        """Who can do it."""
        return ("sb3", "rlrecipe") if self.work else ("rlrecipe",)

    @property
    def random_return(self) -> float:
        """Of a policy that acts at random."""
        return RANDOM_RETURNS[self.env_id]

    @property
    def peer(self) -> Work:
        """The peer's work.

        Raises:
            ValueError: there is none.
        """
        if self.work is None:
            raise ValueError(f"stable-baselines3 has no {self.algorithm}")
        return self.work

    def normalised(self, returns: NDArray[np.float64]) -> NDArray[np.float64]:
        """``returns`` on the scale where random is 0 and published is 1."""
        return (returns - self.random_return) / (self.published_return - self.random_return)


def _every_step(learning_rate: float, learning_starts: int, **options: Any) -> dict[str, Any]:
    """Options of an off-policy algorithm with an update after each frame."""
    return {
        "learning_rate": learning_rate,
        "learning_starts": learning_starts,
        "batch_size": 256,
        "train_freq": 1,
        "gradient_steps": 1,
        **options,
    }


def _deterministic(**options: Any) -> dict[str, Any]:
    """Options that the zoo's DDPG and TD3 share."""
    return _every_step(1e-3, 10_000, action_noise=0.1, policy_kwargs={"net_arch": [400, 300]}, **options)


PENDULUM = {"gamma": 0.98, "buffer_size": 200_000}
NET_256 = {"policy_kwargs": {"net_arch": [256, 256]}}
TENTH = "the zoo's, a tenth of its frames"

# In the order of the queue: the short ones first.
CARDS = {
    card.name: card
    for card in (
        Card(
            "ppo/cartpole",
            "CartPole-v1",
            500.0,
            Work(
                "the zoo's",
                100_000,
                {
                    "n_steps": 32,
                    "batch_size": 256,
                    "n_epochs": 20,
                    "gamma": 0.98,
                    "gae_lambda": 0.8,
                    "learning_rate": Ramp(1e-3, linear=True),
                    "clip_range": Ramp(0.2, linear=True),
                },
                num_envs=8,
            ),
        ),
        Card(
            "ppo/pendulum",
            "Pendulum-v1",
            -172.0,
            Work(
                "after the zoo, without gSDE",
                100_000,
                {
                    "n_steps": 1024,
                    "batch_size": 64,
                    "n_epochs": 10,
                    "gamma": 0.9,
                    "gae_lambda": 0.95,
                    "learning_rate": Ramp(1e-3),
                    "clip_range": Ramp(0.2),
                },
                num_envs=4,
            ),
        ),
        Card(
            "dqn/cartpole",
            "CartPole-v1",
            500.0,
            Work(
                "the zoo's",
                50_000,
                {
                    "learning_rate": 2.3e-3,
                    "batch_size": 64,
                    "buffer_size": 100_000,
                    "learning_starts": 1000,
                    "gamma": 0.99,
                    "target_update_interval": 10,
                    "train_freq": 256,
                    "gradient_steps": 128,
                    "exploration_fraction": 0.16,
                    "exploration_final_eps": 0.04,
                    **NET_256,
                },
            ),
        ),
        Card("a2c/cartpole", "CartPole-v1", 500.0, Work("the zoo's", 500_000, {"n_steps": 5}, num_envs=8)),
        Card("reinforce/cartpole", "CartPole-v1", 500.0),
        Card("discrete_sac/cartpole", "CartPole-v1", 500.0),
        Card("ddpg/pendulum", "Pendulum-v1", -152.0, Work("the zoo's", 20_000, _deterministic(**PENDULUM)), seeds=5),
        Card("td3/pendulum", "Pendulum-v1", -152.0, Work("the zoo's", 20_000, _deterministic(**PENDULUM)), seeds=5),
        Card(
            "sac/pendulum",
            "Pendulum-v1",
            -157.0,
            Work("the zoo's", 20_000, _every_step(1e-3, 100, **NET_256)),
            seeds=5,
        ),
        Card(
            "td3/halfcheetah",
            "HalfCheetah-v5",
            9656.0,
            Work(TENTH, 100_000, _deterministic(buffer_size=1_000_000)),
            seeds=3,
            eval_episodes=20,
        ),
        Card(
            "sac/halfcheetah",
            "HalfCheetah-v5",
            9535.0,
            Work(TENTH, 100_000, _every_step(3e-4, 10_000, **NET_256)),
            seeds=3,
            eval_episodes=20,
        ),
        Card(
            "dqn/lunarlander",
            "LunarLander-v3",
            154.0,
            Work(
                "the zoo's",
                100_000,
                {
                    "learning_rate": 6.3e-4,
                    "batch_size": 128,
                    "buffer_size": 50_000,
                    "learning_starts": 0,
                    "gamma": 0.99,
                    "target_update_interval": 250,
                    "train_freq": 4,
                    "gradient_steps": 4,
                    "exploration_fraction": 0.12,
                    "exploration_final_eps": 0.1,
                    **NET_256,
                },
            ),
            # Its last policy is a good one or not by chance (SB3's table: 154 +- 79): three seeds tell little.
            seeds=10,
        ),
    )
}
