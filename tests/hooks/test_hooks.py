from typing import Any

import pytest
import torch

from rlrecipe.errors import Diverged
from rlrecipe.recipe.slots import Slot
from rlrecipe.torchrl.recipe_trainer import RecipeTrainer
from tests import small


def with_hook(name: str, **options: Any) -> RecipeTrainer:
    return small.build({**small.CARTPOLE, "hooks": [{"name": name, **options}]}).trainer


def alone(name: str, **options: Any) -> Any:
    chosen = Slot("hook").read({"name": name, **options})
    return chosen.component.build(chosen)


def test_log_scalar_logs_the_mean_of_each_batch() -> None:
    trainer, means = with_hook("log_scalar", key="observation", log_pbar=True), []
    trainer.register_op("post_steps_log", lambda batch: means.append(float(batch["observation"].mean())))
    trainer.train()
    assert trainer.logged.take() == pytest.approx({"batch/observation": sum(means) / 8}, rel=1e-5)
    assert trainer.progress == pytest.approx({"batch/observation": means[-1]})


def test_log_scalar_names_the_entries_that_there_are() -> None:
    with pytest.raises(KeyError, match=r"no entry 'reward'; it has .*observation"):
        with_hook("log_scalar", key="reward").train()


@pytest.mark.parametrize(
    ("returns", "stops"),
    [([1, 2], False), ([4, 5, 6], True), ([9, 9], False), ([0, 4, 5, 6], True), ([6, 5, 3.9], False)],
)
def test_early_stopping_waits_for_enough_good_episodes(returns: list[float], stops: bool) -> None:
    trainer = small.build(small.CARTPOLE).trainer
    hook = alone("early_stopping", threshold=5.0, episodes=3)
    hook.register(trainer, "early_stopping")
    trainer.episodes = [(0, value, 1) for value in returns]
    hook()
    assert trainer.complete == stops


def test_early_stopping_remembers_over_batches_and_checkpoints() -> None:
    trainer = small.build(small.CARTPOLE).trainer
    one, other = (alone("early_stopping", threshold=5.0, episodes=2) for _ in range(2))
    one.register(trainer, "one")
    other.register(trainer, "other")
    trainer.episodes = [(0, 5.0, 1)]
    one()
    other.load_state_dict(one.state_dict())
    other()
    assert trainer.complete


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_nan_guard_names_what_is_not_finite(value: float) -> None:
    trainer = with_hook("nan_guard")
    trainer.train()
    trainer.update.parameters.named()["value.0.bias"][0] = value
    batch = trainer.collector.collect()
    guard = trainer.points.ops["post_steps_log"][0].op
    with pytest.raises(Diverged, match=r"not finite: parameters, value\.0\.bias;"):
        guard(batch)


def test_nan_guard_looks_at_rewards() -> None:
    """Of a batch whose losses stay finite: after its updates, and not what PPO learns from."""
    trainer = with_hook("nan_guard")

    def spoil(batch: Any) -> None:
        batch["next", "reward"][0, 0] = float("inf")

    # The first point after advantages are made of the rewards.
    trainer.register_op("pre_steps_log", spoil)
    with pytest.raises(Diverged, match=r"next\.reward"):
        trainer.train()


def test_a_sound_run_is_left_alone() -> None:
    plain, guarded = small.build(small.CARTPOLE).trainer, with_hook("nan_guard")
    plain.train()
    guarded.train()
    assert torch.equal(plain.update.parameters.flat, guarded.update.parameters.flat)
