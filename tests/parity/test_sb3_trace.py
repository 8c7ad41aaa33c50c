"""What a trace holds is enough to repeat it, and sharp enough to tell a wrong update from a right one."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from tests.parity.reference import log_prob_and_entropy, mlp
from tests.parity.sb3_trace import Trace, Update, record

ENVIRONMENTS = ("CartPole-v1", "Pendulum-v1")


@cache
def trace_of(env_id: str, clip_norm: float = 0.5) -> Trace:
    return record(env_id, clip_norm=clip_norm)


def loss_of(parameters: dict[str, Tensor], update: Update, trace: Trace, *, correction: int) -> Tensor:
    batch = update.minibatch
    log_prob, entropy = log_prob_and_entropy(parameters, batch.observations, batch.actions, trace.discrete)
    advantages = batch.advantages - batch.advantages.mean()
    advantages = advantages / (batch.advantages.std(correction=correction) + 1e-8)
    ratio = (log_prob - batch.old_log_prob).exp()
    clipped = ratio.clamp(1 - update.clip_range, 1 + update.clip_range)
    policy = -torch.min(advantages * ratio, advantages * clipped).mean()
    value = functional.mse_loss(mlp(parameters, "value", batch.observations).flatten(), batch.returns)
    return policy - trace.entropy_coeff * entropy.mean() + trace.critic_coeff * value


def deviation(trace: Trace, *, correction: int = 1, clip: bool = True) -> float:
    """Largest difference to the trace's parameters after any update, with an independent replay."""
    parameters = {name: value.clone().requires_grad_() for name, value in trace.initial.items()}
    adam = torch.optim.Adam(parameters.values(), betas=trace.adam_betas, eps=trace.adam_eps)
    worst = 0.0
    for update in trace.updates:
        adam.param_groups[0]["lr"] = update.learning_rate
        loss = loss_of(parameters, update, trace, correction=correction)
        gradients = torch.autograd.grad(loss, list(parameters.values()))
        norm = torch.stack([gradient.square().sum() for gradient in gradients]).sum().sqrt()
        scale = (trace.clip_norm / (norm + 1e-6)).clamp(max=1.0) if clip else 1.0
        for parameter, gradient in zip(parameters.values(), gradients, strict=True):
            parameter.grad = gradient * scale
        adam.step()
        for name, after in update.parameters.items():
            worst = max(worst, float((parameters[name].detach() - after).abs().max()))
    return worst


@pytest.mark.parametrize("env_id", ENVIRONMENTS)
def test_holds_a_hundred_updates_whose_numbers_agree_with_each_other(env_id: str) -> None:
    trace = trace_of(env_id)
    assert len(trace.updates) == 100
    for update in trace.updates:
        assert set(update.parameters) == set(trace.initial)
        assert update.minibatch.observations.shape[0] == update.minibatch.rows.shape[0] == 64
    for start in range(0, 100, 4):
        rows = torch.cat([update.minibatch.rows for update in trace.updates[start : start + 4]])
        assert torch.equal(rows.sort().values, torch.arange(256)), "an epoch sees each row once"
    assert len({update.learning_rate for update in trace.updates}) == 5
    assert len({update.clip_range for update in trace.updates}) == 5


@pytest.mark.parametrize(("env_id", "clip_norm"), [("CartPole-v1", 0.5), ("Pendulum-v1", 0.5), ("Pendulum-v1", 20.0)])
def test_an_independent_update_arrives_at_the_same_parameters(env_id: str, clip_norm: float) -> None:
    assert deviation(trace_of(env_id, clip_norm)) < 1e-10


@pytest.mark.parametrize(("env_id", "clip_norm"), [("CartPole-v1", 0.5), ("Pendulum-v1", 20.0)])
def test_gradients_lie_on_both_sides_of_the_limit(env_id: str, clip_norm: float) -> None:
    over = sum(update.grad_norm > clip_norm for update in trace_of(env_id, clip_norm).updates)
    assert 10 <= over <= 90


@pytest.mark.parametrize("env_id", ENVIRONMENTS)
def test_a_wrong_update_is_seen(env_id: str) -> None:
    assert deviation(trace_of(env_id), correction=0) > 1e-5
    assert deviation(trace_of(env_id), clip=False) > 1e-4
