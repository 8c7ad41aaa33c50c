"""REINFORCE with a learned baseline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from rlrecipe.algorithms.base import DiscountedOptions
from rlrecipe.algorithms.on_policy import ActorCritic, check_on_policy, heads
from rlrecipe.interfaces import Algorithm, Batch, Distribution, Network, Objective, Params, Scalars
from rlrecipe.lazy import torch
from rlrecipe.recipe.options import option
from rlrecipe.recipe.registry import register
from rlrecipe.recipe.traits import AlgorithmTraits
from rlrecipe.recipe.values import Value, schedulable

DEFAULTS = {
    "env": {"num_envs": 8},
    "networks": {"policy": {"name": "mlp"}, "value": {"name": "mlp"}},
    "optimizer": {"name": "adam", "lr": 3e-3},
    "collector": {"name": "sync", "frames_per_batch": 1024},
}


class ReinforceOptions(DiscountedOptions):
    """Policy gradient with the returns themselves: on-policy, one update a batch."""

    critic_coeff: Annotated[Value, schedulable(0)] = option(0.5, "Weight of the loss of the value network.")
    normalize_advantage: bool = option(False, "Give each batch's advantages mean 0 and deviation 1.")


class Reinforce(ActorCritic):
    """REINFORCE with baseline (Williams, 1992; Sutton and Barto, 2018, section 13.4).

    A step's return goes to the end of its episode; where the batch or a time limit cuts the episode, the
    value network stands for the rest.

    Args:
        options: the numbers.
        policy: network to the distribution's features.
        value: network to one number, the baseline.
        distribution: what turns features into actions.
    """

    def __init__(self, options: ReinforceOptions, policy: Network, value: Network, distribution: Distribution) -> None:
        # With a trace that never decays, GAE's advantages are returns less the baseline.
        super().__init__(policy, value, distribution, options.gamma, lmbda=1.0)
        self.options = options
        self.objectives = (Objective(self.loss),)
        self.coefficients: Mapping[str, Value] = {"critic_coeff": options.critic_coeff}

    def loss(self, params: Params, batch: Batch, inputs: Scalars) -> tuple[torch.Tensor, Scalars]:
        """Policy gradient and baseline error of a batch ``[B, ...]``."""
        policy_loss, value_loss, _ = self.losses(params, batch, normalize=self.options.normalize_advantage)
        metrics = {"policy": policy_loss.detach(), "value": value_loss.detach()}
        return policy_loss + inputs["critic_coeff"] * value_loss, metrics


@register(
    "algorithm",
    "reinforce",
    check=check_on_policy,
    traits=AlgorithmTraits(
        slots=("policy", "value"),
        heads=heads,
        acts_in={"Discrete": "categorical", "Box": "normal"},
        reads_bytes=True,
        defaults=DEFAULTS,
        needs="densities",
    ),
)
def make_reinforce(options: ReinforceOptions, networks: Mapping[str, Network], distribution: Distribution) -> Algorithm:
    """REINFORCE over the networks of its slots."""
    return Reinforce(options, networks["policy"], networks["value"], distribution)
