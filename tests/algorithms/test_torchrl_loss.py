"""Losses of torchrl over this project's networks, replay, targets and optimizer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rlrecipe.interfaces import Batch
from rlrecipe.learning.update import gradient
from rlrecipe.recipe.load import load
from rlrecipe.torchrl.modules import wiring
from tests import small

B = 32


def recipe_of(loss: str, env: str, **options: Any) -> dict[str, Any]:
    recipe = {
        **small.OFF_POLICY,
        "env": {"env_name": env, "num_envs": 2},
        "algorithm": {"name": "torchrl_loss", "loss": loss, **options},
        "networks": dict.fromkeys(wiring(loss).values(), small.QVALUE),
    }
    if loss in EXPLORED:
        recipe["exploration"] = "egreedy" if env == "CartPole-v1" else "gaussian"
    return recipe


EXPLORED = ("DQNLoss", "DistributionalDQNLoss", "DiscreteCQLLoss", "TD3Loss", "TD3BCLoss", "DDPGLoss")
DISCRETE = ("DQNLoss", "DiscreteCQLLoss", "DiscreteSACLoss", "DiscreteIQLLoss")
CONTINUOUS = ("CQLLoss", "IQLLoss", "REDQLoss", "TD3Loss", "TD3BCLoss", "DDPGLoss", "SACLoss", "CrossQLoss", "BCLoss")


@pytest.mark.parametrize(
    ("loss", "env"),
    [*((loss, "CartPole-v1") for loss in DISCRETE), *((loss, "Pendulum-v1") for loss in CONTINUOUS)],
)
def test_a_loss_moves_every_network_that_it_takes(loss: str, env: str) -> None:
    recipe = recipe_of(loss, env)
    assert small.probe(load(recipe).recipe) == []
    trainer = small.build(recipe).trainer
    before = {name: view.clone() for name, view in trainer.update.parameters.named().items()}
    trainer.train()
    assert trainer.clock.updates == round((512 - 64) * 0.15)
    still = [name for name, view in trainer.update.parameters.named().items() if torch.equal(view, before[name])]
    # A shift of all logits changes no probability.
    assert set(still) <= ({"policy.1.bias"} if env == "CartPole-v1" else set())


def test_a_critic_with_quantiles_is_asked_for_by_its_outputs() -> None:
    recipe = recipe_of("TQCLoss", "Pendulum-v1", critic_outputs=7, options={"num_qvalue_nets": 3})
    trainer = small.build(recipe).trainer
    assert trainer.update.parameters.named()["qvalue.1.weight"].shape == (3, 7, 8)
    trainer.train()


def batch_of(trainer: Any) -> Batch:
    generator = torch.Generator().manual_seed(1)
    batch: Batch = {
        "observation": torch.randn(B, 4, generator=generator),
        "action": torch.randint(0, 2, (B,), generator=generator),
        "seed": torch.zeros(B, dtype=torch.int64),
    }
    batch["next", "observation"] = torch.randn(B, 4, generator=generator)
    batch["next", "reward"] = torch.randn(B, generator=generator)
    batch["next", "terminated"] = torch.rand(B, generator=generator) < 0.3
    return batch


@pytest.mark.parametrize("double", [False, True])
@pytest.mark.parametrize("n_steps", [1, 3])
def test_dqn_is_the_one_of_its_own_file(double: bool, n_steps: int) -> None:
    options = {"gamma": 0.97, "n_steps": n_steps, "target": {"name": "hard", "every": 100}}
    own = small.build({**small.DQN, "algorithm": {"name": "dqn", "double": double, **options}}).trainer
    own.train()
    torchrls = {"loss_function": "smooth_l1", "double_dqn": double}
    other = small.build(recipe_of("DQNLoss", "CartPole-v1", options=torchrls, **options)).trainer
    other.update.parameters.flat.copy_(own.update.parameters.flat)
    assert own.update.targets is not None
    assert other.update.targets is not None
    other.update.targets.copies.flat.copy_(own.update.targets.copies.flat)
    batch = batch_of(own)
    if n_steps > 1:
        batch["gamma"] = 0.97 ** torch.randint(1, 4, (B,), generator=torch.Generator().manual_seed(2))
    mine, metrics = gradient(own.update.parts[0], dict(batch), {})
    theirs, their_metrics = gradient(other.update.parts[0], dict(batch), {})
    torch.testing.assert_close(their_metrics["total"], metrics["total"], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(theirs, mine, rtol=1e-4, atol=1e-6)
    assert their_metrics["td_error"].shape == (B,)
    error = their_metrics["td_error"]
    # torchrl's is squared or absolute; both rank rows as ours does.
    assert torch.equal(error.argsort(), metrics["td_error"].abs().argsort())


def trained(recipe: dict[str, Any]) -> torch.Tensor:
    trainer = small.build(recipe).trainer
    trainer.train()
    return trainer.update.parameters.flat


def test_draws_follow_the_runs_seed_and_leave_torchs_generator_alone() -> None:
    recipe, before = recipe_of("SACLoss", "Pendulum-v1"), torch.get_rng_state()
    one = trained(recipe)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(5)
    assert torch.equal(trained(recipe), one)
    trainer = small.build(recipe).trainer
    algorithm: Any = trainer.algorithm
    seeds = algorithm.noise(np.random.default_rng(0), 100)["seed"]
    assert len(set(seeds.tolist())) == 100


def test_each_update_draws_anew() -> None:
    trainer = small.build(recipe_of("SACLoss", "Pendulum-v1")).trainer
    trainer.train()
    algorithm: Any = trainer.algorithm
    batch = {**batch_of(trainer), "observation": torch.randn(B, 3), "action": torch.rand(B, 1)}
    batch["next", "observation"] = torch.randn(B, 3)
    losses = [algorithm.loss(trainer.update.params, {**batch, "seed": torch.tensor([n])}, {})[0] for n in (1, 1, 2)]
    assert torch.equal(losses[0], losses[1])
    assert not torch.equal(losses[0], losses[2])


BOUNDED = {"min_alpha": 0.5, "max_alpha": 0.99}


def test_a_bounded_temperature_stays_in_the_runs_memory_and_is_resumed(tmp_path: Path) -> None:
    recipe = {**recipe_of("DiscreteSACLoss", "CartPole-v1", options=BOUNDED), "optimizer": {"name": "adam", "lr": 1e-2}}
    trainer = small.build(recipe).trainer
    trainer.train()
    saved = trainer.update.parameters.named()["loss.log_alpha"]
    used = trainer.update.params["loss"]["log_alpha"]
    assert saved.data_ptr() == used.data_ptr()
    # Bounded before an update, so that one step may lie beyond.
    assert 0.5 * 0.98 < float(saved.exp()) < 0.99 * 1.02
    assert float(saved) != 0.0
    small.train(recipe, tmp_path / "whole")
    code = small.train(recipe, tmp_path / "stopped", "trainer.time_limit=1").outcome.code
    while code == 75:
        code = small.go_on(tmp_path / "stopped").outcome.code
    assert small.outcome_of(tmp_path / "stopped") == small.outcome_of(tmp_path / "whole")


@pytest.mark.parametrize("loss", ["SACLoss", "REDQLoss"])
def test_a_temperature_may_be_fixed(loss: str) -> None:
    recipe = recipe_of(loss, "Pendulum-v1", options={"fixed_alpha": True})
    assert small.probe(load(recipe).recipe) == []
    assert not [name for name in small.build(recipe).trainer.update.parameters.named() if name.startswith("loss.")]


def test_terms_are_chosen_by_name() -> None:
    trainer = small.build(recipe_of("CQLLoss", "Pendulum-v1")).trainer
    batch = {**batch_of(trainer), "observation": torch.randn(B, 3), "action": torch.rand(B, 1)}
    batch["next", "observation"] = torch.randn(B, 3)
    algorithm: Any = trainer.algorithm
    total, terms = algorithm.loss(trainer.update.params, batch, {})
    summed = sum(terms[f"loss_{name}"] for name in ("actor", "qvalue", "alpha", "cql"))
    torch.testing.assert_close(total.detach(), summed)
    algorithm.terms = {"loss_qvalue"}
    torch.testing.assert_close(algorithm.loss(trainer.update.params, batch, {})[0].detach(), terms["loss_qvalue"])


def test_one_learns_cartpole(tmp_path: Path) -> None:
    recipe = {
        "env": {"env_name": "CartPole-v1", "num_envs": 4},
        "algorithm": {
            "name": "torchrl_loss",
            "loss": "DQNLoss",
            "options": {"loss_function": "smooth_l1", "double_dqn": True},
            "target": {"name": "hard", "every": 100},
        },
        "networks": {"policy": {"name": "mlp", "num_cells": [64, 64], "activation": "relu"}},
        "optimizer": {"name": "adam", "lr": 3e-3},
        "exploration": {"name": "egreedy", "eps": 0.1},
        "collector": {"frames_per_batch": 128, "init_random_frames": 512},
        "replay_buffer": {"name": "uniform", "batch_size": 64},
        "trainer": {"total_frames": 5120, "updates_per_frame": 0.3, "clip_norm": 10},
        "evaluation": {"episodes": 20},
    }
    summary = small.train(recipe, tmp_path / "run").outcome.summary
    # Random actions get 22.
    assert summary["eval_return_mean"] > 80


@pytest.mark.parametrize(
    ("loss", "env", "options", "code", "path", "message", "cure"),
    [
        ("SACLos", "Pendulum-v1", {}, "E201", "algorithm.loss", "no loss 'SACLos'", "SACLoss"),
        ("Loss", "Pendulum-v1", {}, "E201", "algorithm.loss", "no loss 'Loss'", ""),
        ("ClipPPOLoss", "Pendulum-v1", {}, "E302", "algorithm.loss", "advantages", "ppo"),
        ("DreamerV3Loss", "Pendulum-v1", {}, "E302", "algorithm.loss", "model_loss", "actor_"),
        ("SACLoss", "CartPole-v1", {}, "E301", "algorithm.loss", "Box", "DiscreteSACLoss"),
        ("DiscreteSACLoss", "Pendulum-v1", {}, "E301", "algorithm.loss", "Discrete", "use SACLoss"),
        ("DQNLoss", "Pendulum-v1", {}, "E301", "algorithm.loss", "Discrete", "SACLoss"),
        ("TQCLoss", "Pendulum-v1", {}, "E302", "algorithm.loss", "quantiles", "torchrl's reference"),
        ("DistributionalDQNLoss", "CartPole-v1", {}, "E302", "algorithm.loss", "Distributional", "reference"),
        ("IQLLoss", "Pendulum-v1", {"n_steps": 3}, "E302", "algorithm.n_steps", "one step", "remove"),
        ("SACLoss", "Pendulum-v1", {"terms": ["actor"]}, "E302", "algorithm.terms", "no loss actor", "loss_actor"),
        ("SACLoss", "Pendulum-v1", {"terms": ["loss_actor"]}, "E302", "algorithm.loss", "not", "reference"),
        ("DQNLoss", "CartPole-v1", {"options": {"double": 1}}, "E101", "algorithm.options.double", "", "double_dqn"),
        ("DQNLoss", "CartPole-v1", {"options": {"gamma": 1}}, "E302", "algorithm.options.gamma", "", "algorithm.gamma"),
        ("DQNLoss", "CartPole-v1", {"options": {"loss_function": "l7"}}, "E302", "algorithm.loss", "l7", "reference"),
    ],
)  # fmt: skip
def test_what_cannot_be_built_is_told_with_its_place(
    loss: str, env: str, options: dict[str, Any], code: str, path: str, message: str, cure: str
) -> None:
    found = small.problems(recipe_of(loss, env, **options))
    assert len(found) == 1
    assert found[0][:2] == (code, path)
    assert message in found[0][2]
    assert cure in found[0][3]


@pytest.mark.parametrize(
    ("path", "value", "where", "cure"),
    [
        (("networks", "value"), {"name": "mlp", "num_cells": [7]}, ("networks", "value"), "networks.policy"),
        (("optimizer", "groups"), {"value": {"lr": 1e-4}}, ("optimizer", "groups", "value"), "remove"),
        (("replay_buffer", "name"), "prioritized", ("replay_buffer",), "uniform"),
    ],
)  # fmt: skip
def test_what_a_loss_would_not_hear_is_told(path: tuple[str, ...], value: Any, where: Any, cure: str) -> None:
    recipe = {**recipe_of("CQLLoss", "Pendulum-v1"), "optimizer": {"name": "adam", "lr": 1e-3}}
    (problem,) = small.probe(load(small.changed(recipe, path, value)).recipe)
    assert (problem.code, problem.path) == ("E302", where)
    assert cure in (problem.suggestion or "")


def test_a_policy_without_randomness_asks_for_exploration() -> None:
    for loss, env, cure in (("DQNLoss", "CartPole-v1", "egreedy"), ("TD3Loss", "Pendulum-v1", "gaussian")):
        recipe = recipe_of(loss, env)
        del recipe["exploration"]
        (problem,) = small.probe(load(recipe).recipe)
        assert (problem.code, problem.suggestion) == ("E302", f"write exploration: {cure}")


def test_a_distribution_without_a_counterpart_is_told() -> None:
    policy = {**small.QVALUE, "distribution": "normal"}
    recipe = small.changed(recipe_of("SACLoss", "Pendulum-v1"), ("networks", "policy"), policy)
    (problem,) = small.probe(load(recipe).recipe)
    assert (problem.code, problem.path) == ("E302", ("networks", "policy", "distribution"))
