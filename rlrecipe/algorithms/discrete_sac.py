"""Soft actor-critic for discrete actions."""

from __future__ import annotations

import math
from collections.abc import Mapping

from rlrecipe.algorithms.base import flat
from rlrecipe.algorithms.entropy import DEFAULTS, EntropyLearner, EntropyOptions
from rlrecipe.algorithms.off_policy import check_off_policy
from rlrecipe.interfaces import Algorithm, Batch, Distribution, Head, Network, Params, Scalars, Spaces
from rlrecipe.lazy import torch
from rlrecipe.networks.fed import shared
from rlrecipe.recipe.options import Options, option
from rlrecipe.recipe.registry import register
from rlrecipe.recipe.traits import AlgorithmTraits


class DiscreteSACOptions(EntropyOptions):
    """Soft actor-critic with a probability for each action: off-policy, discrete actions."""

    target_entropy_weight: float = option(
        0.98, "Share of the highest entropy, log n of n actions, that target_entropy: auto means.", ge=0, le=1
    )


class DiscreteSAC(EntropyLearner):
    """Discrete SAC (Christodoulou, 2019): expectations over actions are sums, so nothing is sampled.

    Args:
        options: the numbers.
        policy: network to a logit for each action.
        qvalue: two networks to a value for each action.
        actions: how many there are.
    """

    def __init__(self, options: DiscreteSACOptions, policy: Network, qvalue: Network, actions: int) -> None:
        super().__init__(options, options.target_entropy_weight * math.log(actions))
        self.policy, self.qvalue = policy, qvalue
        self.front, (self.policy_head, self.qvalue_head) = shared(policy, qvalue)

    def next_value(self, params: Params, batch: Batch) -> torch.Tensor:
        """The lower of both target critics' values and the entropy, expected over actions (equation 3)."""
        following = flat(batch["next", "observation"])
        log_p = torch.log_softmax(self.policy(params["policy"], following), -1)
        values = self.qvalue(params["target_qvalue"], following).amin(0)
        return (log_p.exp() * (values - self.alpha(params) * log_p)).sum(-1)

    def taken_value(self, params: Params, batch: Batch) -> torch.Tensor:
        """Both critics' values of the taken actions ``[2, B]``."""
        values = self.qvalue(params["qvalue"], flat(batch["observation"]))
        return values.gather(-1, batch["action"].expand(len(values), -1).unsqueeze(-1)).squeeze(-1)

    def actor_loss(self, params: Params, batch: Batch, inputs: Scalars) -> tuple[torch.Tensor, Scalars]:
        """Losses of policy (equation 12) and temperature (equation 11, on its log)."""
        seen = self.front(params["policy"], flat(batch["observation"]))
        log_p = torch.log_softmax(self.policy_head(params["policy"], seen), -1)
        p, values = log_p.exp(), self.qvalue_head(params["qvalue"], seen).amin(0)
        loss = (p * (self.alpha(params) * log_p - values)).sum(-1).mean()
        return self.with_temperature(loss, -(p * log_p).sum(-1).detach().mean(), params)


def heads(distribution: Distribution, options: Options, spaces: Spaces) -> dict[str, Head]:
    """A policy and twin critics."""
    n = distribution.features
    return {"policy": Head(n), "qvalue": Head(n, copies=2)}


@register(
    "algorithm",
    "discrete_sac",
    check=check_off_policy,
    traits=AlgorithmTraits(
        slots=("policy", "qvalue"),
        heads=heads,
        acts_in={"Discrete": "categorical"},
        defaults=DEFAULTS,
        own_slots=("alpha",),
        needs="probabilities",
        updates_per_frame=1.0,
    ),
)
def make_discrete_sac(
    options: DiscreteSACOptions, networks: Mapping[str, Network], distribution: Distribution
) -> Algorithm:
    """Discrete SAC over the networks of its slots."""
    return DiscreteSAC(options, networks["policy"], networks["qvalue"], distribution.features)
