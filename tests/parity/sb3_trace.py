"""stable-baselines3's own PPO updates, recorded step by step.

A small PPO of stable-baselines3 collects one batch, then its real ``PPO.train()`` runs over it. Only
observers are put around what it calls (the buffer's minibatches, the policy's log-probabilities, the
gradient clipping, the optimizer's step), so every number comes from its code. Another implementation
that takes ``initial`` and each update's minibatch must arrive at each update's ``parameters``.

In float64 the batch is collected in float32 as ever and then widened together with the policy, so
that the whole update, the normalisation of the advantages included, runs in float64.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env
from torch import Tensor

from tests.parity.sb3_model import begin, falling, widen_policy

NUM_ENVS, N_STEPS, EPOCHS, CALLS = 4, 64, 5, 5
BUFFER_ARRAYS = ("observations", "values", "log_probs", "advantages", "returns")


class Minibatch(NamedTuple):
    """Rows that one update sees. Advantages are as collected: not yet normalised."""

    rows: Tensor  # [B], int64: places in the batch
    observations: Tensor  # [B, observation]
    actions: Tensor  # [B] int64 (discrete) or [B, action] (continuous, not clipped)
    old_log_prob: Tensor  # [B]
    advantages: Tensor  # [B]
    returns: Tensor  # [B]


@dataclass(frozen=True)
class Update:
    """One optimizer step: what went in, what was seen on the way, what came out."""

    minibatch: Minibatch
    learning_rate: float
    clip_range: float
    grad_norm: float  # joint, before clipping
    clip_fraction: float  # of the rows, ratio outside 1 ± clip_range
    parameters: dict[str, Tensor]


@dataclass(frozen=True)
class Trace:
    """The settings, the parameters before the first update, and every update."""

    discrete: bool
    dtype: torch.dtype
    entropy_coeff: float
    critic_coeff: float
    clip_norm: float
    adam_betas: tuple[float, float]
    adam_eps: float
    initial: dict[str, Tensor]
    updates: list[Update] = field(default_factory=list)


def our_name(name: str) -> str | None:
    """rlrecipe's name of one of stable-baselines3's parameters; None for one that has no counterpart.

    ``mlp_extractor.policy_net.0.weight`` is ``policy.0.weight``, ``mlp_extractor.policy_net.2.bias`` is
    ``policy.1.bias`` (activations are not counted), ``action_net.weight`` is ``policy.2.weight``.
    """
    if name == "log_std":
        return "policy.log_std"
    *module, kind = name.split(".")
    if module in (["action_net"], ["value_net"]):
        return f"{'policy' if module == ['action_net'] else 'value'}.2.{kind}"
    if module[:1] == ["mlp_extractor"] and module[1] in ("policy_net", "value_net"):
        return f"{module[1].removesuffix('_net')}.{int(module[2]) // 2}.{kind}"
    return None


def our_parameters(policy: torch.nn.Module) -> dict[str, Tensor]:
    """Copies of a policy's parameters under rlrecipe's names, each in torch's ``[out, in]``.

    Raises:
        KeyError: a parameter has no counterpart, so the networks differ.
    """
    ours = {}
    for name, parameter in policy.named_parameters():
        mapped = our_name(name)
        if mapped is None:
            raise KeyError(f"no counterpart of {name}")
        ours[mapped] = parameter.detach().clone()
    return dict(sorted(ours.items()))


def small_ppo(env_id: str, learning_rate: float, seed: int, **options: Any) -> PPO:
    """An untrained PPO with the default policy and falling learning rate and clip range."""
    return PPO(
        "MlpPolicy",
        make_vec_env(env_id, n_envs=NUM_ENVS, seed=seed),
        n_steps=N_STEPS,
        n_epochs=EPOCHS,
        learning_rate=falling(learning_rate),
        clip_range=lambda remaining: 0.2 * remaining,
        seed=seed,
        device="cpu",
        **options,
    )


def collect(model: PPO) -> None:
    """Fills the model's buffer with one batch, as ``learn`` would."""
    callback = begin(model, NUM_ENVS * N_STEPS)
    assert model.collect_rollouts(model.env, callback, model.rollout_buffer, N_STEPS)


def widen(model: PPO) -> None:
    """Turns the policy and the collected batch into float64; their values stay."""
    widen_policy(model.policy)
    for name in BUFFER_ARRAYS:
        array = getattr(model.rollout_buffer, name)
        setattr(model.rollout_buffer, name, array.astype(np.float64))


