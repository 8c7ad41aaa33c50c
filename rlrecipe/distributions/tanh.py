"""Deterministic actions, squashed by tanh into the bounds of the action space."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rlrecipe.distributions.bounds import Bounds
from rlrecipe.interfaces import Distribution
from rlrecipe.lazy import gymnasium, np, torch
from rlrecipe.recipe.options import Options
from rlrecipe.recipe.registry import register
from rlrecipe.recipe.traits import DistributionTraits


class TanhOptions(Options):
    """One action for each state: tanh of the network's outputs, scaled to the bounds of the space."""


class Scaled:
    """Actions stored in [-1, 1]^n and scaled for the environment, so that critics see one range."""

    def __init__(self, space: gymnasium.spaces.Box) -> None:
        self.bounds, self.features = Bounds(space), int(np.prod(space.shape))

    def init(self) -> dict[str, torch.Tensor]:
        """No parameters of its own."""
        return {}

    def to_env(self, action: np.ndarray) -> np.ndarray:
        """Scaled to the bounds of the space and inside of them, in its shape."""
        return self.bounds.scaled(action)

    def random(self, rng: np.random.Generator, rows: int) -> np.ndarray:
        """Actions ``[B, n]`` drawn evenly from [-1, 1]."""
        return rng.uniform(-1.0, 1.0, (rows, len(self.bounds.low))).astype(np.float32)


class Tanh(Scaled):
    """Actions ``[B, n]`` in [-1, 1] from outputs ``[B, n]``."""

    def noise(self, rng: np.random.Generator, rows: int) -> np.ndarray:
        """Nothing is drawn."""
        return np.empty((rows, 0), np.float32)

    def sample(self, params: Mapping[str, Any], outputs: Any, noise: Any) -> Any:
        """The one action."""
        return self.mode(outputs)

    def mode(self, outputs: Any) -> Any:
        """Tanh of the outputs."""
        return np.tanh(outputs) if isinstance(outputs, np.ndarray) else torch.tanh(outputs)

    def log_prob(self, params: Mapping[str, torch.Tensor], outputs: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
        """There is none.

        Raises:
            TypeError: always.
        """
        raise TypeError("a deterministic policy has no density; use normal or tanh_normal")

    def entropy(self, params: Mapping[str, torch.Tensor], outputs: torch.Tensor) -> torch.Tensor:
        """There is none.

        Raises:
            TypeError: always.
        """
        raise TypeError("a deterministic policy has no entropy; use normal or tanh_normal")


def misfit(name: str, space: gymnasium.Space[Any], *, unlike: str, unbounded: str) -> str | None:
    """Why actions cannot be scaled to a space, or None.

    Args:
        name: of the distribution.
        space: to act in.
        unlike: what to do about another kind of space.
        unbounded: what to do about missing bounds.
    """
    if not isinstance(space, gymnasium.spaces.Box) or not np.issubdtype(space.dtype, np.floating):
        return f"{name} needs a Box action space of real numbers, not {space}; {unlike}"
    if not space.is_bounded():
        return f"{name} needs bounds to scale to, which {space} lacks; {unbounded}"
    return None


def fits(space: gymnasium.Space[Any]) -> str | None:
    """Why a space cannot be acted in with this distribution, or None."""
    bounds = "bound it in the environment, or use ppo"
    return misfit("tanh", space, unlike="use dqn or discrete_sac for a Discrete one", unbounded=bounds)


@register("distribution", "tanh", traits=DistributionTraits(fits=fits, gives=lambda options: {"deterministic actions"}))
def make_tanh(options: TanhOptions, space: gymnasium.spaces.Box) -> Distribution:
    """Deterministic actions in ``space``."""
    return Tanh(space)
