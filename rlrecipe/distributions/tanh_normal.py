"""Normal distribution squashed by tanh into the bounds of the action space."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from rlrecipe.distributions.normal import Normal, NormalOptions
from rlrecipe.interfaces import Distribution
from rlrecipe.lazy import gymnasium, np, torch
from rlrecipe.recipe.registry import register


class TanhNormalOptions(NormalOptions):
    """A normal whose actions pass through tanh and are scaled to the bounds of the space."""


class TanhNormal(Normal):
    """Stores and scores the action before tanh, ``u``; the environment sees tanh(u), scaled.

    Scoring u avoids the inverse of tanh, which has no value at the bounds.
    """

    def log_prob(self, params: Mapping[str, torch.Tensor], outputs: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
        """Log-densities ``[B]`` of tanh(u) in [-1, 1]^n (Haarnoja et al., 2018, appendix C).

        log(1 - tanh(u)^2) is written as 2 (log 2 - u - softplus(-2u)), which keeps its precision.
        """
        correction = 2 * (math.log(2) - action - torch.nn.functional.softplus(-2 * action))
        return super().log_prob(params, outputs, action) - correction.sum(-1)

    def entropy(self, params: Mapping[str, torch.Tensor], outputs: torch.Tensor) -> torch.Tensor:
        """Entropies ``[B]`` of the normal before tanh: the squashed one has no closed form."""
        return super().entropy(params, outputs)

    def to_env(self, action: np.ndarray) -> np.ndarray:
        """tanh(u), scaled to the bounds of the space, in its shape."""
        scaled: np.ndarray = self.low + 0.5 * (np.tanh(action) + 1.0) * (self.high - self.low)
        return scaled.astype(self.low.dtype, copy=False).reshape(-1, *self.shape)


def fits(space: gymnasium.Space[Any]) -> str | None:
    """Why a space cannot be acted in with this distribution, or None."""
    if not isinstance(space, gymnasium.spaces.Box) or not np.issubdtype(space.dtype, np.floating):
        return f"tanh_normal needs a Box action space of real numbers, not {space}; use categorical for a Discrete one"
    if not space.is_bounded():
        return f"tanh_normal needs bounds to scale to, which {space} lacks; use normal"
    return None


@register("distribution", "tanh_normal", fits=fits)
def make_tanh_normal(options: TanhNormalOptions, space: gymnasium.spaces.Box) -> Distribution:
    """Squashed normals over the actions of ``space``."""
    return TanhNormal(space, options.log_std_init)
