"""What algorithms share that learn action values from replayed transitions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

from rlrecipe.algorithms.base import DiscountedOptions, Plain, check_networks, flat
from rlrecipe.interfaces import Batch, Distribution, Head, Key, Params, Scalars, Spaces
from rlrecipe.lazy import np, torch
from rlrecipe.recipe.asked import init_random_frames
from rlrecipe.recipe.errors import Problem
from rlrecipe.recipe.options import Options, option
from rlrecipe.recipe.slots import Slot

if TYPE_CHECKING:
    from rlrecipe.recipe.schema import Recipe


class OffPolicyOptions(DiscountedOptions):
    """What all of them are asked."""

    n_steps: int = option(1, "Steps of rewards before a target network's value: more learn faster, with bias.", gt=0)
    target: Annotated[Options, Slot("target", default="soft")] = option(
        {"name": "soft"}, "How the target networks follow."
    )


class ValueLearner(Plain):
    """Learns action values from replayed transitions, with target networks.

    Args:
        options: the numbers.
    """

    def __init__(self, options: OffPolicyOptions) -> None:
        self.gamma, self.n_steps = options.gamma, options.n_steps
        self.target = options.target.component.build(options.target)

    def noise(self, rng: np.random.Generator, rows: int) -> dict[Key, np.ndarray]:
        """Nothing is drawn."""
        return {}

    def td_target(self, batch: Batch, next_value: torch.Tensor) -> torch.Tensor:
        """Reward + gamma^k next_value ``[B]``; a terminated step has no future, a truncated one has."""
        future = next_value.masked_fill(batch["next", "terminated"], 0.0)
        return batch["next", "reward"] + batch.get("gamma", self.gamma) * future


class Critics(ValueLearner, ABC):
    """A policy, and critics that value its actions."""

    def critic_loss(self, params: Params, batch: Batch, inputs: Scalars) -> tuple[torch.Tensor, Scalars]:
        """Squared errors of the critics in a sub-batch ``[B, ...]``, summed."""
        with torch.no_grad():
            target = self.td_target(batch, self.next_value(params, batch))
        return squared_error(self.taken_value(params, batch), target, batch)

    @abstractmethod
    def actor_loss(self, params: Params, batch: Batch, inputs: Scalars) -> tuple[torch.Tensor, Scalars]:
        """The policy's loss in a sub-batch ``[B, ...]``."""

    @abstractmethod
    def next_value(self, params: Params, batch: Batch) -> torch.Tensor:
        """What the next observations are worth ``[B]``, by the target networks."""

    @abstractmethod
    def taken_value(self, params: Params, batch: Batch) -> torch.Tensor:
        """The critics' values of the taken actions ``[..., B]``."""


def squared_error(taken: torch.Tensor, target: torch.Tensor, batch: Batch) -> tuple[torch.Tensor, Scalars]:
    """Loss and reports of critics' values ``[..., B]`` of the taken actions; copies add up."""
    error = taken - target
    loss, error = weighted(error.square(), batch), error.detach().abs()
    worst = error.amax(0) if error.dim() > 1 else error
    return loss, {"qvalue": loss.detach(), "value_mean": taken.detach().mean(), "td_error": worst}


def weighted(rows: torch.Tensor, batch: Batch) -> torch.Tensor:
    """The mean of rows ``[..., B]``, summed over leading dimensions, with the weights of prioritised replay."""
    if "priority_weight" in batch:
        rows = rows * batch["priority_weight"]
    return rows.mean(-1).sum()


def with_action(observation: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
    """What critics of continuous actions read: ``[B, observation + action]``."""
    return torch.cat([flat(observation), action], -1)


def twin_heads(distribution: Distribution, options: Options, spaces: Spaces) -> dict[str, Head]:
    """A policy and twin critics of its continuous actions."""
    return {"policy": Head(distribution.features), "qvalue": Head(1, action=True, copies=2)}


def check_off_policy(recipe: Recipe) -> Iterable[Problem]:
    """What in a recipe cannot go with an algorithm that learns from a replay buffer."""
    name = recipe.algorithm.component.name
    if recipe.replay_buffer is None:
        message = f"{name} learns from a replay buffer, and this recipe takes it away"
        yield Problem("E302", ("replay_buffer",), message, "add replay_buffer: uniform", (("algorithm",),))
    starts, total = init_random_frames(recipe.collector), recipe.trainer.total_frames
    if total is not None and starts >= total:
        message = f"learning starts after {starts} random frames, but the run has {total}: nothing would be learned"
        cure = f"make collector.init_random_frames less than {total}, or trainer.total_frames more than {starts}"
        yield Problem("E302", ("collector", "init_random_frames"), message, cure, (("trainer", "total_frames"),))
    yield from check_networks(recipe)
