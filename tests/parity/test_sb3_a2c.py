"""What an A2C trace holds is enough to repeat it, and sharp enough to tell a wrong update from a right one."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from tests.parity import sb3_a2c
from tests.parity.reference import log_prob_and_entropy, mlp
from tests.parity.sb3_a2c import N_STEPS, NUM_ENVS, A2CTrace, A2CUpdate, Rollout, record_a2c
from tests.parity.sb3_trace import our_parameters

ENVIRONMENTS = ("CartPole-v1", "Pendulum-v1")
VARIANTS: dict[str, dict[str, Any]] = {
    "default": {},
    "normalised": {"gae_lambda": 0.9, "normalize_advantage": True, "entropy_coeff": 0.01},
}
both_environments = pytest.mark.parametrize("env_id", ENVIRONMENTS)
both_variants = pytest.mark.parametrize("variant", VARIANTS)


@cache
def trace_of(env_id: str, variant: str = "default", dtype: torch.dtype = torch.float64) -> A2CTrace:
    return record_a2c(env_id, dtype=dtype, **VARIANTS[variant])


def loss_of(parameters: dict[str, Tensor], update: A2CUpdate, trace: A2CTrace, wrong: str) -> Tensor:
    batch = update.batch
    log_prob, entropy = log_prob_and_entropy(parameters, batch.observations, batch.actions, trace.discrete)
    advantages = batch.advantages
    if trace.normalize_advantage:
        deviation = advantages.std(correction=0 if wrong == "correction" else 1)
        advantages = (advantages - advantages.mean()) / (deviation + 1e-8)
    value = functional.mse_loss(mlp(parameters, "value", batch.observations).flatten(), batch.returns)
    entropy_coeff = 0.0 if wrong == "entropy" else trace.entropy_coeff
    return -(advantages * log_prob).mean() - entropy_coeff * entropy.mean() + trace.critic_coeff * value


def deviation(trace: A2CTrace, wrong: str = "", enough: float = math.inf) -> float:
    """Largest difference to the trace's parameters after any update, or the first beyond ``enough``."""
    parameters = {name: value.clone().requires_grad_() for name, value in trace.initial.items()}
    squares = {name: torch.zeros_like(value) for name, value in trace.initial.items()}
    worst = 0.0
    for update in trace.updates:
        loss = loss_of(parameters, update, trace, wrong)
        gradients = torch.autograd.grad(loss, list(parameters.values()))
        norm = torch.stack([gradient.norm() for gradient in gradients]).norm()
        scale = 1.0 if wrong == "clip" else (trace.clip_norm / (norm + 1e-6)).clamp(max=1.0)
        for (name, parameter), gradient in zip(parameters.items(), gradients, strict=True):
            step = gradient * scale
            squares[name].mul_(trace.rmsprop_alpha).add_((1 - trace.rmsprop_alpha) * step.square())
            outside, inside = (0.0, trace.rmsprop_eps) if wrong == "eps" else (trace.rmsprop_eps, 0.0)
            parameter.data -= update.learning_rate * step / ((squares[name] + inside).sqrt() + outside)
            worst = max(worst, float((parameter.detach() - update.parameters[name]).abs().max()))
        if worst > enough:
            break
    return worst


def advantages_of(rollout: Rollout, gamma: float, gae_lambda: float) -> Tensor:
    """GAE: terminated cuts the bootstrap, both ends cut the trace."""
    done = rollout.terminated | rollout.truncated
    bootstrap = gamma * rollout.next_values * ~rollout.terminated
    delta = rollout.rewards + bootstrap - rollout.values
    advantages, after = torch.zeros_like(delta), torch.zeros_like(delta[0])
    for time in reversed(range(len(delta))):
        after = delta[time] + gamma * gae_lambda * after * ~done[time]
        advantages[time] = after
    return advantages


@both_environments
@both_variants
def test_holds_a_hundred_updates_whose_numbers_agree_with_each_other(env_id: str, variant: str) -> None:
    trace = trace_of(env_id, variant)
    assert len(trace.updates) == 100
    assert len({update.learning_rate for update in trace.updates}) == 100
    for update in trace.updates:
        rollout, batch = update.rollout, update.batch
        assert set(update.parameters) == set(trace.initial)
        assert all(tensor.shape == (N_STEPS, NUM_ENVS) for tensor in rollout)
        assert torch.equal(batch.rows.sort().values, torch.arange(N_STEPS * NUM_ENVS))
        assert torch.equal(batch.advantages, rollout.advantages.T.flatten()[batch.rows])
        assert torch.equal(batch.returns, (rollout.advantages + rollout.values).T.flatten()[batch.rows])
        assert not (rollout.terminated & rollout.truncated).any()


@both_environments
@both_variants
@pytest.mark.parametrize(
    ("dtype", "limit"), [(torch.float64, 1e-10), (torch.float32, 1e-4)], ids=["float64", "float32"]
)
def test_an_independent_update_arrives_at_the_same(env_id: str, variant: str, dtype: torch.dtype, limit: float) -> None:
    trace = trace_of(env_id, variant, dtype)
    assert {tensor.dtype for update in trace.updates for tensor in update.parameters.values()} == {dtype}
    assert deviation(trace) < limit


@both_environments
@both_variants
def test_a_rollout_gives_its_advantages(env_id: str, variant: str) -> None:
    trace = trace_of(env_id, variant)
    for update in trace.updates:
        expected = advantages_of(update.rollout, trace.gamma, trace.gae_lambda)
        torch.testing.assert_close(update.rollout.advantages, expected, rtol=0, atol=1e-10)


@both_environments
@pytest.mark.parametrize(
    ("variant", "wrong"),
    [("default", "clip"), ("default", "eps"), ("normalised", "correction"), ("normalised", "entropy")],
)
def test_a_wrong_update_is_seen(env_id: str, variant: str, wrong: str) -> None:
    assert deviation(trace_of(env_id, variant), wrong, enough=1e-4) > 1e-4


@both_environments
def test_a_truncation_that_cuts_the_bootstrap_is_seen(env_id: str) -> None:
    trace = trace_of(env_id)
    differences = []
    for update in trace.updates:
        rollout = update.rollout
        cut = rollout._replace(terminated=rollout.terminated | rollout.truncated)
        difference = rollout.advantages - advantages_of(cut, trace.gamma, trace.gae_lambda)
        differences.append(float(difference.abs().max()))
    assert sum(difference > 1e-2 for difference in differences) >= 10


@pytest.mark.parametrize(("env_id", "clip_norm"), [("CartPole-v1", 0.5), ("Pendulum-v1", 20.0)])
def test_gradients_lie_on_both_sides_of_the_limit(env_id: str, clip_norm: float) -> None:
    trace = record_a2c(env_id, clip_norm=clip_norm)
    over = sum(update.grad_norm > clip_norm for update in trace.updates)
    assert 10 <= over <= 90
    assert deviation(trace) < 1e-10


def test_continuous_actions_are_not_clipped() -> None:
    actions = torch.stack([update.batch.actions for update in trace_of("Pendulum-v1").updates])
    assert (actions.abs() > 2.0).double().mean() > 0.01


@both_environments
def test_observing_changes_no_number(env_id: str) -> None:
    trace = trace_of(env_id)
    options = {"gamma": trace.gamma, "ent_coef": trace.entropy_coeff}
    model = sb3_a2c.small_a2c(env_id, trace.updates[0].learning_rate, 0, **options)
    sb3_a2c.widen(model)
    sb3_a2c.train(model, lambda: None)
    for name, tensor in our_parameters(model.policy).items():
        assert torch.equal(tensor, trace.updates[-1].parameters[name])
