from typing import Any

import pytest
import torch

from rlrecipe.assembly.collecting import make_collector_offpolicy
from rlrecipe.assembly.fitted import Fitted
from rlrecipe.assembly.learning import count_parameters
from rlrecipe.builders import make_dqn_loss, make_loss, make_replay_buffer, make_target_updater, make_trainer
from rlrecipe.clock import Clock
from rlrecipe.recipe.load import load
from rlrecipe.recipe.values import Duration
from tests import small

NETWORKS = {"qvalue": small.QVALUE}


def test_a_loss_has_the_first_weights_of_a_recipe_with_its_seed() -> None:
    learner = make_dqn_loss(env=small.DQN["env"], networks=NETWORKS, seed=5)
    built = small.build(small.DQN, "seed=5").trainer.update.parameters
    assert torch.equal(learner.parameters.flat, built.flat)
    assert not torch.equal(make_dqn_loss(env="CartPole-v1", networks=NETWORKS).parameters.flat, built.flat)


def test_a_double_dqn_loss_on_transitions_of_a_buffer_lowers_itself() -> None:
    learner = make_dqn_loss(env="CartPole-v1", networks=NETWORKS, double=True)
    assert learner.algorithm.options.double
    targets = make_target_updater({"name": "soft", "tau": 0.5}, learner=learner)
    collector = make_collector_offpolicy("CartPole-v1", learner.policy, frames_per_batch=64, init_random_frames=64)
    buffer = make_replay_buffer({"name": "uniform", "batch_size": 32}, env="CartPole-v1")
    buffer.extend(collector.collect())
    batch = next(buffer.sample(1))
    own = learner.parameters.params
    leaf = own["qvalue"]["0.weight"].requires_grad_()
    params = {**own, **targets.params}
    first, metrics = learner.algorithm.loss(params, batch, {})
    assert metrics["td_error"].shape == (32,)
    (gradient,) = torch.autograd.grad(first, leaf)
    with torch.no_grad():
        leaf -= 0.01 * gradient
    assert learner.algorithm.loss(params, batch, {})[0] < first
    collector.close()


def test_soft_targets_go_their_share_of_the_way() -> None:
    learner = make_dqn_loss(env="CartPole-v1", networks=NETWORKS)
    targets = make_target_updater("soft", tau=0.25, learner=learner)
    before = targets.copies.flat.clone()
    learner.parameters.flat += 1.0
    targets.follow()
    torch.testing.assert_close(targets.copies.flat, before + 0.25)


def test_targets_follow_as_their_algorithm_was_told() -> None:
    learner = make_dqn_loss(env="CartPole-v1", networks=NETWORKS, target={"name": "soft", "tau": 0.125})
    assert make_target_updater(learner=learner).tau == 0.125


def test_hard_targets_follow_when_their_clock_crosses_the_interval() -> None:
    learner = make_dqn_loss(env="CartPole-v1", networks=NETWORKS)
    clock = Clock(Duration(1000))
    targets = make_target_updater("hard", every=100, learner=learner, clock=clock)
    learner.parameters.flat += 1.0
    targets.before_update()
    assert not torch.equal(targets.copies.flat, learner.parameters.flat)
    clock.frames = 100
    targets.before_update()
    assert torch.equal(targets.copies.flat, learner.parameters.flat)


def test_hard_targets_without_a_clock_are_refused() -> None:
    with pytest.raises(ValueError, match="give clock="):
        make_target_updater("hard", learner=make_dqn_loss(env="CartPole-v1", networks=NETWORKS))


def test_an_algorithm_without_target_networks_is_refused() -> None:
    with pytest.raises(ValueError, match="PPO has no target networks"):
        make_target_updater("soft", learner=make_loss("ppo", env="CartPole-v1"))


def test_a_trainer_from_sections_trains_as_one_from_a_recipe() -> None:
    sections = {**small.DQN, "seed": 3, "trainer": {**small.DQN["trainer"], "total_frames": 256}}
    one, other = make_trainer(**sections), small.build(sections)
    for built in (one, other):
        built.trainer.train()
        assert built.trainer.clock.frames == 256
    assert torch.equal(one.trainer.update.parameters.flat, other.trainer.update.parameters.flat)


def test_a_trainer_from_a_bundled_recipe_with_sections_over_it() -> None:
    built = make_trainer("ppo/cartpole", seed=7, trainer={"total_frames": 512})
    assert (built.recipe.seed, built.recipe.trainer.total_frames) == (7, 512)
    with pytest.raises(TypeError, match="this recipe is resolved: change seed before"):
        make_trainer(built.recipe, seed=8)


ENCODER = {"encoder": {"name": "mlp", "num_cells": [8]}}


@pytest.mark.parametrize(
    ("base", "more"),
    [
        # A memory learns from sequences, which only PPO's are.
        *((small.CARTPOLE, more) for more in ({}, {"memory": "lstm"}, ENCODER)),
        *((base, more) for base in (small.DQN, small.TD3) for more in ({}, ENCODER)),
    ],
)
def test_parameters_are_counted_without_being_there(base: dict[str, Any], more: dict[str, Any]) -> None:
    recipe = load({**base, "networks": {**base.get("networks", {}), **more}}).recipe
    fitted = Fitted(recipe, small.trial(base).spaces)
    assert count_parameters(fitted.recipe, fitted.spaces) == fitted.make_learner().parameters.flat.numel() > 0
