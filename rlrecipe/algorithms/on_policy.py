"""What algorithms share that learn from their newest batch only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from rlrecipe.algorithms.base import Plain, check_networks, flat
from rlrecipe.algorithms.gae import add_advantages
from rlrecipe.interfaces import SEQUENCE_STEP, Batch, Distribution, Head, Key, Network, Params, Spaces
from rlrecipe.lazy import np, torch
from rlrecipe.networks.fed import shared
from rlrecipe.recipe.asked import init_random_frames
from rlrecipe.recipe.errors import Path, Problem
from rlrecipe.recipe.options import Options

if TYPE_CHECKING:
    from rlrecipe.recipe.schema import Recipe


#: What else may be at fault where options of a replay buffer's algorithms stand beside one that has none.
ALGORITHM: tuple[Path, ...] = (("algorithm",),)


class ActorCritic(Plain):
    """A policy and a value network that learn from the newest batch, all of it at once unless a subclass says else.

    Args:
        policy: network to the distribution's features.
        value: network to one number.
        distribution: what turns features into actions.
        gamma: discount factor.
        lmbda: decay of the trace.
    """

    reads: frozenset[Key] = frozenset({"observation", "action", "advantage", "value_target"})

    def __init__(self, policy: Network, value: Network, distribution: Distribution, gamma: float, lmbda: float) -> None:
        self.policy, self.value, self.distribution = policy, value, distribution
        self.gamma, self.lmbda = gamma, lmbda
        #: What both networks read of the same rows, and the networks behind it.
        self.front, (self.policy_head, self.value_head) = shared(policy, value)

    def prepare(self, params: Params, batch: Batch) -> None:
        """Add values, advantages and value targets, with the parameters of collection."""
        add_advantages(batch, lambda x: self.value(params["value"], x), gamma=self.gamma, lmbda=self.lmbda)

    def losses(
        self, params: Params, batch: Batch, *, normalize: bool
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Loss of the policy, squared error of the values, and the policy's outputs for a batch ``[B, ...]``.

        The policy's gradient is the one of Williams, 1992, with advantages in place of returns.
        """
        seen, advantage = self.front(params["policy"], flat(batch["observation"])), batch["advantage"]
        outputs = self.policy_head(params["policy"], seen)
        log_prob = self.distribution.log_prob(params["policy"], outputs, batch["action"])
        policy_loss = -((normalized(advantage) if normalize else advantage) * log_prob).mean()
        value = self.value_head(params["value"], seen).squeeze(-1)
        return policy_loss, torch.nn.functional.mse_loss(value, batch["value_target"]), outputs

    def observed(self, batch: Batch) -> torch.Tensor:
        """Observations of a sub-batch as rows ``[B, n]``, or as sequences of them ``[L, M, n]``."""
        rows = flat(batch["observation"])
        if SEQUENCE_STEP not in batch:
            return rows
        return rows.reshape(batch[SEQUENCE_STEP].shape[1], -1, rows.shape[-1])

    def updates_per_batch(self, frames: int) -> int:
        """One."""
        return 1

    def sub_batches(self, frames: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
        """All rows at once."""
        yield np.arange(frames)


def heads(distribution: Distribution, options: Options, spaces: Spaces) -> dict[str, Head]:
    """What an actor and its value network are asked for."""
    return {"policy": Head(distribution.features, 0.01), "value": Head(1)}


def normalized(advantage: torch.Tensor) -> torch.Tensor:
    """Advantages with mean 0 and deviation 1; a single one stays as it is."""
    return (advantage - advantage.mean()) / (advantage.std() + 1e-8) if len(advantage) > 1 else advantage


def check_on_policy(recipe: Recipe) -> Iterable[Problem]:
    """What in a recipe cannot go with an algorithm that learns from its newest batch only."""
    name = recipe.algorithm.component.name
    for section in ("replay_buffer", "exploration"):
        if getattr(recipe, section) is not None:
            yield Problem("E302", (section,), f"{name} learns from its newest batch only and has no use for {section}",
                          f"remove {section}, or choose an off-policy algorithm", ALGORITHM)  # fmt: skip
    for key in ("optim_steps_per_batch", "updates_per_frame"):
        if getattr(recipe.trainer, key) is not None:
            yield Problem(
                "E302",
                ("trainer", key),
                f"{name}'s updates follow from its batches",
                f"remove trainer.{key}",
                ALGORITHM,
            )
    if init_random_frames(recipe.collector):
        message = f"{name} learns from its own actions; random ones would mislead it"
        yield Problem(
            "E302", ("collector", "init_random_frames"), message, "remove collector.init_random_frames", ALGORITHM
        )
    yield from check_networks(recipe)
