"""Soft actor-critic for discrete actions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

from rlrecipe.algorithms.base import flat
from rlrecipe.algorithms.off_policy import OffPolicyOptions, ValueLearner, check_off_policy, weighted
from rlrecipe.interfaces import Algorithm, Batch, Distribution, Head, Network, Objective, Params, Scalars
from rlrecipe.lazy import torch
from rlrecipe.recipe.options import Options, option
from rlrecipe.recipe.registry import register

NETWORK = {"name": "mlp", "num_cells": [256, 256], "activation": "relu", "init": "default"}
DEFAULTS = {
    "networks": {"policy": NETWORK, "qvalue": NETWORK},
    "optimizer": {"name": "adam", "lr": 3e-4},
    "collector": {"name": "sync", "frames_per_batch": 1, "init_random_frames": 100},
    "replay_buffer": {"name": "uniform", "batch_size": 256},
}


class DiscreteSACOptions(OffPolicyOptions):
    """Soft actor-critic with a probability for each action: off-policy, discrete actions."""

    alpha_init: float = option(1.0, "First temperature, the weight of the entropy.", gt=0)
    fixed_alpha: bool = option(False, "Keep the temperature as it is instead of learning it.")
    target_entropy: float | Literal["auto"] = option(
        "auto", "Entropy that the temperature is learned for; auto: target_entropy_weight of the highest."
    )
    target_entropy_weight: float = option(0.98, "Share of the highest entropy, log n of n actions.", ge=0, le=1)


class DiscreteSAC(ValueLearner):
    """Discrete SAC (Christodoulou, 2019): expectations over actions are sums, so nothing is sampled.

    Args:
        options: the numbers.
        policy: network to a logit for each action.
        qvalue: two networks to a value for each action.
        actions: how many there are.
    """

    targets = ("qvalue",)

    def __init__(self, options: DiscreteSACOptions, policy: Network, qvalue: Network, actions: int) -> None:
        super().__init__(options)
        self.options, self.policy, self.qvalue = options, policy, qvalue
        auto = options.target_entropy == "auto"
        self.target_entropy = (
            options.target_entropy_weight * math.log(actions) if auto else float(options.target_entropy)
        )
        # Policy and temperature share one forward pass; neither loss reads what the other moves.
        actor = ("policy",) if options.fixed_alpha else ("policy", "alpha")
        self.objectives = (Objective(self.critic_loss, ("qvalue",)), Objective(self.actor_loss, actor))

    def init(self) -> dict[str, dict[str, torch.Tensor]]:
        """The log of the temperature."""
        if self.options.fixed_alpha:
            return {}
        return {"alpha": {"log_alpha": torch.tensor(math.log(self.options.alpha_init))}}

    def alpha(self, params: Params) -> torch.Tensor | float:
        """The temperature, without a gradient."""
        if self.options.fixed_alpha:
            return self.options.alpha_init
        return params["alpha"]["log_alpha"].detach().exp()

    def critic_loss(self, params: Params, batch: Batch, inputs: Scalars) -> tuple[torch.Tensor, Scalars]:
        """Squared errors of both critics in a sub-batch ``[B, ...]``, summed (equations 3 and 10)."""
        following = flat(batch["next", "observation"])
        with torch.no_grad():
            log_p = torch.log_softmax(self.policy(params["policy"], following), -1)
            values = self.qvalue(params["target_qvalue"], following).amin(0)
            target = self.td_target(batch, (log_p.exp() * (values - self.alpha(params) * log_p)).sum(-1))
        values = self.qvalue(params["qvalue"], flat(batch["observation"]))
        index = batch["action"].expand(len(values), -1).unsqueeze(-1)
        taken = values.gather(-1, index).squeeze(-1)
        error = taken - target
        loss, error = weighted(error.square(), batch), error.detach()
        return loss, {"qvalue": loss.detach(), "value_mean": taken.detach().mean(), "td_error": error.abs().amax(0)}

    def actor_loss(self, params: Params, batch: Batch, inputs: Scalars) -> tuple[torch.Tensor, Scalars]:
        """Losses of policy (equation 12) and temperature (equation 11, on its log), summed."""
        observation = flat(batch["observation"])
        log_p = torch.log_softmax(self.policy(params["policy"], observation), -1)
        p, values, alpha = log_p.exp(), self.qvalue(params["qvalue"], observation).amin(0), self.alpha(params)
        loss = (p * (alpha * log_p - values)).sum(-1).mean()
        entropy = -(p * log_p).sum(-1).detach().mean()
        metrics = {"policy": loss.detach(), "entropy": entropy}
        if not self.options.fixed_alpha:
            loss = loss - params["alpha"]["log_alpha"] * (self.target_entropy - entropy)
            metrics["alpha"] = torch.as_tensor(alpha)
        return loss, metrics


def heads(distribution: Distribution, options: Options) -> dict[str, Head]:
    """A policy and twin critics."""
    n = distribution.features
    return {"policy": Head(n), "qvalue": Head(n, copies=2)}


@register(
    "algorithm",
    "discrete_sac",
    check=check_off_policy,
    defaults=DEFAULTS,
    slots=("policy", "qvalue"),
    own_slots=("alpha",),
    heads=heads,
    acts_in={"Discrete": "categorical"},
    updates_per_frame=1.0,
)
def make_discrete_sac(
    options: DiscreteSACOptions, networks: Mapping[str, Network], distribution: Distribution
) -> Algorithm:
    """Discrete SAC over the networks of its slots."""
    return DiscreteSAC(options, networks["policy"], networks["qvalue"], distribution.features)
