"""Hooks that take part in the steps: schedulers, target networks, weights of collectors."""

from typing import Any

import pytest
import torch

from rlrecipe.hooks.lr_scheduler_hook import schedulers
from rlrecipe.trainers import (
    HookError,
    LRSchedulerHook,
    OptimizerHook,
    TargetNetUpdaterHook,
    TimeLimit,
    UpdateWeights,
)
from tests import small

SGD = {**small.CARTPOLE, "optimizer": {"name": "sgd", "lr": 0.05}, "trainer": {"total_frames": 256, "clip_norm": 0.5}}


# -- learning rates


@pytest.mark.parametrize("interval", ["batch", "optim"])
def test_a_scheduler_of_torch_moves_the_trainer_s_rates(interval: str) -> None:
    rates: list[float] = []
    trainer = small.build(SGD).trainer
    LRSchedulerHook("StepLR", {"step_size": 1, "gamma": 0.5}, interval=interval).register(trainer)
    trainer.register_op("post_optim", lambda: rates.append(float(trainer.update.parts[0].lr)))
    trainer.train()
    steps = range(1, 17) if interval == "optim" else [i // 4 for i in range(16)]
    assert rates == pytest.approx([0.05 * 0.5**step for step in steps])


def test_a_scheduler_multiplies_the_recipe_s_schedule() -> None:
    rates: list[float] = []
    recipe = {**SGD, "optimizer": {**SGD["optimizer"], "schedule": "linear"}}
    trainer = small.build(recipe).trainer
    LRSchedulerHook("ExponentialLR", {"gamma": 0.1}).register(trainer)
    trainer.register_op("post_steps", lambda: rates.append(float(trainer.update.parts[0].lr)))
    trainer.train()
    assert rates == pytest.approx([0.05 * (1 - i / 4) * 0.1**i for i in range(4)])


def test_a_scheduler_of_an_optimizer_of_its_own() -> None:
    trainer = small.build(SGD).trainer
    optimizer = torch.optim.SGD(trainer.update.parts[0].leaves, lr=1.0)
    OptimizerHook(optimizer).register(trainer)
    LRSchedulerHook(torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5), "batch").register(trainer)
    trainer.train()
    assert optimizer.param_groups[0]["lr"] == 0.5**4
    assert float(trainer.update.parts[0].lr) == pytest.approx(0.05)


def test_a_rate_waits_for_the_first_update() -> None:
    trainer = small.build(small.DQN).trainer
    hook = LRSchedulerHook("StepLR", {"step_size": 1, "gamma": 0.5})
    hook.register(trainer)
    trainer.train()
    # Eight batches, of which the first is only collected.
    assert hook.factor == 0.5**7


@pytest.mark.parametrize(
    ("scheduler", "kwargs", "message"),
    [
        ("Steps", {}, r"no scheduler 'Steps'; there are: .*StepLR"),
        ("StepLR", {"gama": 1}, r"StepLR does not take kwargs .*gama"),
        ("ReduceLROnPlateau", {}, "no scheduler 'ReduceLROnPlateau'"),
    ],
)
def test_schedulers_that_cannot_be_made(scheduler: str, kwargs: dict[str, Any], message: str) -> None:
    with pytest.raises(HookError, match=message):
        LRSchedulerHook(scheduler, kwargs)


def test_a_recipe_s_scheduler_is_looked_for_before_anything_is_built() -> None:
    hook = {"name": "lr_scheduler_hook", "scheduler": "StepLr"}
    assert [each[:2] for each in small.problems({**small.CARTPOLE, "hooks": [hook]})] == [("E302", "hooks.0.scheduler")]
    known = {
        name
        for name, each in vars(torch.optim.lr_scheduler).items()
        if isinstance(each, type) and issubclass(each, torch.optim.lr_scheduler.LRScheduler)
    }
    assert {"StepLR", "CosineAnnealingLR"} < schedulers() < known


# -- target networks and collectors


def test_target_networks_are_copied_now_and_then() -> None:
    trainer, equal = small.build(small.TD3).trainer, []
    TargetNetUpdaterHook(interval=3).register(trainer)
    targets = trainer.update.targets
    assert targets is not None
    trainer.register_op("post_optim", lambda: equal.append(all(torch.equal(*pair) for pair in targets.pairs)))
    trainer.train()
    assert equal[:9] == [False, False, True] * 3


def test_an_updater_of_torchrl_s_is_stepped_after_each_update() -> None:
    class Updater:
        counter = 0

        def step(self) -> None:
            self.counter += 1

    trainer, updater = small.build(small.TD3).trainer, Updater()
    hook = TargetNetUpdaterHook(updater)
    hook.register(trainer)
    trainer.train()
    assert updater.counter == trainer.clock.updates > 0
    state, updater.counter = hook.state_dict(), 0
    hook.load_state_dict(state)
    assert updater.counter == trainer.clock.updates


def test_nothing_to_update() -> None:
    with pytest.raises(HookError, match="has no target networks"):
        TargetNetUpdaterHook().register(small.build(small.CARTPOLE).trainer)
    with pytest.raises(HookError, match=r"a float has no step\(\)"):
        TargetNetUpdaterHook(0.005)


def test_weights_are_sent_every_so_many_batches() -> None:
    class Collector:
        def __init__(self) -> None:
            self.sent: list[Any] = []

        def update_policy_weights_(self, *weights: Any) -> None:
            self.sent.append(weights)

    trainer, plain, given = small.build(SGD).trainer, Collector(), Collector()
    UpdateWeights(plain, 2).register(trainer, "plain")
    UpdateWeights(given, 4, policy_weights_getter=lambda: "weights").register(trainer, "given")
    trainer.train()
    assert (plain.sent, given.sent) == ([(), ()], [("weights",)])


# -- the end of a session


def test_a_session_ends_when_its_time_is_up(tmp_path: Any) -> None:
    recipe = {**small.CARTPOLE, "hooks": [{"name": "time_limit", "seconds": 1e-6}]}
    outcome = small.train(recipe, tmp_path / "run").outcome
    assert (outcome.code, outcome.reason) == (75, "the time_limit of 1e-06 seconds was reached")
    while outcome.code == 75:
        outcome = small.go_on(tmp_path / "run").outcome
    assert outcome.code == 0


def test_a_limit_that_is_not_reached_ends_nothing() -> None:
    trainer = small.build(SGD).trainer
    TimeLimit(1e6).register(trainer)
    trainer.train()
    assert trainer.complete
