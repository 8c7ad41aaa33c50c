"""Twin delayed deep deterministic policy gradient."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rlrecipe.algorithms.base import flat
from rlrecipe.algorithms.off_policy import OffPolicyOptions, ValueLearner, check_off_policy, weighted, with_action
from rlrecipe.interfaces import Algorithm, Batch, Distribution, Head, Key, Network, Objective, Params, Scalars
from rlrecipe.lazy import np, torch
from rlrecipe.recipe.options import Options, option
from rlrecipe.recipe.registry import register

if TYPE_CHECKING:
    from rlrecipe.networks.copies import Copies

NETWORK = {"name": "mlp", "num_cells": [400, 300], "activation": "relu", "init": "default"}
DEFAULTS = {
    "networks": {"policy": NETWORK, "qvalue": NETWORK},
    "optimizer": {"name": "adam", "lr": 1e-3},
    "collector": {"name": "sync", "frames_per_batch": 1, "init_random_frames": 100},
    "replay_buffer": {"name": "uniform", "batch_size": 256},
    "exploration": {"name": "gaussian", "sigma": 0.1},
}


class TD3Options(OffPolicyOptions):
    """Twin delayed DDPG: off-policy, continuous actions."""

    policy_delay: int = option(2, "Updates of the critics for one of the policy and the targets.", gt=0)
    policy_noise: float = option(0.2, "Deviation of the noise on a target's action, where the range is 2.", ge=0)
    noise_clip: float = option(0.5, "Bound on that noise.", ge=0)


class TD3(ValueLearner):
    """TD3 (Fujimoto et al., 2018, algorithm 1).

    Args:
        options: the numbers.
        policy: network to the distribution's features.
        qvalue: two networks from observation and action to one number.
        distribution: what turns features into actions in [-1, 1].
    """

    targets = ("policy", "qvalue")

    def __init__(self, options: TD3Options, policy: Network, qvalue: Copies, distribution: Distribution) -> None:
        super().__init__(options)
        self.options, self.policy, self.qvalue, self.distribution = options, policy, qvalue, distribution
        self.objectives = (
            Objective(self.critic_loss, ("qvalue",)),
            Objective(self.actor_loss, ("policy",), every=options.policy_delay),
        )

    def noise(self, rng: np.random.Generator, rows: int) -> dict[Key, np.ndarray]:
        """Standard normal numbers for the targets' actions."""
        return {"noise": rng.standard_normal((rows, self.distribution.features), np.float32)}

    def critic_loss(self, params: Params, batch: Batch, inputs: Scalars) -> tuple[torch.Tensor, Scalars]:
        """Squared errors of both critics in a sub-batch ``[B, ...]``, summed."""
        following, bound = batch["next", "observation"], self.options.noise_clip
        with torch.no_grad():
            action = self.distribution.mode(self.policy(params["target_policy"], flat(following)))
            noise = (self.options.policy_noise * batch["noise"]).clamp(-bound, bound)
            action = (action + noise).clamp(-1.0, 1.0)
            values = self.qvalue(params["target_qvalue"], with_action(following, action)).squeeze(-1)
            target = self.td_target(batch, values.amin(0))
        taken = self.qvalue(params["qvalue"], with_action(batch["observation"], batch["action"])).squeeze(-1)
        error = taken - target
        loss, error = weighted(error.square(), batch), error.detach()
        return loss, {"qvalue": loss.detach(), "value_mean": taken.detach().mean(), "td_error": error.abs().amax(0)}

    def actor_loss(self, params: Params, batch: Batch, inputs: Scalars) -> tuple[torch.Tensor, Scalars]:
        """Minus the first critic's value of the policy's own actions."""
        observation = batch["observation"]
        action = self.distribution.mode(self.policy(params["policy"], flat(observation)))
        loss = -self.qvalue.first(params["qvalue"], with_action(observation, action)).mean()
        return loss, {"policy": loss.detach()}


def heads(distribution: Distribution, options: Options) -> dict[str, Head]:
    """A policy and twin critics."""
    return {"policy": Head(distribution.features), "qvalue": Head(1, action=True, copies=2)}


@register(
    "algorithm",
    "td3",
    check=check_off_policy,
    defaults=DEFAULTS,
    slots=("policy", "qvalue"),
    heads=heads,
    acts_in={"Box": "tanh"},
    updates_per_frame=1.0,
)
def make_td3(options: TD3Options, networks: Mapping[str, Copies], distribution: Distribution) -> Algorithm:
    """TD3 over the networks of its slots."""
    return TD3(options, networks["policy"], networks["qvalue"], distribution)
