"""Deep Q-learning."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from rlrecipe.algorithms.base import flat
from rlrecipe.algorithms.off_policy import OffPolicyOptions, ValueLearner, check_off_policy, weighted
from rlrecipe.interfaces import Algorithm, Batch, Distribution, Head, Network, Objective, Params, Scalars, Spaces
from rlrecipe.lazy import torch
from rlrecipe.recipe.options import Options, option
from rlrecipe.recipe.registry import register
from rlrecipe.recipe.slots import Slot
from rlrecipe.recipe.traits import AlgorithmTraits

DEFAULTS = {
    "networks": {"qvalue": {"name": "mlp", "activation": "relu", "init": "default"}},
    "optimizer": {"name": "adam", "lr": 1e-4},
    "collector": {"name": "sync", "frames_per_batch": 4, "init_random_frames": 100},
    "replay_buffer": {"name": "uniform", "batch_size": 32},
    "exploration": {"name": "egreedy"},
    "trainer": {"clip_norm": 10.0},
}


class DQNOptions(OffPolicyOptions):
    """Deep Q-learning: off-policy, discrete actions."""

    target: Annotated[Options, Slot("target", default="hard")] = option(
        {"name": "hard"}, "How the target network follows."
    )
    double: bool = option(False, "Let the network choose the next action and the target network value it.")
    dueling: bool = option(False, "Learn a state's value and its actions' advantages over their mean apart.")


class DQN(ValueLearner):
    """DQN with Huber loss (Mnih et al., 2015, algorithm 1).

    Double: van Hasselt et al., 2016. Dueling: Wang et al., 2016, equation 9, two heads on one trunk.

    Args:
        options: the numbers.
        qvalue: network to a value for each action; the state's value comes after them if ``dueling``.
    """

    targets = ("qvalue",)

    def __init__(self, options: DQNOptions, qvalue: Network) -> None:
        super().__init__(options)
        self.options, self.qvalue = options, qvalue
        self.objectives = (Objective(self.loss),)

    def values(self, params: Mapping[str, torch.Tensor], observation: torch.Tensor) -> torch.Tensor:
        """Action values ``[B, n]``."""
        values = self.qvalue(params, flat(observation))
        if not self.options.dueling:
            return values
        advantage, value = values[:, :-1], values[:, -1:]
        return value + advantage - advantage.mean(-1, keepdim=True)

    def next_value(self, params: Params, observation: torch.Tensor) -> torch.Tensor:
        """What the best next action is worth, ``[B]``."""
        with torch.no_grad():
            values = self.values(params["target_qvalue"], observation)
            if not self.options.double:
                return values.amax(-1)
            best = self.values(params["qvalue"], observation).argmax(-1, keepdim=True)
            return values.gather(-1, best).squeeze(-1)

    def loss(self, params: Params, batch: Batch, inputs: Scalars) -> tuple[torch.Tensor, Scalars]:
        """Huber loss of the taken actions' values in a sub-batch ``[B, ...]``."""
        values = self.values(params["qvalue"], batch["observation"])
        taken = values.gather(-1, batch["action"].unsqueeze(-1)).squeeze(-1)
        target = self.td_target(batch, self.next_value(params, batch["next", "observation"]))
        rows = torch.nn.functional.smooth_l1_loss(taken, target, reduction="none")
        loss, taken = weighted(rows, batch), taken.detach()
        return loss, {"qvalue": loss.detach(), "value_mean": taken.mean(), "td_error": taken - target}


def heads(distribution: Distribution, options: DQNOptions, spaces: Spaces) -> dict[str, Head]:
    """A value for each action, and the state's."""
    return {"qvalue": Head(distribution.features + options.dueling)}


@register(
    "algorithm",
    "dqn",
    check=check_off_policy,
    traits=AlgorithmTraits(
        slots=("qvalue",),
        heads=heads,
        acts="qvalue",
        acts_in={"Discrete": "greedy"},
        defaults=DEFAULTS,
        needs="greedy actions",
        updates_per_frame=0.25,
    ),
)
def make_dqn(options: DQNOptions, networks: Mapping[str, Network], distribution: Distribution) -> Algorithm:
    """DQN over its network."""
    return DQN(options, networks["qvalue"])
