"""Normal distribution squashed by tanh into the bounds of the action space."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from rlrecipe.distributions.normal import Normal, NormalOptions
from rlrecipe.distributions.tanh import Scaled, misfit
from rlrecipe.interfaces import Distribution
from rlrecipe.lazy import gymnasium, np, torch
from rlrecipe.recipe.options import option
from rlrecipe.recipe.registry import register
from rlrecipe.recipe.traits import DistributionTraits

#: Bounds on the log of a deviation that a network gives (Haarnoja et al., 2018, their code).
LOG_STD = (-20.0, 2.0)


class TanhNormalOptions(NormalOptions):
    """A normal whose actions pass through tanh and are scaled to the bounds of the space."""

    state_dependent: bool = option(
        False, "The network gives the deviation, too, and actions are stored after tanh: what sac needs."
    )


def log_slope(u: torch.Tensor) -> torch.Tensor:
    """log(1 - tanh(u)^2), written so that it keeps its precision (Haarnoja et al., 2018, appendix C)."""
    return 2 * (math.log(2) - u - torch.nn.functional.softplus(-2 * u))


class TanhNormal(Normal):
    """Stores and scores the action before tanh, ``u``; the environment sees tanh(u), scaled.

    Scoring u avoids the inverse of tanh, which has no value at the bounds.
    """

    def log_prob(self, params: Mapping[str, torch.Tensor], outputs: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
        """Log-densities ``[B]`` of tanh(u) in [-1, 1]^n."""
        return super().log_prob(params, outputs, action) - log_slope(action).sum(-1)

    def entropy(self, params: Mapping[str, torch.Tensor], outputs: torch.Tensor) -> torch.Tensor:
        """Entropies ``[B]`` of the normal before tanh: the squashed one has no closed form."""
        return super().entropy(params, outputs)

    def to_env(self, action: np.ndarray) -> np.ndarray:
        """tanh(u), scaled to the bounds of the space and inside of them, in its shape."""
        return self.bounds.scaled(np.tanh(action))

    def random(self, rng: np.random.Generator, rows: int) -> np.ndarray:
        """Actions ``[B, n]`` whose tanh is drawn evenly from [-1, 1]."""
        return np.arctanh(rng.uniform(-1.0, 1.0, (rows, self.features)) * (1 - 1e-6)).astype(np.float32)


class StateTanhNormal(Scaled):
    """Actions tanh(u) in [-1, 1]^n; mean and log-deviation of u from the network, ``[B, 2 n]``."""

    def __init__(self, space: gymnasium.spaces.Box) -> None:
        super().__init__(space)
        self.n = self.features
        self.features = 2 * self.n

    def noise(self, rng: np.random.Generator, rows: int) -> np.ndarray:
        """Standard normal numbers ``[B, n]``."""
        return rng.standard_normal((rows, self.n), dtype=np.float32)

    def moments(self, outputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and deviation before tanh, ``[..., n]`` each."""
        mean, log_std = outputs.chunk(2, -1)
        return mean, log_std.clamp(*LOG_STD).exp()

    def sample(self, params: Mapping[str, Any], outputs: Any, noise: Any) -> Any:
        """Tanh of mean plus deviation times noise."""
        mean, log_std = outputs[..., : self.n], outputs[..., self.n :]
        if isinstance(outputs, np.ndarray):
            return np.tanh(mean + np.exp(np.clip(log_std, *LOG_STD)) * noise)
        return torch.tanh(mean + log_std.clamp(*LOG_STD).exp() * noise)

    def mode(self, outputs: Any) -> Any:
        """Tanh of the means."""
        mean = outputs[..., : self.n]
        return np.tanh(mean) if isinstance(mean, np.ndarray) else torch.tanh(mean)

    def draw(self, outputs: torch.Tensor, noise: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Actions ``[B, n]`` and their log-densities ``[B]``, differentiable in the outputs."""
        mean, log_std = outputs.chunk(2, -1)
        log_std = log_std.clamp(*LOG_STD)
        u = mean + log_std.exp() * noise
        # The noise is (u - mean) / deviation, whatever the outputs are.
        log_prob = -0.5 * noise.square() - log_std - 0.5 * math.log(2 * math.pi) - log_slope(u)
        return torch.tanh(u), log_prob.sum(-1)

    def log_prob(self, params: Mapping[str, torch.Tensor], outputs: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
        """Log-densities ``[B]`` of stored actions; those at a bound are scored just inside of it."""
        inside = 1 - torch.finfo(action.dtype).eps
        u = torch.atanh(action.clamp(-inside, inside))
        mean, log_std = outputs.chunk(2, -1)
        return self.draw(outputs, (u - mean) * torch.exp(-log_std.clamp(*LOG_STD)))[1]

    def entropy(self, params: Mapping[str, torch.Tensor], outputs: torch.Tensor) -> torch.Tensor:
        """Entropies ``[B]`` of the normal before tanh: the squashed one has no closed form."""
        log_std = outputs[..., self.n :].clamp(*LOG_STD)
        return (log_std + 0.5 + 0.5 * math.log(2 * math.pi)).sum(-1)


def fits(space: gymnasium.Space[Any]) -> str | None:
    """Why a space cannot be acted in with this distribution, or None."""
    bounds = "bound it in the environment, or use normal with ppo"
    return misfit("tanh_normal", space, unlike="use categorical for a Discrete one", unbounded=bounds)


def gives(options: TanhNormalOptions) -> set[str]:
    """What an algorithm can ask of it."""
    return {"densities", *(("differentiable draws",) if options.state_dependent else ())}


@register("distribution", "tanh_normal", traits=DistributionTraits(fits=fits, gives=gives))
def make_tanh_normal(options: TanhNormalOptions, space: gymnasium.spaces.Box) -> Distribution:
    """Squashed normals over the actions of ``space``."""
    return StateTanhNormal(space) if options.state_dependent else TanhNormal(space, options.log_std_init)
