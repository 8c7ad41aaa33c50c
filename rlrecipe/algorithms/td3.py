"""Twin delayed deep deterministic policy gradient."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from rlrecipe.algorithms.base import flat
from rlrecipe.algorithms.ddpg import DDPG, DEFAULTS, DDPGOptions
from rlrecipe.algorithms.off_policy import check_off_policy, twin_heads, with_action
from rlrecipe.interfaces import Algorithm, Batch, Distribution, Key, Network, Params
from rlrecipe.lazy import np, torch
from rlrecipe.recipe.options import option
from rlrecipe.recipe.registry import register
from rlrecipe.recipe.traits import AlgorithmTraits

if TYPE_CHECKING:
    from rlrecipe.networks.copies import Copies


class TD3Options(DDPGOptions):
    """Twin delayed DDPG: off-policy, continuous actions."""

    policy_delay: int = option(2, "Updates of the critics for one of the policy and the targets.", gt=0)
    policy_noise: float = option(0.2, "Deviation of the noise on a target's action, where the range is 2.", ge=0)
    noise_clip: float = option(0.5, "Bound on that noise.", ge=0)


class TD3(DDPG):
    """TD3 (Fujimoto et al., 2018, algorithm 1).

    Args:
        options: the numbers.
        policy: network to the distribution's features.
        qvalue: two networks from observation and action to one number.
        distribution: what turns features into actions in [-1, 1].
    """

    def __init__(self, options: TD3Options, policy: Network, qvalue: Copies, distribution: Distribution) -> None:
        super().__init__(options, policy, qvalue, distribution)
        self.options, self.judge = options, qvalue.first
        critic, actor = self.objectives
        self.objectives = (critic, replace(actor, every=options.policy_delay))

    def noise(self, rng: np.random.Generator, rows: int) -> dict[Key, np.ndarray]:
        """Standard normal numbers for the targets' actions."""
        return {"noise": rng.standard_normal((rows, self.distribution.features), np.float32)}

    def next_value(self, params: Params, batch: Batch) -> torch.Tensor:
        """The lower of both target critics' values of the target policy's action, with clipped noise."""
        following, bound = batch["next", "observation"], self.options.noise_clip
        action = self.distribution.mode(self.policy(params["target_policy"], flat(following)))
        noise = (self.options.policy_noise * batch["noise"]).clamp(-bound, bound)
        action = (action + noise).clamp(-1.0, 1.0)
        return self.qvalue(params["target_qvalue"], with_action(following, action)).squeeze(-1).amin(0)


@register(
    "algorithm",
    "td3",
    check=check_off_policy,
    traits=AlgorithmTraits(
        slots=("policy", "qvalue"),
        heads=twin_heads,
        acts_in={"Box": "tanh"},
        defaults=DEFAULTS,
        needs="deterministic actions",
        updates_per_frame=1.0,
    ),
)
def make_td3(options: TD3Options, networks: Mapping[str, Copies], distribution: Distribution) -> Algorithm:
    """TD3 over the networks of its slots."""
    return TD3(options, networks["policy"], networks["qvalue"], distribution)