class OnPolicyRecorder(ABC):
    """Observers around one on-policy model; each passes on what it sees unchanged."""

    def __init__(self, model: Any, discrete: bool) -> None:
        self.model, self.discrete = model, discrete
        self.updates: list[Any] = []
        self.batch: Any
        self.grad_norm: float

    @abstractmethod
    def batch_of(self, rows: Tensor, observations: Tensor, actions: Tensor, data: Any) -> Any:
        """What an update sees, of the buffer's ``data``; the tensors are this recorder's own."""

    @abstractmethod
    def update(self) -> Any:
        """The update that has just been made."""

    @property
    def learning_rate(self) -> float:
        """Of the update at hand."""
        return float(self.model.policy.optimizer.param_groups[0]["lr"])

    def samples(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Around the buffer's ``_get_samples``, which is given the rows of a batch."""

        def observed(rows: Any, env: Any = None) -> Any:
            data = original(rows, env)
            dtype = data.advantages.dtype
            actions = data.actions.long().flatten() if self.discrete else data.actions.to(dtype)
            own = (data.observations.to(dtype).clone(), actions.clone())
            self.batch = self.batch_of(torch.as_tensor(rows), *own, data)
            return data

        return observed

    def clipping(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Around ``torch.nn.utils.clip_grad_norm_``."""

        def observed(*arguments: Any, **options: Any) -> Any:
            norm = original(*arguments, **options)
            self.grad_norm = float(norm)
            return norm

        return observed

    def step(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Around the optimizer's ``step``: here an update is complete."""

        def observed(*arguments: Any, **options: Any) -> Any:
            result = original(*arguments, **options)
            self.updates.append(self.update())
            return result

        return observed

    @contextmanager
    def attached(self) -> Iterator[None]:
        """While this lasts, the model's updates are recorded."""
        policy, buffer = self.model.policy, self.model.rollout_buffer
        with (
            patch.object(buffer, "_get_samples", self.samples(buffer._get_samples)),
            patch.object(torch.nn.utils, "clip_grad_norm_", self.clipping(torch.nn.utils.clip_grad_norm_)),
            patch.object(policy.optimizer, "step", self.step(policy.optimizer.step)),
        ):
            yield


class Recorder(OnPolicyRecorder):
    """Observers around a PPO."""

    def batch_of(self, rows: Tensor, observations: Tensor, actions: Tensor, data: Any) -> Minibatch:
        """A minibatch."""
        rest = (tensor.clone() for tensor in (data.old_log_prob, data.advantages, data.returns))
        return Minibatch(rows, observations, actions, *rest)

    def evaluation(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Around the policy's ``evaluate_actions``."""

        def observed(*arguments: Any) -> Any:
            values, log_prob, entropy = original(*arguments)
            self._log_prob = log_prob.detach().clone()
            return values, log_prob, entropy

        return observed

    def update(self) -> Update:
        """One minibatch's."""
        clip_range = float(self.model.clip_range(self.model._current_progress_remaining))
        ratio = (self._log_prob - self.batch.old_log_prob).exp()
        return Update(
            minibatch=self.batch,
            learning_rate=self.learning_rate,
            clip_range=clip_range,
            grad_norm=self.grad_norm,
            clip_fraction=float(((ratio - 1).abs() > clip_range).double().mean()),
            parameters=our_parameters(self.model.policy),
        )

    @contextmanager
    def attached(self) -> Iterator[None]:
        """While this lasts, the model's updates are recorded."""
        policy = self.model.policy
        with super().attached(), patch.object(policy, "evaluate_actions", self.evaluation(policy.evaluate_actions)):
            yield


def untrained(model: PPO, discrete: bool, dtype: torch.dtype) -> Trace:
    """A trace without updates: the settings that the model really has, and its parameters."""
    group = model.policy.optimizer.param_groups[0]
    return Trace(
        discrete=discrete,
        dtype=dtype,
        entropy_coeff=model.ent_coef,
        critic_coeff=model.vf_coef,
        clip_norm=model.max_grad_norm,
        adam_betas=group["betas"],
        adam_eps=group["eps"],
        initial=our_parameters(model.policy),
    )


def record(
    env_id: str,
    *,
    dtype: torch.dtype = torch.float64,
    learning_rate: float = 3e-3,
    entropy_coeff: float = 0.01,
    gamma: float = 0.5,
    clip_norm: float = 0.5,
    batch_size: int = 64,
    seed: int = 0,
) -> Trace:
    """Runs ``PPO.train()`` over one batch of 256 rows: with ``batch_size`` 64, 100 updates.

    There are 5 calls of 5 epochs, the progress moving between them, so that learning rate and clip
    range fall on the way. ``env_id`` is ``CartPole-v1`` or ``Pendulum-v1``. The small ``gamma`` keeps
    returns small, so that CartPole has gradients on both sides of ``clip_norm``; Pendulum has all of
    them above 0.5, and both sides at 20.

    Raises:
        AssertionError: the trace would not exercise what it is for (ratios that leave the clip
            range, gradients over the norm limit).
    """
    options = {
        "ent_coef": entropy_coeff,
        "gamma": gamma,
        "max_grad_norm": clip_norm,
        "batch_size": batch_size,
    }
    model = small_ppo(env_id, learning_rate, seed, **options)
    discrete = hasattr(model.action_space, "n")
    collect(model)
    if dtype == torch.float64:
        widen(model)
    trace = untrained(model, discrete, dtype)
    recorder = Recorder(model, discrete)
    with recorder.attached():
        for call in range(CALLS):
            model._current_progress_remaining = 1.0 - call / CALLS
            model.train()
    trace.updates.extend(recorder.updates)
    check_exercised(trace)
    return trace


def check_exercised(trace: Trace) -> None:
    """Asserts that clipping changed updates: ratios beyond the range, gradients beyond the norm."""
    fractions = [update.clip_fraction for update in trace.updates]
    assert fractions[0] == 0.0, "the first ratios are one"
    assert sum(fraction > 0.05 for fraction in fractions) >= 10, f"ratios hardly left the range: {fractions}"
    norms = [update.grad_norm for update in trace.updates]
    assert sum(norm > trace.clip_norm for norm in norms) >= 10, f"gradients were hardly clipped: {norms}"
