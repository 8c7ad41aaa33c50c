"""Normal distribution with a deviation that does not depend on the state."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from rlrecipe.distributions.bounds import Bounds
from rlrecipe.interfaces import Distribution
from rlrecipe.lazy import gymnasium, np, torch
from rlrecipe.recipe.options import Options, option
from rlrecipe.recipe.registry import register
from rlrecipe.recipe.traits import DistributionTraits


class NormalOptions(Options):
    """Independent normals: the network gives the means, one learned number each log-deviation."""

    log_std_init: float = option(0.0, "Log of the first standard deviation; lower explores less.")


class Normal:
    """Actions ``[B, n]`` from means ``[B, n]``; clipped to the space only for the environment."""

    def __init__(self, space: gymnasium.spaces.Box, log_std_init: float) -> None:
        self.bounds, self.features = Bounds(space), int(np.prod(space.shape))
        self.log_std_init = log_std_init

    def init(self) -> dict[str, torch.Tensor]:
        """The log-deviations ``[n]``."""
        return {"log_std": torch.full((self.features,), float(self.log_std_init))}

    def noise(self, rng: np.random.Generator, rows: int) -> np.ndarray:
        """Standard normal numbers ``[B, n]``."""
        return rng.standard_normal((rows, self.features), dtype=np.float32)

    def sample(self, params: Mapping[str, Any], outputs: Any, noise: Any) -> Any:
        """Mean plus deviation times noise."""
        log_std = params["log_std"]
        return outputs + noise * (np.exp(log_std) if isinstance(log_std, np.ndarray) else log_std.exp())

    def mode(self, outputs: Any) -> Any:
        """The means."""
        return outputs

    def log_prob(self, params: Mapping[str, torch.Tensor], outputs: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
        """Log-densities ``[B]`` of the unclipped actions."""
        log_std = params["log_std"]
        z = (action - outputs) * torch.exp(-log_std)
        return -0.5 * (z * z).sum(-1) - log_std.sum() - 0.5 * math.log(2 * math.pi) * self.features

    def entropy(self, params: Mapping[str, torch.Tensor], outputs: torch.Tensor) -> torch.Tensor:
        """Entropies ``[B]`` in nats, the same in every state."""
        entropy = params["log_std"].sum() + (0.5 + 0.5 * math.log(2 * math.pi)) * self.features
        return entropy.expand(outputs.shape[0])

    def to_env(self, action: np.ndarray) -> np.ndarray:
        """Clipped to the bounds of the space, in its shape."""
        return self.bounds.inside(action)

    def random(self, rng: np.random.Generator, rows: int) -> np.ndarray:
        """Actions ``[B, n]`` drawn evenly between the bounds; standard normal numbers where there are none."""
        low, high = self.bounds.low.astype(np.float64), self.bounds.high.astype(np.float64)
        # Actions are stored as float32: a bound beyond its numbers is none.
        bounded = np.maximum(np.abs(low), np.abs(high)) <= np.finfo(np.float32).max
        even = rng.uniform(np.where(bounded, low, 0.0), np.where(bounded, high, 1.0), (rows, self.features))
        return np.where(bounded, even, rng.standard_normal(even.shape)).astype(np.float32)


def fits(space: gymnasium.Space[Any]) -> str | None:
    """Why a space cannot be acted in with this distribution, or None."""
    if isinstance(space, gymnasium.spaces.Box) and np.issubdtype(space.dtype, np.floating):
        return None
    if isinstance(space, gymnasium.spaces.Box):
        return f"normal draws real numbers, but {space} takes {space.dtype}; choose another environment"
    return f"normal needs a Box action space, not {space}; use categorical for a Discrete one"


@register("distribution", "normal", traits=DistributionTraits(fits=fits, gives=lambda options: {"densities"}))
def make_normal(options: NormalOptions, space: gymnasium.spaces.Box) -> Distribution:
    """Normals over the actions of ``space``."""
    return Normal(space, options.log_std_init)
