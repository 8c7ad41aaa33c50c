"""Advantage actor-critic."""

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
    "optimizer": {"name": "rmsprop", "lr": 7e-4, "alpha": 0.99, "eps": 1e-5},
    "collector": {"name": "sync", "frames_per_batch": 40},
    "trainer": {"clip_norm": 0.5},
}


class A2COptions(DiscountedOptions):
    """Advantage actor-critic: on-policy, one update a batch; discrete or continuous actions."""

    lmbda: float = option(1.0, "Trace decay of GAE: 0 trusts the value network, 1 the rewards.", ge=0, le=1)
    entropy_coeff: Annotated[Value, schedulable(0)] = option(
        0.0, "Weight of the entropy bonus: higher keeps the policy random for longer."
    )
    critic_coeff: Annotated[Value, schedulable(0)] = option(0.5, "Weight of the value loss.")
    normalize_advantage: bool = option(False, "Give each batch's advantages mean 0 and deviation 1.")


class A2C(ActorCritic):
    """The synchronous form of A3C (Mnih et al., 2016, algorithm S3), as stable-baselines3 computes it.

    Args:
        options: the numbers.
        policy: network to the distribution's features.
        value: network to one number.
        distribution: what turns features into actions.
    """

    def __init__(self, options: A2COptions, policy: Network, value: Network, distribution: Distribution) -> None:
        super().__init__(policy, value, distribution, options.gamma, options.lmbda)
        self.options = options
        self.objectives = (Objective(self.loss),)
        self.coefficients: Mapping[str, Value] = {
            name: getattr(options, name) for name in ("entropy_coeff", "critic_coeff")
        }

    def loss(self, params: Params, batch: Batch, inputs: Scalars) -> tuple[torch.Tensor, Scalars]:
        """Policy gradient, value error and entropy bonus of a batch ``[B, ...]``."""
        policy_loss, value_loss, outputs = self.losses(params, batch, normalize=self.options.normalize_advantage)
        loss = policy_loss + inputs["critic_coeff"] * value_loss
        # Reported only where it has no weight: its gradient, times zero, would cost as much as one that has.
        bonus = self.options.entropy_coeff != 0
        entropy = self.distribution.entropy(params["policy"], outputs if bonus else outputs.detach()).mean()
        if bonus:
            loss = loss - inputs["entropy_coeff"] * entropy
        metrics = {"policy": policy_loss, "value": value_loss, "entropy": entropy}
        return loss, {name: value.detach() for name, value in metrics.items()}


@register(
    "algorithm",
    "a2c",
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
def make_a2c(options: A2COptions, networks: Mapping[str, Network], distribution: Distribution) -> Algorithm:
    """A2C over the networks of its slots."""
    return A2C(options, networks["policy"], networks["value"], distribution)
