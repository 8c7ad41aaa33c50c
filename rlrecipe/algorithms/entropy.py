"""What the soft actor-critics share: an entropy bonus whose weight, the temperature, is learned."""

from __future__ import annotations

import math
from typing import Literal

from rlrecipe.algorithms.off_policy import Critics, OffPolicyOptions
from rlrecipe.interfaces import Objective, Params, Scalars
from rlrecipe.lazy import torch
from rlrecipe.recipe.options import option

NETWORK = {"name": "mlp", "num_cells": [256, 256], "activation": "relu", "init": "default"}
DEFAULTS = {
    "networks": {"policy": NETWORK, "qvalue": NETWORK},
    "optimizer": {"name": "adam", "lr": 3e-4},
    "collector": {"name": "sync", "frames_per_batch": 1, "init_random_frames": 100},
    "replay_buffer": {"name": "uniform", "batch_size": 256},
}


class EntropyOptions(OffPolicyOptions):
    """What both of them are asked."""

    alpha_init: float = option(1.0, "First temperature, the weight of the entropy.", gt=0)
    fixed_alpha: bool = option(False, "Keep the temperature as it is instead of learning it.")
    target_entropy: float | Literal["auto"] = option(
        "auto", "Entropy that the temperature is learned for; auto takes it from the action space."
    )


class EntropyLearner(Critics):
    """Critics, a policy, and a temperature in the order of stable-baselines3.

    Critics and policy see the temperature of before the update, the policy sees the new critics. Policy and
    temperature share one forward pass; neither loss reads what the other moves.

    Args:
        options: the numbers.
        usual_entropy: the target where the options say auto, in nats.
    """

    targets = ("qvalue",)

    def __init__(self, options: EntropyOptions, usual_entropy: float) -> None:
        super().__init__(options)
        self.alpha_init, self.fixed_alpha = options.alpha_init, options.fixed_alpha
        self.target_entropy = usual_entropy if options.target_entropy == "auto" else float(options.target_entropy)
        actor = ("policy",) if options.fixed_alpha else ("policy", "alpha")
        self.objectives = (Objective(self.critic_loss, ("qvalue",)), Objective(self.actor_loss, actor))

    def init(self) -> dict[str, dict[str, torch.Tensor]]:
        """The log of the temperature."""
        return {} if self.fixed_alpha else {"alpha": {"log_alpha": torch.tensor(math.log(self.alpha_init))}}

    def alpha(self, params: Params) -> torch.Tensor | float:
        """The temperature, without a gradient."""
        return self.alpha_init if self.fixed_alpha else params["alpha"]["log_alpha"].detach().exp()

    def with_temperature(
        self, policy_loss: torch.Tensor, entropy: torch.Tensor, params: Params
    ) -> tuple[torch.Tensor, Scalars]:
        """The policy's loss plus the temperature's (Haarnoja et al., 2018b, equation 18, on its log).

        Args:
            policy_loss: 0-dimensional.
            entropy: mean of the policy's, 0-dimensional and without a gradient.
            params: of the algorithm.
        """
        metrics = {"policy": policy_loss.detach(), "entropy": entropy}
        if self.fixed_alpha:
            return policy_loss, metrics
        log_alpha = params["alpha"]["log_alpha"]
        metrics["alpha"] = log_alpha.detach().exp()
        return policy_loss - log_alpha * (self.target_entropy - entropy), metrics
