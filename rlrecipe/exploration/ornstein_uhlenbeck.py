"""Ornstein-Uhlenbeck noise on continuous actions."""

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


class OrnsteinUhlenbeckOptions(Options):
    """Adds noise that drifts from step to step to actions in [-1, 1] and clips them there."""

    theta: float = option(0.15, "Pull of the noise to mu: higher forgets faster.", gt=0)
    mu: float = option(0.0, "Where the noise is pulled to.")
    sigma: Annotated[Value, schedulable(0)] = option(0.2, "Deviation of what is added in a unit of time.")
    dt: float = option(0.01, "Time of one step.", gt=0)


class OrnsteinUhlenbeck:
    """x + theta (mu - x) dt + sigma sqrt(dt) N(0, 1), from 0 in each episode (Lillicrap et al., 2016, section 3)."""

    def __init__(self, options: OrnsteinUhlenbeckOptions, shape: tuple[int, ...], sigma: Number) -> None:
        self.options, self.sigma = options, sigma
        self.x = np.zeros(shape, np.float32)

    def __call__(self, action: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Actions ``[N, n]`` with noise, in [-1, 1]."""
        options = self.options
        drift = options.theta * (options.mu - self.x) * options.dt
        push = self.sigma.value * np.sqrt(options.dt) * rng.standard_normal(self.x.shape)
        self.x = (self.x + drift + push).astype(np.float32)
        return np.clip(action + self.x, -1.0, 1.0).astype(np.float32)

    def reset(self, done: np.ndarray) -> None:
        """The noise of environments ``[N]`` whose episode has ended starts from 0 again."""
        self.x[done] = 0.0

    def state_dict(self) -> State:
        """The noise as it stands."""
        return {"x": self.x}

    def load_state_dict(self, state: State) -> None:
        """Go on from saved noise."""
        self.x = state["x"]


@register("exploration", "ornstein_uhlenbeck", traits=ExplorationTraits(fits=fits))
def make_ornstein_uhlenbeck(
    options: OrnsteinUhlenbeckOptions,
    space: gymnasium.spaces.Box,
    num_envs: int,
    number: Callable[[Value], Number],
) -> Exploration:
    """Drifting noise on the actions of ``space``."""
    return OrnsteinUhlenbeck(options, (num_envs, int(np.prod(space.shape))), number(options.sigma))
