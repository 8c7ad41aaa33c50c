"""Proximal policy optimisation."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Annotated

from rlrecipe.algorithms.base import DiscountedOptions
from rlrecipe.algorithms.gae import add_advantages
from rlrecipe.algorithms.on_policy import ActorCritic, check_on_policy, heads, normalized
from rlrecipe.interfaces import Algorithm, Batch, Distribution, Key, Network, Objective, Params, Scalars
from rlrecipe.lazy import np, torch
from rlrecipe.recipe.asked import frames_per_batch, num_envs
from rlrecipe.recipe.errors import Problem
from rlrecipe.recipe.options import option
from rlrecipe.recipe.registry import register
from rlrecipe.recipe.traits import AlgorithmTraits
from rlrecipe.recipe.values import Value, schedulable

if TYPE_CHECKING:
    from rlrecipe.recipe.schema import Recipe

DEFAULTS = {
    "env": {"num_envs": 8},
    "networks": {"policy": {"name": "mlp"}, "value": {"name": "mlp"}},
    "optimizer": {"name": "adam", "lr": 3e-4, "eps": 1e-5},
    "collector": {"name": "sync", "frames_per_batch": 2048},
    "trainer": {"clip_norm": 0.5},
}


class PPOOptions(DiscountedOptions):
    """Proximal policy optimisation: on-policy, discrete or continuous actions."""

    lmbda: float = option(0.95, "Trace decay of GAE: 0 trusts the value network, 1 the rewards.", ge=0, le=1)
    clip_epsilon: Annotated[Value, schedulable(0)] = option(
        0.2, "How far an action's probability may move in one batch before its gradient stops."
    )
    entropy_coeff: Annotated[Value, schedulable(0)] = option(
        0.0, "Weight of the entropy bonus: higher keeps the policy random for longer."
    )
    critic_coeff: Annotated[Value, schedulable(0)] = option(0.5, "Weight of the value loss.")
    num_epochs: int = option(10, "Passes over each batch: more learn faster and drift further.", gt=0)
    minibatch_size: int = option(64, "Frames of one update; divides frames_per_batch.", gt=0)
    sequence_length: int | None = option(
        None,
        "Steps in a row through which a memory (networks.memory) learns; null: as many as batch and minibatch have in "
        "common, 32 at most.",
        gt=0,
    )
    normalize_advantage: bool = option(True, "Give each minibatch's advantages mean 0 and deviation 1.")
    target_kl: float | None = option(
        None, "End a batch's updates when the policy moved 1.5 times this far (approximate KL).", gt=0
    )


class PPO(ActorCritic):
    """PPO with clipping (Schulman et al., 2017, equation 9), as stable-baselines3 computes it.

    Args:
        options: the numbers.
        policy: network to the distribution's features.
        value: network to one number.
        distribution: what turns features into actions.
    """

    reads: frozenset[Key] = frozenset({"observation", "action", "sample_log_prob", "advantage", "value_target"})

    def __init__(self, options: PPOOptions, policy: Network, value: Network, distribution: Distribution) -> None:
        super().__init__(policy, value, distribution, options.gamma, options.lmbda)
        self.options = options
        self.objectives = (Objective(self.loss),)
        self.coefficients: Mapping[str, Value] = {
            name: getattr(options, name) for name in ("clip_epsilon", "entropy_coeff", "critic_coeff")
        }

    def prepare(self, params: Params, batch: Batch) -> None:
        """Add log-probabilities, values, advantages and value targets, with the parameters of collection."""
        rows = add_advantages(batch, lambda x: self.value(params["value"], x), gamma=self.gamma, lmbda=self.lmbda)
        action = batch["action"].reshape(len(rows), *batch["action"].shape[2:])
        with torch.no_grad():
            outputs = self.policy(params["policy"], rows)
            log_prob = self.distribution.log_prob(params["policy"], outputs, action)
        batch["sample_log_prob"] = log_prob.reshape(batch["advantage"].shape)

    def updates_per_batch(self, frames: int) -> int:
        """Minibatches of all epochs; the last of each is smaller if a hook left an odd number of frames."""
        return updates_per_batch(self.options, frames)

    def sub_batches(self, frames: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
        """Rows of each minibatch: a new permutation each epoch."""
        for _ in range(self.options.num_epochs):
            rows = rng.permutation(frames)
            for start in range(0, frames, self.options.minibatch_size):
                yield rows[start : start + self.options.minibatch_size]

    def sequences(self, steps: int, envs: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
        """Rows of each minibatch as M sequences of L steps, ``[L, M]``: a new permutation each epoch.

        A batch's rows are ``[T, N]``; each environment's are cut into sequences of ``L`` steps.
        """
        length = self.options.sequence_length or usual_length(steps, self.options.minibatch_size)
        starts = np.arange(steps // length)[:, None] * length * envs + np.arange(envs)
        rows = np.arange(length)[:, None] * envs + starts.reshape(-1)
        count = self.options.minibatch_size // length
        for _ in range(self.options.num_epochs):
            order = rng.permutation(rows.shape[1])
            for start in range(0, len(order), count):
                yield rows[:, order[start : start + count]]

    def loss(self, params: Params, batch: Batch, inputs: Scalars) -> tuple[torch.Tensor, Scalars]:
        """Clipped surrogate, value error and entropy bonus of a minibatch ``[B, ...]``."""
        seen, advantage = self.front(params["policy"], self.observed(batch)), batch["advantage"]
        if self.options.normalize_advantage:
            advantage = normalized(advantage)
        outputs = self.policy_head(params["policy"], seen)
        log_ratio = self.distribution.log_prob(params["policy"], outputs, batch["action"]) - batch["sample_log_prob"]
        ratio = log_ratio.exp()
        clip = inputs["clip_epsilon"]
        clipped = torch.clamp(ratio, 1 - clip, 1 + clip)
        policy_loss = -torch.min(advantage * ratio, advantage * clipped).mean()
        value = self.value_head(params["value"], seen).squeeze(-1)
        value_loss = torch.nn.functional.mse_loss(value, batch["value_target"])
        loss = policy_loss + inputs["critic_coeff"] * value_loss
        if self.options.entropy_coeff == 0:
            # Reported only: its gradient, times zero, would cost a tenth of the update.
            entropy = self.distribution.entropy(params["policy"], outputs.detach()).mean()
        else:
            entropy = self.distribution.entropy(params["policy"], outputs).mean()
            loss = loss - inputs["entropy_coeff"] * entropy
        return loss, self._metrics(policy_loss, value_loss, entropy, log_ratio, ratio, clip)

    def _metrics(
        self,
        policy_loss: torch.Tensor,
        value_loss: torch.Tensor,
        entropy: torch.Tensor,
        log_ratio: torch.Tensor,
        ratio: torch.Tensor,
        clip: torch.Tensor,
    ) -> Scalars:
        with torch.no_grad():
            return {
                "policy": policy_loss.detach(),
                "value": value_loss.detach(),
                "entropy": entropy.detach(),
                # The third estimator of Schulman's note on approximating KL (2020): low variance, positive.
                "approx_kl": ((ratio - 1) - log_ratio).mean(),
                "clip_fraction": ((ratio - 1).abs() > clip).to(ratio.dtype).mean(),
            }

    def stop(self, metrics: Scalars) -> bool | torch.Tensor:
        """Whether the policy has moved 1.5 times ``target_kl``."""
        target = self.options.target_kl
        return target is not None and metrics["approx_kl"] > 1.5 * target


def updates_per_batch(options: PPOOptions, frames: int) -> int:
    """Minibatches of all epochs of a batch."""
    return options.num_epochs * math.ceil(frames / options.minibatch_size)


def usual_length(steps: int, minibatch_size: int) -> int:
    """The longest sequences of 32 steps at most that divide a batch's steps and a minibatch."""
    common = math.gcd(steps, minibatch_size)
    return max(length for length in range(1, min(32, common) + 1) if common % length == 0)


