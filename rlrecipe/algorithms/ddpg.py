"""Deep deterministic policy gradient."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rlrecipe.algorithms.base import flat
from rlrecipe.algorithms.off_policy import Critics, OffPolicyOptions, check_off_policy, with_action
from rlrecipe.interfaces import Algorithm, Batch, Distribution, Head, Network, Objective, Params, Scalars, Spaces
from rlrecipe.lazy import torch
from rlrecipe.recipe.options import Options
from rlrecipe.recipe.registry import register
from rlrecipe.recipe.traits import AlgorithmTraits

NETWORK = {"name": "mlp", "num_cells": [400, 300], "activation": "relu", "init": "default"}
DEFAULTS = {
    "networks": {"policy": NETWORK, "qvalue": NETWORK},
    "optimizer": {"name": "adam", "lr": 1e-3},
    "collector": {"name": "sync", "frames_per_batch": 1, "init_random_frames": 100},
    "replay_buffer": {"name": "uniform", "batch_size": 256},
    "exploration": {"name": "gaussian", "sigma": 0.1},
}


class DDPGOptions(OffPolicyOptions):
    """Deep deterministic policy gradient: off-policy, continuous actions."""


class DDPG(Critics):
    """DDPG (Lillicrap et al., 2016, algorithm 1).

    Args:
        options: the numbers.
        policy: network to the distribution's features.
        qvalue: network from observation and action to one number.
        distribution: what turns features into actions in [-1, 1].
    """

    targets = ("policy", "qvalue")

    def __init__(self, options: DDPGOptions, policy: Network, qvalue: Network, distribution: Distribution) -> None:
        super().__init__(options)
        self.policy, self.qvalue, self.distribution = policy, qvalue, distribution
        #: The critic that the policy learns from.
        self.judge: Callable[..., torch.Tensor] = qvalue
        self.objectives: tuple[Objective, ...] = (
            Objective(self.critic_loss, ("qvalue",)),
            Objective(self.actor_loss, ("policy",)),
        )

    def next_value(self, params: Params, batch: Batch) -> torch.Tensor:
        """The target critic's value of the target policy's action (equation 5)."""
        following = batch["next", "observation"]
        action = self.distribution.mode(self.policy(params["target_policy"], flat(following)))
        return self.qvalue(params["target_qvalue"], with_action(following, action)).squeeze(-1)

    def taken_value(self, params: Params, batch: Batch) -> torch.Tensor:
        """The critic's value of the taken actions."""
        return self.qvalue(params["qvalue"], with_action(batch["observation"], batch["action"])).squeeze(-1)

    def actor_loss(self, params: Params, batch: Batch, inputs: Scalars) -> tuple[torch.Tensor, Scalars]:
        """Minus the value of the policy's own actions (equation 6)."""
        observation = batch["observation"]
        action = self.distribution.mode(self.policy(params["policy"], flat(observation)))
        loss = -self.judge(params["qvalue"], with_action(observation, action)).mean()
        return loss, {"policy": loss.detach()}


def heads(distribution: Distribution, options: Options, spaces: Spaces) -> dict[str, Head]:
    """A policy and a critic."""
    return {"policy": Head(distribution.features), "qvalue": Head(1, action=True)}


@register(
    "algorithm",
    "ddpg",
    check=check_off_policy,
    traits=AlgorithmTraits(
        slots=("policy", "qvalue"),
        heads=heads,
        acts_in={"Box": "tanh"},
        defaults=DEFAULTS,
        needs="deterministic actions",
        updates_per_frame=1.0,
    ),
)
def make_ddpg(options: DDPGOptions, networks: Mapping[str, Network], distribution: Distribution) -> Algorithm:
    """DDPG over the networks of its slots."""
    return DDPG(options, networks["policy"], networks["qvalue"], distribution)
