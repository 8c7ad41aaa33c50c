"""Soft actor-critic for continuous actions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rlrecipe.algorithms import entropy
from rlrecipe.algorithms.base import flat
from rlrecipe.algorithms.entropy import EntropyLearner, EntropyOptions
from rlrecipe.algorithms.off_policy import check_off_policy, twin_heads, with_action
from rlrecipe.interfaces import Algorithm, Batch, Key, Network, Params, Scalars
from rlrecipe.lazy import np, torch
from rlrecipe.recipe.registry import register
from rlrecipe.recipe.traits import AlgorithmTraits

if TYPE_CHECKING:
    from rlrecipe.distributions.tanh_normal import StateTanhNormal


SQUASHED = {"name": "tanh_normal", "state_dependent": True}
DEFAULTS = {
    **entropy.DEFAULTS,
    # Here, too, so that a recipe that names tanh_normal alone means this one.
    "networks": {"policy": {**entropy.NETWORK, "distribution": SQUASHED}, "qvalue": entropy.NETWORK},
}


class SACOptions(EntropyOptions):
    """Soft actor-critic: off-policy, continuous actions."""


class SAC(EntropyLearner):
    """SAC with twin critics and a learned temperature (Haarnoja et al., 2018b, algorithm 1).

    Args:
        options: the numbers.
        policy: network to the distribution's features.
        qvalue: two networks from observation and action to one number.
        distribution: squashed normals, mean and deviation from the network.
    """

    def __init__(self, options: SACOptions, policy: Network, qvalue: Network, distribution: StateTanhNormal) -> None:
        # Minus the number of action dimensions (appendix D).
        super().__init__(options, -float(distribution.n))
        self.policy, self.qvalue, self.distribution = policy, qvalue, distribution

    def noise(self, rng: np.random.Generator, rows: int) -> dict[Key, np.ndarray]:
        """Standard normal numbers for the actions in both states of a transition."""
        shape = (rows, self.distribution.n)
        return {key: rng.standard_normal(shape, np.float32) for key in ("noise", ("next", "noise"))}

    def critic_loss(self, params: Params, batch: Batch, inputs: Scalars) -> tuple[torch.Tensor, Scalars]:
        """Half the squared errors of both critics in a sub-batch ``[B, ...]``, summed (equation 5)."""
        loss, metrics = super().critic_loss(params, batch, inputs)
        return 0.5 * loss, {**metrics, "qvalue": 0.5 * metrics["qvalue"]}

    def next_value(self, params: Params, batch: Batch) -> torch.Tensor:
        """The lower of both target critics' values of a drawn action, and its entropy (equation 3)."""
        following = batch["next", "observation"]
        outputs = self.policy(params["policy"], flat(following))
        action, log_prob = self.distribution.draw(outputs, batch["next", "noise"])
        values = self.qvalue(params["target_qvalue"], with_action(following, action)).squeeze(-1)
        return values.amin(0) - self.alpha(params) * log_prob

    def taken_value(self, params: Params, batch: Batch) -> torch.Tensor:
        """Both critics' values of the taken actions ``[2, B]``."""
        return self.qvalue(params["qvalue"], with_action(batch["observation"], batch["action"])).squeeze(-1)

    def actor_loss(self, params: Params, batch: Batch, inputs: Scalars) -> tuple[torch.Tensor, Scalars]:
        """Losses of policy (equation 9) and temperature."""
        observation = batch["observation"]
        action, log_prob = self.distribution.draw(self.policy(params["policy"], flat(observation)), batch["noise"])
        values = self.qvalue(params["qvalue"], with_action(observation, action)).squeeze(-1)
        loss = (self.alpha(params) * log_prob - values.min(0).values).mean()
        return self.with_temperature(loss, -log_prob.detach().mean(), params)


@register(
    "algorithm",
    "sac",
    check=check_off_policy,
    traits=AlgorithmTraits(
        slots=("policy", "qvalue"),
        heads=twin_heads,
        acts_in={"Box": SQUASHED},
        defaults=DEFAULTS,
        own_slots=("alpha",),
        needs="differentiable draws",
        updates_per_frame=1.0,
    ),
)
def make_sac(options: SACOptions, networks: Mapping[str, Network], distribution: StateTanhNormal) -> Algorithm:
    """SAC over the networks of its slots."""
    return SAC(options, networks["policy"], networks["qvalue"], distribution)
