"""PPO's loss and update against plain autograd on equivalent modules of torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.distributions import Categorical, Independent, Normal

from rlrecipe.algorithms.ppo import PPO
from rlrecipe.assembly.assemble import Assembly
from rlrecipe.interfaces import Batch, Scalars
from rlrecipe.learning.update import gradient, step
from tests import small

CELLS = [16, 16]
ROWS = 48


def assembly(env: str, **algorithm: Any) -> Assembly:
    recipe = {
        **small.CARTPOLE,
        "env": {"env_name": env, "num_envs": 2},
        "networks": {slot: {"name": "mlp", "num_cells": CELLS} for slot in ("policy", "value")},
        "algorithm": {**small.CARTPOLE["algorithm"], **algorithm},
    }
    return small.build(recipe)


def modules(built: Assembly) -> tuple[nn.Sequential, nn.Sequential]:
    """The same networks as torch's own modules, with the same weights."""
    made = []
    for slot in ("policy", "value"):
        named = built.trainer.update.parameters.params[slot]
        layers: list[nn.Module] = []
        for i in range(len(CELLS) + 1):
            weight, bias = named[f"{i}.weight"], named[f"{i}.bias"]
            linear = nn.Linear(weight.shape[1], weight.shape[0])
            with torch.no_grad():
                linear.weight.copy_(weight)
                linear.bias.copy_(bias)
            layers += [linear, nn.Tanh()]
        made.append(nn.Sequential(*layers[:-1]))
    return made[0], made[1]


def sub_batch(built: Assembly, seed: int) -> Batch:
    """Rows as a batch has them, with log-probabilities a little off, so that some ratios are clipped."""
    g = torch.Generator().manual_seed(seed)
    space = built.spaces.observation
    observation = torch.randn(ROWS, *space.shape, generator=g)
    if hasattr(built.spaces.action, "n"):
        action = torch.randint(0, int(built.spaces.action.n), (ROWS,), generator=g)
        base = torch.full((ROWS,), -float(np.log(built.spaces.action.n)))
    else:
        action = torch.randn(ROWS, *built.spaces.action.shape, generator=g)
        base = -0.5 * (action.pow(2) + float(np.log(2 * np.pi))).sum(-1)
    return {
        "observation": observation,
        "action": action,
        "sample_log_prob": base + 0.3 * torch.randn(ROWS, generator=g),
        "advantage": 3 * torch.randn(ROWS, generator=g) + 1,
        "value_target": 5 * torch.randn(ROWS, generator=g),
    }


def inputs(entropy_coeff: float) -> Scalars:
    given = {"clip_epsilon": 0.2, "entropy_coeff": entropy_coeff, "critic_coeff": 0.5}
    return {name: torch.tensor(value) for name, value in given.items()}


def plain_loss(
    policy: nn.Module,
    value: nn.Module,
    log_std: torch.Tensor | None,
    batch: Batch,
    entropy_coeff: float,
    normalize: bool,
) -> torch.Tensor:
    """Equation 9 of the paper, written with torch.distributions."""
    mean = policy(batch["observation"])
    distribution: Any = Categorical(logits=mean) if log_std is None else Independent(Normal(mean, log_std.exp()), 1)
    ratio = (distribution.log_prob(batch["action"]) - batch["sample_log_prob"]).exp()
    advantage = batch["advantage"]
    if normalize:
        advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
    surrogate = torch.min(ratio * advantage, ratio.clamp(0.8, 1.2) * advantage).mean()
    error = (value(batch["observation"])[:, 0] - batch["value_target"]).pow(2).mean()
    loss: torch.Tensor = -surrogate + 0.5 * error - entropy_coeff * distribution.entropy().mean()
    return loss


