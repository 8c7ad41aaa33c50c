"""Observations with running mean 0 and variance 1."""

from __future__ import annotations

from rlrecipe.interfaces import State, Transform
from rlrecipe.lazy import gymnasium, np
from rlrecipe.recipe.options import option
from rlrecipe.recipe.registry import register
from rlrecipe.transforms.base import RunningMoments, TransformOptions


class ObservationNormOptions(TransformOptions):
    """Subtract the running mean of the training observations, divide by their deviation, clip."""

    clip: float = option(10.0, "Bound on a normalised observation.", gt=0)
    eps: float = option(1e-8, "Added to the variance.", gt=0)


class ObservationNorm:
    """Update, then normalise; the final observation of an episode is normalised, not counted."""

    def __init__(self, options: ObservationNormOptions, shape: tuple[int, ...]) -> None:
        self.clip, self.eps = options.clip, options.eps
        self.moments = RunningMoments(shape)

    def reset(self, observation: np.ndarray) -> np.ndarray:
        """First observations ``[N, ...]``."""
        self.moments.update(observation)
        return self.apply(observation)

    def step(
        self, observation: np.ndarray, final: np.ndarray, reward: np.ndarray, done: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Observations and true next observations, normalised; rewards as they are."""
        self.moments.update(observation)
        shown = self.apply(observation)
        if not done.any():
            return shown, shown, reward
        final = np.where(done.reshape(-1, *[1] * (shown.ndim - 1)), self.apply(final), shown)
        return shown, final, reward

    def apply(self, observation: np.ndarray) -> np.ndarray:
        """Observations normalised with the statistics as they stand."""
        scaled = (observation - self.moments.mean) / np.sqrt(self.moments.var + self.eps)
        return np.clip(scaled, -self.clip, self.clip).astype(np.float32)

    def apply_reward(self, reward: np.ndarray) -> np.ndarray:
        """Rewards as they are."""
        return reward

    def state_dict(self) -> State:
        """The running moments: ``policy.safetensors`` carries them."""
        return {"statistics": self.moments.state_dict()}

    def load_state_dict(self, state: State) -> None:
        """Go on from saved moments."""
        self.moments.load_state_dict(state["statistics"])


@register("transform", "observation_norm")
def make_observation_norm(
    options: ObservationNormOptions,
    space: gymnasium.spaces.Box,
    num_envs: int,
    gamma: float,
) -> Transform:
    """Normalisation of observations of ``space``."""
    return ObservationNorm(options, space.shape)
