"""Categorical distribution over discrete actions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rlrecipe.interfaces import Distribution
from rlrecipe.lazy import gymnasium, np, torch
from rlrecipe.recipe.options import Options
from rlrecipe.recipe.registry import register
from rlrecipe.recipe.traits import DistributionTraits


class CategoricalOptions(Options):
    """One logit for each action of a discrete space."""


class Categorical:
    """Actions ``[B]`` from logits ``[B, n]``; stored as 0..n-1 whatever the space starts at."""

    #: Which of the policies that torchrl's losses know it is.
    def __init__(self, n: int, start: int) -> None:
        self.features, self.start = n, start

    def init(self) -> dict[str, torch.Tensor]:
        """No parameters of its own."""
        return {}

    def noise(self, rng: np.random.Generator, rows: int) -> np.ndarray:
        """Standard Gumbel numbers ``[B, n]``."""
        return rng.gumbel(size=(rows, self.features))

    def sample(self, params: Mapping[str, Any], outputs: Any, noise: Any) -> Any:
        """The Gumbel-max trick: argmax of logits plus noise is a draw (Gumbel, 1954)."""
        return (outputs + noise).argmax(-1)

    def mode(self, outputs: Any) -> Any:
        """The action with the highest logit."""
        return outputs.argmax(-1)

    def log_prob(self, params: Mapping[str, torch.Tensor], outputs: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
        """Log-probabilities ``[B]``."""
        return torch.log_softmax(outputs, -1).gather(-1, action.unsqueeze(-1)).squeeze(-1)

    def entropy(self, params: Mapping[str, torch.Tensor], outputs: torch.Tensor) -> torch.Tensor:
        """Entropies ``[B]`` in nats."""
        log_p = torch.log_softmax(outputs, -1)
        return -(log_p.exp() * log_p).sum(-1)

    def to_env(self, action: np.ndarray) -> np.ndarray:
        """Shifted to where the space starts."""
        return action + self.start if self.start else action

    def random(self, rng: np.random.Generator, rows: int) -> np.ndarray:
        """Actions ``[B]``, each as likely as any other."""
        return rng.integers(0, self.features, rows)


def fits(space: gymnasium.Space[Any]) -> str | None:
    """Why a space cannot be acted in with this distribution, or None."""
    if isinstance(space, gymnasium.spaces.Discrete):
        return None
    return f"categorical needs a Discrete action space, not {space}; use normal or tanh_normal"


@register(
    "distribution",
    "categorical",
    traits=DistributionTraits(fits=fits, gives=lambda options: {"densities", "probabilities"}),
)
def make_categorical(options: CategoricalOptions, space: gymnasium.spaces.Discrete) -> Distribution:
    """Categorical over the actions of ``space``."""
    return Categorical(int(space.n), int(space.start))
