"""Soft actor-critic for continuous actions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Literal

from rlrecipe.algorithms.base import flat
from rlrecipe.algorithms.off_policy import OffPolicyOptions, ValueLearner, check_off_policy, weighted, with_action
from rlrecipe.interfaces import Algorithm, Batch, Head, Key, Network, Objective, Params, Scalars
from rlrecipe.lazy import np, torch
from rlrecipe.recipe.errors import Problem
from rlrecipe.recipe.options import Options, option
from rlrecipe.recipe.registry import register

if TYPE_CHECKING:
    from rlrecipe.distributions.tanh_normal import StateTanhNormal
    from rlrecipe.recipe.schema import Recipe

NETWORK = {"name": "mlp", "num_cells": [256, 256], "activation": "relu", "init": "default"}
DEFAULTS = {
    "networks": {
        "policy": {**NETWORK, "distribution": {"name": "tanh_normal", "state_dependent": True}},
        "qvalue": NETWORK,
    },
    "optimizer": {"name": "adam", "lr": 3e-4},
    "collector": {"name": "sync", "frames_per_batch": 1, "init_random_frames": 100},
    "replay_buffer": {"name": "uniform", "batch_size": 256},
}


class SACOptions(OffPolicyOptions):
    """Soft actor-critic: off-policy, continuous actions."""

    alpha_init: float = option(1.0, "First temperature, the weight of the entropy.", gt=0)
    fixed_alpha: bool = option(False, "Keep the temperature as it is instead of learning it.")
    target_entropy: float | Literal["auto"] = option(
        "auto", "Entropy that the temperature is learned for; auto: minus the number of action dimensions."
    )


class SAC(ValueLearner):
    """SAC with twin critics and a learned temperature (Haarnoja et al., 2018b, algorithm 1).

    In the order of stable-baselines3: critics and policy see the temperature of before the update, the policy
    sees the new critics.

    Args:
        options: the numbers.
        policy: network to the distribution's features.
        qvalue: two networks from observation and action to one number.
        distribution: squashed normals, mean and deviation from the network.
    """

    targets = ("qvalue",)

    def __init__(self, options: SACOptions, policy: Network, qvalue: Network, distribution: StateTanhNormal) -> None:
        super().__init__(options)
        self.options, self.policy, self.qvalue, self.distribution = options, policy, qvalue, distribution
        auto = options.target_entropy == "auto"
        self.target_entropy = -float(distribution.n) if auto else float(options.target_entropy)
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

    def noise(self, rng: np.random.Generator, rows: int) -> dict[Key, np.ndarray]:
        """Standard normal numbers for the actions in both states of a transition."""
        shape = (rows, self.distribution.n)
        return {key: rng.standard_normal(shape, np.float32) for key in ("noise", ("next", "noise"))}

    def critic_loss(self, params: Params, batch: Batch, inputs: Scalars) -> tuple[torch.Tensor, Scalars]:
        """Half the squared errors of both critics in a sub-batch ``[B, ...]``, summed (equation 5)."""
        following = batch["next", "observation"]
        with torch.no_grad():
            action, log_prob = self.distribution.draw(
                self.policy(params["policy"], flat(following)), batch["next", "noise"]
            )
            values = self.qvalue(params["target_qvalue"], with_action(following, action)).squeeze(-1)
            target = self.td_target(batch, values.amin(0) - self.alpha(params) * log_prob)
        taken = self.qvalue(params["qvalue"], with_action(batch["observation"], batch["action"])).squeeze(-1)
        error = taken - target
        loss, error = 0.5 * weighted(error.square(), batch), error.detach()
        return loss, {"qvalue": loss.detach(), "value_mean": taken.detach().mean(), "td_error": error.abs().amax(0)}

    def actor_loss(self, params: Params, batch: Batch, inputs: Scalars) -> tuple[torch.Tensor, Scalars]:
        """Losses of policy (equation 9) and temperature (equation 18, on its log), summed."""
        observation = batch["observation"]
        action, log_prob = self.distribution.draw(self.policy(params["policy"], flat(observation)), batch["noise"])
        values = self.qvalue(params["qvalue"], with_action(observation, action)).squeeze(-1)
        alpha = self.alpha(params)
        loss = (alpha * log_prob - values.min(0).values).mean()
        metrics = {"policy": loss.detach(), "entropy": -log_prob.detach().mean()}
        if not self.options.fixed_alpha:
            surplus = (log_prob.detach() + self.target_entropy).mean()
            loss = loss - params["alpha"]["log_alpha"] * surplus
            metrics["alpha"] = torch.as_tensor(alpha)
        return loss, metrics


def check(recipe: Recipe) -> Iterable[Problem]:
    """What in a recipe cannot go with SAC."""
    yield from check_off_policy(recipe)
    distribution = getattr(recipe.networks.get("policy"), "distribution", None)
    if distribution is not None and not getattr(distribution, "state_dependent", False):
        message = "sac needs a distribution whose deviation depends on the state, with actions in [-1, 1]"
        cure = "write {name: tanh_normal, state_dependent: true}, which is the default"
        yield Problem("E302", ("networks", "policy", "distribution"), message, cure)


def heads(distribution: StateTanhNormal, options: Options) -> dict[str, Head]:
    """A policy and twin critics."""
    return {"policy": Head(distribution.features), "qvalue": Head(1, action=True, copies=2)}


@register(
    "algorithm",
    "sac",
    check=check,
    defaults=DEFAULTS,
    slots=("policy", "qvalue"),
    own_slots=("alpha",),
    heads=heads,
    acts_in={"Box": {"name": "tanh_normal", "state_dependent": True}},
    updates_per_frame=1.0,
)
def make_sac(options: SACOptions, networks: Mapping[str, Network], distribution: StateTanhNormal) -> Algorithm:
    """SAC over the networks of its slots."""
    return SAC(options, networks["policy"], networks["qvalue"], distribution)