def check(recipe: Recipe) -> Iterable[Problem]:
    """What in a recipe cannot go with PPO."""
    options, frames = recipe.algorithm, frames_per_batch(recipe.collector)
    assert isinstance(options, PPOOptions)
    size = options.minibatch_size
    if frames is not None and frames % size:
        yield Problem(
            "E302",
            ("algorithm", "minibatch_size"),
            f"minibatches of {size} do not divide a batch of {frames} frames: {frames} = {frames // size} x {size} "
            f"+ {frames % size}",
            f"make collector.frames_per_batch {max(1, round(frames / size)) * size}, or choose a minibatch_size "
            f"that divides {frames}",
            (("collector", "frames_per_batch"), ("env", "num_envs"), ("algorithm",)),
        )
    yield from _check_sequences(recipe, options, frames)
    yield from check_on_policy(recipe)


def _check_sequences(recipe: Recipe, options: PPOOptions, frames: int | None) -> Iterable[Problem]:
    """Whether a memory has sequences of several steps to learn from, and only a memory has."""
    length, size = options.sequence_length, options.minibatch_size
    if length is not None and "memory" not in recipe.networks:
        message = f"sequences of {length} steps are for a memory, and there is none"
        yield Problem("E302", ("algorithm", "sequence_length"), message, "add networks.memory: lstm, or remove it")
    elif "memory" in recipe.networks and frames is not None:
        steps = frames // num_envs(recipe.env)
        if usual_length(steps, size) == 1:
            message = f"a batch's {steps} steps of an environment and minibatches of {size} share no sequence: steps of"
            message += " one alone teach a memory nothing"
            cure = "make both multiples of 16: frames_per_batch 16 x num_envs, minibatch_size 64"
            others = ("collector", "frames_per_batch"), ("env", "num_envs"), ("networks", "memory")
            yield Problem("E302", ("algorithm", "minibatch_size"), message, cure, others)
            return
        length = length or usual_length(steps, size)
        for what, count in (("a batch's steps of an environment", steps), ("minibatch_size", size)):
            if count % length:
                message = f"sequences of {length} steps do not divide {what}: {count} = {count // length} x {length} + "
                cure = f"make it {usual_length(steps, size)}"
                yield Problem("E302", ("algorithm", "sequence_length"), message + str(count % length), cure)


@register(
    "algorithm",
    "ppo",
    check=check,
    traits=AlgorithmTraits(
        slots=("policy", "value"),
        heads=heads,
        acts_in={"Discrete": "categorical", "Box": "normal"},
        reads_bytes=True,
        defaults=DEFAULTS,
        needs="densities",
        ratio=True,
        updates_per_batch=updates_per_batch,
        sequences=True,
    ),
)
def make_ppo(options: PPOOptions, networks: Mapping[str, Network], distribution: Distribution) -> Algorithm:
    """PPO over the networks of its slots."""
    return PPO(options, networks["policy"], networks["value"], distribution)
