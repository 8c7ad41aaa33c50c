"""Trace parity: stable-baselines3's weights and minibatches in, its parameters out, update by update."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from rlrecipe.algorithms.ppo import PPOOptions, make_ppo
from rlrecipe.distributions.categorical import Categorical
from rlrecipe.distributions.normal import Normal
from rlrecipe.interfaces import Batch, Scalars
from rlrecipe.learning.compiled.native import Native, Whole
from rlrecipe.learning.objectives import Objectives
from rlrecipe.learning.parameters import Parameters
from rlrecipe.learning.update import gradient, step
from rlrecipe.networks.mlp import MLPOptions, make_mlp
from rlrecipe.optim.adam import AdamOptions, make_adam
from tests.parity.sb3_trace import Minibatch, Trace, Update, record


def updater(trace: Trace, observations: int) -> Objectives:
    """This package's update, starting from the trace's parameters."""
    import gymnasium

    box = gymnasium.spaces.Box(-2.0, 2.0, (1,))
    distribution = Categorical(2, 0) if trace.discrete else Normal(box, 0.0)
    networks = {
        "policy": make_mlp(MLPOptions(), observations, distribution.features),
        "value": make_mlp(MLPOptions(), observations, 1),
    }
    algorithm = make_ppo(PPOOptions(entropy_coeff=trace.entropy_coeff), networks, distribution)
    nested: dict[str, dict[str, torch.Tensor]] = {"policy": {}, "value": {}}
    for name, tensor in trace.initial.items():
        slot, _, rest = name.partition(".")
        nested[slot][rest] = tensor
    parameters = Parameters(nested, trace.dtype)
    optimizer = make_adam(AdamOptions(lr=1.0, betas=list(trace.adam_betas), eps=trace.adam_eps))
    return Objectives(algorithm.objectives, parameters, optimizer, clip_norm=trace.clip_norm)


def batch_of(rows: Minibatch) -> Batch:
    return {
        "observation": rows.observations,
        "action": rows.actions,
        "sample_log_prob": rows.old_log_prob,
        "advantage": rows.advantages,
        "value_target": rows.returns,
    }


def inputs_of(trace: Trace, update: Update) -> Scalars:
    numbers = {"clip_epsilon": update.clip_range, "entropy_coeff": trace.entropy_coeff}
    numbers["critic_coeff"] = trace.critic_coeff
    return {name: torch.tensor(number, dtype=trace.dtype) for name, number in numbers.items()}


def differ(ours: Objectives, update: Update) -> float:
    named = ours.parameters.named().items()
    return max(float((tensor - update.parameters[name]).abs().max()) for name, tensor in named)


@pytest.mark.parametrize("env_id", ["CartPole-v1", "Pendulum-v1"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
def test_a_hundred_updates_equal_those_of_stable_baselines3(env_id: str, dtype: torch.dtype) -> None:
    trace = record(env_id, dtype=dtype)
    assert len(trace.updates) == 100
    ours = updater(trace, trace.updates[0].minibatch.observations.shape[-1])
    for number, update in enumerate(trace.updates):
        ours.scale_lr(update.learning_rate)
        flat, metrics = gradient(ours.parts[0], batch_of(update.minibatch), inputs_of(trace, update))
        torch.testing.assert_close(float(flat.norm()), update.grad_norm, rtol=1e-3, atol=1e-5)
        assert float(metrics["clip_fraction"]) == pytest.approx(update.clip_fraction, abs=0.04)
        step(ours.parts[0], flat, trace.clip_norm)
        assert differ(ours, update) <= 1e-5, f"after update {number}"


def test_a_hundred_compiled_updates_equal_those_of_stable_baselines3(tmp_path: Path) -> None:
    trace = record("CartPole-v1", dtype=torch.float32)
    ours = updater(trace, trace.updates[0].minibatch.observations.shape[-1])
    native = Native(tmp_path)
    for number, update in enumerate(trace.updates):
        ours.scale_lr(update.learning_rate)
        given = batch_of(update.minibatch), inputs_of(trace, update)
        if number == 0:
            update_native = native.compiled(ours, *given)
            assert isinstance(update_native, Whole), "it was compiled"
        status, _ = update_native(ours.begin(), *given)
        assert status == 0
        assert differ(ours, update) <= 1e-5, f"after update {number}"