@pytest.mark.parametrize(
    ("normalize", "clip_norm", "entropy_coeff"), [(True, 0.5, 0.0), (True, 0.5, 0.01), (False, None, 0.01)]
)
@pytest.mark.parametrize("env", ["CartPole-v1", "Pendulum-v1"])
def test_gradients_and_twenty_updates_equal_plain_autograds(
    env: str, normalize: bool, clip_norm: float | None, entropy_coeff: float
) -> None:
    built = assembly(env, normalize_advantage=normalize, entropy_coeff=entropy_coeff)
    update, (policy, value) = built.trainer.update, modules(built)
    log_std = None if env == "CartPole-v1" else nn.Parameter(torch.zeros(1))
    # The flat vector's order: policy, its distribution, value.
    leaves = [*policy.parameters(), *([] if log_std is None else [log_std]), *value.parameters()]
    optimizer = torch.optim.Adam(leaves, lr=3e-4, eps=1e-5)
    for number in range(20):
        batch = sub_batch(built, number)
        flat, metrics = gradient(update.parts[0], batch, inputs(entropy_coeff))
        assert number == 0 or 0 < metrics["clip_fraction"] < 1
        optimizer.zero_grad()
        expected = plain_loss(policy, value, log_std, batch, entropy_coeff, normalize)
        expected.backward()  # type: ignore[no-untyped-call]
        torch.testing.assert_close(metrics["total"], expected.detach(), rtol=1e-5, atol=1e-5)
        plain = torch.cat([leaf.grad.reshape(-1) for leaf in leaves if leaf.grad is not None])
        torch.testing.assert_close(flat, plain, rtol=1e-5, atol=1e-5)
        if clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(leaves, clip_norm)
        optimizer.step()
        step(update.parts[0], flat, clip_norm)
        moved = torch.cat([leaf.detach().reshape(-1) for leaf in leaves])
        torch.testing.assert_close(update.parameters.flat, moved, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("env", ["CartPole-v1", "Pendulum-v1"])
def test_what_is_reported_of_an_update(env: str) -> None:
    built = assembly(env, entropy_coeff=0.01)
    batch = sub_batch(built, 0)
    _, metrics = gradient(built.trainer.update.parts[0], batch, inputs(0.01))
    assert metrics.keys() == {"total", "policy", "value", "entropy", "approx_kl", "clip_fraction"}
    combined = metrics["policy"] + 0.5 * metrics["value"] - 0.01 * metrics["entropy"]
    torch.testing.assert_close(metrics["total"], combined)
    assert metrics["approx_kl"] > 0
    assert not any(metric.requires_grad for metric in metrics.values())


@pytest.mark.parametrize("env", ["CartPole-v1", "Pendulum-v1"])
def test_the_first_ratio_of_a_batch_is_one(env: str) -> None:
    """Acting is in numpy, updating in torch; actions of a trained policy, whose logits are not small."""
    built = assembly(env)
    trainer = built.trainer
    assert built.policy._forward is not None, "this shows nothing unless numpy acts"
    trainer.train()
    trainer.clock.frames = 0
    batch = trainer.collector.collect()
    flat = {key: tensor.reshape(-1, *tensor.shape[2:]) for key, tensor in batch.items()}
    acted = built.policy._forward(flat["observation"].numpy())
    algorithm = trainer.algorithm
    assert isinstance(algorithm, PPO)
    distribution, params = algorithm.distribution, trainer.update.parameters.params["policy"]
    by_acting = distribution.log_prob(params, torch.from_numpy(acted), flat["action"])
    algorithm.prepare(trainer.update.params, batch)
    for sub in (slice(None), slice(0, 32), slice(5, 12)):
        outputs = algorithm.policy(params, flat["observation"][sub])
        by_updating = distribution.log_prob(params, outputs, flat["action"][sub])
        for before in (by_acting[sub], batch["sample_log_prob"].reshape(-1)[sub]):
            assert (torch.exp(by_updating - before) - 1).abs().max() <= 1e-6


def test_prepare_adds_values_of_collection_time_and_their_targets() -> None:
    built = assembly("CartPole-v1")
    batch = built.trainer.collector.collect()
    reward = batch["next", "reward"].clone()
    built.trainer.sampler.extend(built.trainer.update.params, batch)
    _, value = modules(built)
    with torch.no_grad():
        torch.testing.assert_close(batch["state_value"], value(batch["observation"])[..., 0])
    torch.testing.assert_close(batch["value_target"], batch["advantage"] + batch["state_value"])
    assert torch.equal(batch["next", "reward"], reward)
    assert not any(tensor.requires_grad for tensor in batch.values())


@pytest.mark.parametrize("frames", [64, 100])
def test_every_row_is_seen_once_an_epoch_in_a_new_order(frames: int) -> None:
    algorithm: Any = assembly("CartPole-v1", num_epochs=3).trainer.algorithm
    orders = list(algorithm.sub_batches(frames, np.random.default_rng(0)))
    assert len(orders) == algorithm.updates_per_batch(frames) == 3 * -(-frames // 32)
    epochs = np.array_split(np.concatenate(orders), 3)
    assert all(sorted(epoch) == list(range(frames)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3


def test_a_minibatch_of_one_row_is_not_normalised() -> None:
    built = assembly("CartPole-v1")
    one = {key: tensor[:1] for key, tensor in sub_batch(built, 0).items()}
    loss, _ = built.trainer.update.parts[0].objective.loss(built.trainer.update.params, one, inputs(0.0))
    assert torch.isfinite(loss)


def test_target_kl_ends_a_batch_before_the_step() -> None:
    """Every update of the first epoch is at the policy of collection; the bound lies just above zero."""
    built = assembly("CartPole-v1", target_kl=1e-9, num_epochs=4)
    built.trainer.train()
    assert 0 < built.trainer.clock.updates < 8 * 8
    algorithm = built.trainer.algorithm
    at: Scalars = {"approx_kl": torch.tensor(1.4e-9)}
    assert not algorithm.stop(at)
    assert algorithm.stop({"approx_kl": torch.tensor(1.6e-9)})
    assert not assembly("CartPole-v1").trainer.algorithm.stop({"approx_kl": torch.tensor(1e9)})


def test_coefficients_follow_their_schedules() -> None:
    built = assembly("CartPole-v1", clip_epsilon={"name": "linear", "start": 0.2, "end": 0.0})
    seen = []
    built.trainer.register_op("pre_optim_steps", lambda: seen.append(float(built.trainer.inputs["clip_epsilon"])))
    built.trainer.train()
    # Frames before the batch over the total: 0, 64, ... of 512.
    np.testing.assert_allclose(seen, [0.2 * (1 - i / 8) for i in range(8)], rtol=1e-6)
