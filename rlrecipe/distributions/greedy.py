"""The action of the highest value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rlrecipe.distributions.categorical import Categorical
from rlrecipe.interfaces import Distribution
from rlrecipe.lazy import gymnasium, np
from rlrecipe.recipe.options import Options
from rlrecipe.recipe.registry import register
from rlrecipe.recipe.traits import DistributionTraits


class GreedyOptions(Options):
    """Takes the action whose value is highest: for networks that give action values."""


class Greedy(Categorical):
    """Actions ``[B]`` from values of which the first n are the actions'."""

    def noise(self, rng: np.random.Generator, rows: int) -> np.ndarray:
        """Nothing is drawn."""
        return np.empty((rows, 0), np.float32)

    def sample(self, params: Mapping[str, Any], outputs: Any, noise: Any) -> Any:
        """The best action."""
        return self.mode(outputs)

    def mode(self, outputs: Any) -> Any:
        """The best action; a dueling network gives the state's value after the actions', which ranks nothing."""
        return outputs[..., : self.features].argmax(-1)


def fits(space: gymnasium.Space[Any]) -> str | None:
    """Why a space cannot be acted in with this distribution, or None."""
    if isinstance(space, gymnasium.spaces.Discrete):
        return None
    return f"greedy needs a Discrete action space, not {space}; use tanh for a Box"


@register("distribution", "greedy", traits=DistributionTraits(fits=fits, gives=lambda options: {"greedy actions"}))
def make_greedy(options: GreedyOptions, space: gymnasium.spaces.Discrete) -> Distribution:
    """The best of the actions of ``space``."""
    return Greedy(int(space.n), int(space.start))
