"""Trace parity of A2C: stable-baselines3's weights and batches in, its parameters out, update by update."""

from __future__ import annotations

from typing import Any

import gymnasium
import pytest
import torch

from rlrecipe.algorithms.a2c import A2COptions, make_a2c
from rlrecipe.algorithms.gae import gae
from rlrecipe.distributions.categorical import Categorical
from rlrecipe.distributions.normal import Normal
from rlrecipe.interfaces import Batch
from rlrecipe.learning.objectives import Objectives
from rlrecipe.learning.parameters import Parameters
from rlrecipe.learning.update import gradient, step
from rlrecipe.networks.mlp import MLPOptions, make_mlp
from rlrecipe.optim.rmsprop import RMSpropOptions, make_rmsprop
from tests.parity.sb3_a2c import A2CTrace, record_a2c

VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "gae": {"gae_lambda": 0.9, "normalize_advantage": True, "entropy_coeff": 0.01},
}


def updater(trace: A2CTrace, normalize: bool, entropy_coeff: float) -> Objectives:
    """This package's update, starting from the trace's parameters."""
    nested: dict[str, dict[str, torch.Tensor]] = {"policy": {}, "value": {}}
    for name, tensor in trace.initial.items():
        slot, _, rest = name.partition(".")
        nested[slot][rest] = tensor
    box = gymnasium.spaces.Box(-2.0, 2.0, (1,))
    distribution = Categorical(2, 0) if trace.discrete else Normal(box, 0.0)
    cells = [nested["policy"]["0.weight"].shape[0], nested["policy"]["1.weight"].shape[0]]
    features = nested["policy"]["0.weight"].shape[1]
    networks = {
        "policy": make_mlp(MLPOptions(num_cells=cells), features, distribution.features),
        "value": make_mlp(MLPOptions(num_cells=cells), features, 1),
    }
    options = A2COptions(normalize_advantage=normalize, entropy_coeff=entropy_coeff)
    algorithm = make_a2c(options, networks, distribution)
    optimizer = make_rmsprop(RMSpropOptions(lr=1.0, alpha=trace.rmsprop_alpha, eps=trace.rmsprop_eps))
    return Objectives(algorithm.objectives, Parameters(nested, torch.float64), optimizer)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("env_id", ["CartPole-v1", "Pendulum-v1"])
def test_a_hundred_updates_equal_those_of_stable_baselines3(env_id: str, variant: str) -> None:
    options = VARIANTS[variant]
    clip_norm = 0.5 if env_id == "CartPole-v1" else 20.0
    trace = record_a2c(env_id, dtype=torch.float64, clip_norm=clip_norm, **options)
    assert len(trace.updates) == 100
    entropy_coeff = options.get("entropy_coeff", 0.0)
    ours = updater(trace, options.get("normalize_advantage", False), entropy_coeff)
    inputs = {name: torch.tensor(value, dtype=torch.float64) for name, value in
              (("entropy_coeff", entropy_coeff), ("critic_coeff", 0.5))}  # fmt: skip
    for number, update in enumerate(trace.updates):
        rows = update.batch
        batch: Batch = {"observation": rows.observations, "action": rows.actions}
        batch |= {"advantage": rows.advantages, "value_target": rows.returns}
        ours.scale_lr(update.learning_rate)
        flat, _ = gradient(ours.parts[0], batch, inputs)
        torch.testing.assert_close(float(flat.norm()), update.grad_norm, rtol=1e-6, atol=1e-9)
        step(ours.parts[0], flat, clip_norm)
        worst = max(float((t - update.parameters[name]).abs().max()) for name, t in ours.parameters.named().items())
        assert worst <= 1e-9, f"update {number}: parameters differ by {worst}"


def test_advantages_are_those_of_stable_baselines3() -> None:
    """Its bootstrap at a time limit is added to the reward; here it is the next value."""
    trace = record_a2c("CartPole-v1", dtype=torch.float64, gae_lambda=0.9)
    seen = 0
    for update in trace.updates:
        r = update.rollout
        reward, value, later = (x.numpy() for x in (r.rewards, r.values, r.next_values))
        terminated, truncated = r.terminated.numpy(), r.truncated.numpy()
        found = gae(reward, value, later, terminated, terminated | truncated, gamma=0.5, lmbda=0.9)
        torch.testing.assert_close(torch.from_numpy(found), r.advantages, rtol=1e-6, atol=1e-6)
        seen += int(truncated.sum())
    assert seen > 0
