"""Rewards scaled by the running deviation of the discounted return."""

from __future__ import annotations

from copy import copy
from typing import Literal

from rlrecipe.interfaces import State, Transform
from rlrecipe.lazy import gymnasium, np
from rlrecipe.recipe.options import option
from rlrecipe.recipe.registry import register
from rlrecipe.recipe.traits import TransformTraits
from rlrecipe.transforms.base import RunningMoments, TransformOptions


class RewardNormOptions(TransformOptions):
    """Divide training rewards by the deviation of the discounted return, clip; reports stay raw."""

    phase: Literal["train"] = option("train", "Evaluation reports raw rewards.")
    clip: float = option(10.0, "Bound on a scaled reward.", gt=0)
    eps: float = option(1e-8, "Added to the variance.", gt=0)


class RewardNorm:
    """Discounts with the algorithm's gamma; an episode's last step counts, then its return resets."""

    #: It leaves observations as they are.
    observes = False

    def __init__(self, options: RewardNormOptions, num_envs: int, gamma: float) -> None:
        self.clip, self.eps, self.gamma = options.clip, options.eps, gamma
        self.moments = RunningMoments(())
        self.returns = np.zeros(num_envs)

    def reset(self, observation: np.ndarray) -> np.ndarray:
        """Observations as they are; every environment's return starts from nothing."""
        self.returns[:] = 0.0
        return observation

    def step(
        self, observation: np.ndarray, final: np.ndarray, reward: np.ndarray, done: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rewards ``[N]`` scaled; observations as they are."""
        # In place: a part of the environments has a view.
        self.returns *= self.gamma
        self.returns += reward
        self.moments.update(self.returns)
        scaled = self.apply_reward(reward)
        self.returns[done] = 0.0
        return observation, final, scaled

    def part(self, rows: slice) -> RewardNorm:
        """The same statistics, and the returns of some environments only."""
        other = copy(self)
        other.returns = self.returns[rows]
        return other

    def apply(self, observation: np.ndarray) -> np.ndarray:
        """Observations as they are."""
        return observation

    def apply_reward(self, reward: np.ndarray) -> np.ndarray:
        """Rewards scaled with the statistics as they stand."""
        scaled: np.ndarray = np.clip(reward / np.sqrt(self.moments.var + self.eps), -self.clip, self.clip)
        return scaled

    def state_dict(self) -> State:
        """The running moments and each environment's discounted return."""
        return {"statistics": self.moments.state_dict(), "returns": self.returns.copy()}

    def load_state_dict(self, state: State) -> None:
        """Go on from saved moments and returns."""
        self.moments.load_state_dict(state["statistics"])
        self.returns[:] = state["returns"]


@register("transform", "reward_norm", traits=TransformTraits(keeps_pictures=True))
def make_reward_norm(
    options: RewardNormOptions,
    space: gymnasium.spaces.Box,
    num_envs: int,
    gamma: float,
) -> Transform:
    """Scaling of rewards."""
    return RewardNorm(options, num_envs, gamma)
