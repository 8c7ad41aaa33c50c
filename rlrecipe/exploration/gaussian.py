"""Gaussian noise on continuous actions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from rlrecipe.exploration.base import fits
from rlrecipe.interfaces import Exploration, Number, State
from rlrecipe.lazy import gymnasium, np
from rlrecipe.recipe.options import Options, option
from rlrecipe.recipe.registry import register
from rlrecipe.recipe.traits import ExplorationTraits
from rlrecipe.recipe.values import Value, schedulable


class GaussianOptions(Options):
    """Adds independent normal noise to actions in [-1, 1] and clips them there."""

    sigma: Annotated[Value, schedulable(0)] = option(
        0.1, "Deviation of the noise, where the action's range is 2; a schedule lets it fall."
    )


class Gaussian:
    """New noise at every step (Fujimoto et al., 2018, section 6.1)."""

    def __init__(self, sigma: Number) -> None:
        self.sigma = sigma

    def __call__(self, action: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Actions ``[N, n]`` with noise, in [-1, 1]."""
        noisy = action + self.sigma.value * rng.standard_normal(action.shape, np.float32)
        clipped: np.ndarray = np.clip(noisy, -1.0, 1.0)
        return clipped.astype(np.float32)

    def reset(self, done: np.ndarray) -> None:
        """Nothing is remembered."""

    def state_dict(self) -> State:
        """Empty: sigma follows the clock."""
        return {}

    def load_state_dict(self, state: State) -> None:
        """Nothing to put back."""


@register("exploration", "gaussian", traits=ExplorationTraits(fits=fits))
def make_gaussian(
    options: GaussianOptions, space: gymnasium.spaces.Box, num_envs: int, number: Callable[[Value], Number]
) -> Exploration:
    """Gaussian noise on the actions of ``space``."""
    return Gaussian(number(options.sigma))
