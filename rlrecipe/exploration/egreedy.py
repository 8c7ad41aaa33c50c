"""Epsilon-greedy exploration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from rlrecipe.interfaces import Exploration, Number, State
from rlrecipe.lazy import gymnasium, np
from rlrecipe.recipe.options import Options, option
from rlrecipe.recipe.registry import register
from rlrecipe.recipe.traits import ExplorationTraits
from rlrecipe.recipe.values import Value, schedulable


class EGreedyOptions(Options):
    """Takes a random action with probability eps, in each environment on its own."""

    eps: Annotated[Value, schedulable(0, 1)] = option(
        {"name": "linear", "start": 1.0, "end": 0.05, "until": 0.1},
        "Probability of a random action; a schedule lets it fall.",
    )


class EGreedy:
    """One draw for each environment (Sutton and Barto, 2018, section 2.2)."""

    def __init__(self, n: int, eps: Number) -> None:
        self.n, self.eps = n, eps

    def __call__(self, action: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Actions ``[N]``, some of them replaced."""
        random = rng.random(len(action)) < self.eps.value
        return np.where(random, rng.integers(0, self.n, len(action)), action)

    def reset(self, done: np.ndarray) -> None:
        """Nothing is remembered."""

    def state_dict(self) -> State:
        """Empty: eps follows the clock."""
        return {}

    def load_state_dict(self, state: State) -> None:
        """Nothing to put back."""


def fits(space: gymnasium.Space[Any]) -> str | None:
    """Why it cannot explore in a space, or None."""
    if isinstance(space, gymnasium.spaces.Discrete):
        return None
    return f"egreedy needs a Discrete action space, not {space}; use gaussian or ornstein_uhlenbeck"


@register("exploration", "egreedy", traits=ExplorationTraits(fits=fits))
def make_egreedy(
    options: EGreedyOptions, space: gymnasium.spaces.Discrete, num_envs: int, number: Callable[[Value], Number]
) -> Exploration:
    """Epsilon-greedy over the actions of ``space``."""
    return EGreedy(int(space.n), number(options.eps))
