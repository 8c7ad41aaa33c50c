"""stable-baselines3's own A2C: 100 rollouts and the update that its real ``train()`` makes of each.

Only observers are put around what it calls (the environments' steps, the value of an episode's last
observation, the buffer's samples, gradient clipping, the optimizer's step). Another implementation that
takes ``initial`` and each update's batch must arrive at each update's ``parameters``; one that takes a
rollout must arrive at its ``advantages`` and ``returns``.

In float64 policy and buffer are widened before the first rollout. Observations and actions are still
collected in float32; values, rewards and advantages are then float64 throughout.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np
import torch
from stable_baselines3 import A2C
from stable_baselines3.common.env_util import make_vec_env
from torch import Tensor

from tests.parity.sb3_model import HIDDEN, begin, falling, widen_policy
from tests.parity.sb3_trace import OnPolicyRecorder, our_parameters

NUM_ENVS, N_STEPS, UPDATES = 4, 5, 100
TIME_LIMITS = {"CartPole-v1": 30, "Pendulum-v1": 32}
WIDE_ARRAYS = ("rewards", "values", "log_probs", "advantages", "returns", "episode_starts")


class Rollout(NamedTuple):
    """What was collected for one update, ``[T, N]``, in the order of time."""

    rewards: Tensor  # raw: stable-baselines3 adds the bootstrap at a truncation to them, this is without
    values: Tensor  # of the observations, at the time of collection
    next_values: Tensor  # of what followed; where an episode was truncated of its last observation, terminated: 0
    terminated: Tensor  # bool
    truncated: Tensor  # bool, never together with terminated
    advantages: Tensor  # as stable-baselines3 computed them
    returns: Tensor  # advantages + values


class Batch(NamedTuple):
    """The one batch of an update, in the order in which it was seen."""

    rows: Tensor  # [B] int64: environment * T + time
    observations: Tensor  # [B, observation]
    actions: Tensor  # [B] int64 (discrete) or [B, action] (continuous, not clipped)
    advantages: Tensor  # [B], not yet normalised
    returns: Tensor  # [B]


@dataclass(frozen=True)
class A2CUpdate:
    """One rollout and its optimizer step."""

    rollout: Rollout
    batch: Batch
    learning_rate: float
    grad_norm: float  # joint, before clipping
    parameters: dict[str, Tensor]  # after the step


@dataclass(frozen=True)
class A2CTrace:
    """The settings that the model really has, the parameters before the first update, and every update.

    Parameters are named as in ``sb3_trace``: ``policy.*``, ``value.*``, ``policy.log_std``; tanh between layers.
    """

    discrete: bool
    dtype: torch.dtype
    gamma: float
    gae_lambda: float
    normalize_advantage: bool  # by mean and unbiased standard deviation + 1e-8
    entropy_coeff: float
    critic_coeff: float
    clip_norm: float
    rmsprop_alpha: float
    rmsprop_eps: float  # outside the square root
    initial: dict[str, Tensor]
    updates: list[A2CUpdate] = field(default_factory=list)


def small_a2c(env_id: str, learning_rate: float, seed: int, **options: Any) -> A2C:
    """An untrained A2C with two small hidden layers and a falling learning rate."""
    env_kwargs = {"max_episode_steps": TIME_LIMITS[env_id]}
    return A2C(
        "MlpPolicy",
        make_vec_env(env_id, n_envs=NUM_ENVS, seed=seed, env_kwargs=env_kwargs),
        n_steps=N_STEPS,
        learning_rate=falling(learning_rate),
        policy_kwargs={"net_arch": HIDDEN},
        seed=seed,
        device="cpu",
        **options,
    )


def widen(model: A2C) -> None:
    """Turns policy, rewards and rollout buffer into float64; the parameters' values stay."""
    widen_policy(model.policy)
    # The bootstrap at a truncation is added to the environments' rewards in place.
    model.env.unwrapped.buf_rews = model.env.unwrapped.buf_rews.astype(np.float64)
    buffer, reset = model.rollout_buffer, model.rollout_buffer.reset

    def wide_reset() -> None:
        reset()
        for name in WIDE_ARRAYS:
            setattr(buffer, name, getattr(buffer, name).astype(np.float64))

    buffer.reset = wide_reset


class Recorder(OnPolicyRecorder):
    """Observers around an A2C, its rollouts included."""

    def __init__(self, model: A2C, discrete: bool) -> None:
        super().__init__(model, discrete)
        self._steps: list[tuple[Tensor, Tensor, Tensor]] = []
        self._predicted: list[Tensor] = []
        self._rollout: Rollout

    def env_step(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Around the environments' ``step``, whose rewards the model changes afterwards."""

        def observed(actions: Any) -> Any:
            observations, rewards, dones, infos = original(actions)
            truncated = torch.tensor([info["TimeLimit.truncated"] for info in infos])
            self._steps.append((torch.tensor(rewards), torch.tensor(dones) & ~truncated, truncated))
            return observations, rewards, dones, infos

        return observed

    def prediction(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Around ``predict_values``: once for each truncated episode, once for the end of the rollout."""

        def observed(observations: Any) -> Any:
            values = original(observations)
            self._predicted.append(values.flatten().clone())
            return values

        return observed

    def collected(self) -> None:
        """Puts the rollout together: to be called before ``train()``, which flattens the buffer."""
        rewards, terminated, truncated = map(torch.stack, zip(*self._steps, strict=True))
        values, advantages, returns = (
            torch.tensor(getattr(self.model.rollout_buffer, name)) for name in ("values", "advantages", "returns")
        )
        *final, last = self._predicted
        next_values = torch.cat([values[1:], last[None]]).masked_fill(terminated, 0.0)
        if final:
            next_values[truncated] = torch.cat(final)  # both in the order of time, then environment
        self._rollout = Rollout(rewards, values, next_values, terminated, truncated, advantages, returns)
        self._steps, self._predicted = [], []

    def batch_of(self, rows: Tensor, observations: Tensor, actions: Tensor, data: Any) -> Batch:
        """The batch of an update."""
        return Batch(rows, observations, actions, data.advantages.clone(), data.returns.clone())

    def update(self) -> A2CUpdate:
        """One rollout's."""
        return A2CUpdate(
            rollout=self._rollout,
            batch=self.batch,
            learning_rate=self.learning_rate,
            grad_norm=self.grad_norm,
            parameters=our_parameters(self.model.policy),
        )

    @contextmanager
    def attached(self) -> Iterator[None]:
        """While this lasts, the model's rollouts and updates are recorded."""
        env, policy = self.model.env, self.model.policy
        with (
            super().attached(),
            patch.object(env, "step", self.env_step(env.step)),
            patch.object(policy, "predict_values", self.prediction(policy.predict_values)),
        ):
            yield


def untrained(model: A2C, dtype: torch.dtype) -> A2CTrace:
    """A trace without updates: the settings that the model really has, and its parameters."""
    group = model.policy.optimizer.param_groups[0]
    return A2CTrace(
        discrete=hasattr(model.action_space, "n"),
        dtype=dtype,
        gamma=model.gamma,
        gae_lambda=model.gae_lambda,
        normalize_advantage=model.normalize_advantage,
        entropy_coeff=model.ent_coef,
        critic_coeff=model.vf_coef,
        clip_norm=model.max_grad_norm,
        rmsprop_alpha=group["alpha"],
        rmsprop_eps=group["eps"],
        initial=our_parameters(model.policy),
    )


def train(model: A2C, collected: Callable[[], None]) -> None:
    """Makes 100 rollouts, each followed by ``collected`` and by the model's own ``train()``."""
    callback = begin(model, UPDATES * N_STEPS * NUM_ENVS)
    for number in range(UPDATES):
        assert model.collect_rollouts(model.env, callback, model.rollout_buffer, N_STEPS)
        collected()
        model._current_progress_remaining = 1.0 - number / UPDATES
        model.train()


def record_a2c(
    env_id: str,
    *,
    dtype: torch.dtype = torch.float64,
    learning_rate: float = 3e-3,
    gamma: float = 0.5,
    gae_lambda: float = 1.0,
    normalize_advantage: bool = False,
    entropy_coeff: float = 0.0,
    clip_norm: float = 0.5,
    seed: int = 0,
) -> A2CTrace:
    """100 rollouts of 4 environments and 5 steps, and their updates.

    ``env_id`` is ``CartPole-v1`` or ``Pendulum-v1``, both with short time limits, so that episodes are
    truncated; CartPole's are terminated too. The small ``gamma`` keeps returns small, so that CartPole has
    gradients on both sides of ``clip_norm``; Pendulum has all of them above 0.5, and both sides at 20.

    Raises:
        AssertionError: the trace would not exercise what it is for.
    """
    options = {"normalize_advantage": normalize_advantage, "ent_coef": entropy_coeff, "max_grad_norm": clip_norm}
    model = small_a2c(env_id, learning_rate, seed, gamma=gamma, gae_lambda=gae_lambda, **options)
    if dtype == torch.float64:
        widen(model)
    trace = untrained(model, dtype)
    recorder = Recorder(model, trace.discrete)
    with recorder.attached():
        train(model, recorder.collected)
    trace.updates.extend(recorder.updates)
    check_exercised(trace)
    return trace


def check_exercised(trace: A2CTrace) -> None:
    """Asserts that episodes ended in the rollouts and that gradients exceeded the limit."""
    assert len(trace.updates) == UPDATES
    flags = ("terminated", "truncated") if trace.discrete else ("truncated",)
    for flag in flags:
        ends = sum(bool(getattr(update.rollout, flag).any()) for update in trace.updates)
        assert ends >= 5, f"hardly any rollout has an episode that is {flag}"
    norms = [update.grad_norm for update in trace.updates]
    assert sum(norm > trace.clip_norm for norm in norms) >= 10, f"gradients were hardly clipped: {norms}"
