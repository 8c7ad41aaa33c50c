"""torchrl's own hooks, unchanged, on both kinds of trainer.

Those that stay out, and why: ``DefaultOptimizationStepper`` and ``MixedPrecisionOptimizationStepper`` are no hooks but
take the place of loss, ``post_loss`` and step at once, in torchrl's trainer only; ``LogValidationReward`` runs only in
a TransformedEnv (its own environment, not the trainer's, has to have ``transform.dump``) and closes it after each call;
``TargetNetUpdaterHook`` registers at post_steps whatever its doc says and has no state, so it is given to
``register_op``; ``UTDRHook`` looks for ``trainer.replay_buffer``, which is to be set.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torchrl import trainers as theirs

import rlrecipe.trainers as ours
from rlrecipe.recipe.options import Options
from rlrecipe.recipe.registry import register
from rlrecipe.runs.progress import Display
from rlrecipe.runs.start import run
from rlrecipe.torchrl.recipe_trainer import RecipeTrainer
from rlrecipe.trainers import HookError
from rlrecipe.trainers.trainer import Trainer
from tests import small
from tests.trainers import parts

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
#: Public names of torchrl.trainers that are no hooks.
NO_HOOKS = {
    "Trainer",
    "TrainerHookBase",
    "OptimizationStepper",
    "DefaultOptimizationStepper",
    "MixedPrecisionOptimizationStepper",
    "mask_batch",
}
Register = Callable[[Trainer, parts.Parts], Any]
#: How each hook is built and registered, by its name, after those that it needs.
HOOKS: dict[str, Register] = {}


def hook(name: str) -> Callable[[Register], Register]:
    def add(function: Register) -> Register:
        HOOKS[name] = function
        return function

    return add


def registered(made: Any, trainer: Any) -> Any:
    made.register(trainer)
    return made


@hook("BatchSubSampler")
def batch_sub_sampler(trainer: Trainer, made: parts.Parts) -> Any:
    return registered(theirs.BatchSubSampler(batch_size=16), trainer)


@hook("ClearCudaCache")
def clear_cuda_cache(trainer: Trainer, made: parts.Parts) -> Any:
    return registered(theirs.ClearCudaCache(2), trainer)


@hook("CountFramesLog")
def count_frames_log(trainer: Trainer, made: parts.Parts) -> Any:
    return registered(theirs.CountFramesLog(frame_skip=2), trainer)


@hook("EarlyStopping")
def early_stopping(trainer: Trainer, made: parts.Parts) -> Any:
    theirs.LogScalar(("next", "reward"), "r_training").register(trainer)
    return registered(theirs.EarlyStopping(monitor="r_training", patience=32, wait_for=0), trainer)


@hook("LogScalar")
def log_scalar(trainer: Trainer, made: parts.Parts) -> Any:
    return registered(theirs.LogScalar(("next", "reward"), "r_training", include_std=True), trainer)


@hook("LogTiming")
def log_timing(trainer: Trainer, made: parts.Parts) -> Any:
    return registered(theirs.LogTiming(), trainer)


@hook("LogValidationReward")
def log_validation_reward(trainer: Trainer, made: parts.Parts) -> Any:
    return registered(
        theirs.LogValidationReward(
            record_interval=1, record_frames=20, policy_exploration=made.policy, environment=parts.env("CartPole-v1")
        ),
        trainer,
    )


@hook("LRSchedulerHook")
def lr_scheduler_hook(trainer: Trainer, made: parts.Parts) -> Any:
    assert trainer.optimizer is not None
    scheduler = torch.optim.lr_scheduler.StepLR(trainer.optimizer, step_size=1, gamma=0.5)
    return registered(theirs.LRSchedulerHook(scheduler), trainer)


@hook("OptimizerHook")
def optimizer_hook(trainer: Trainer, made: parts.Parts) -> Any:
    return registered(theirs.OptimizerHook(torch.optim.SGD(made.loss_module.parameters(), lr=0.1)), trainer)


@hook("ReplayBufferTrainer")
def replay_buffer_trainer(trainer: Trainer, made: parts.Parts) -> Any:
    return registered(theirs.ReplayBufferTrainer(made.replay_buffer, flatten_tensordicts=True), trainer)


@hook("RewardNormalizer")
def reward_normalizer(trainer: Trainer, made: parts.Parts) -> Any:
    return registered(theirs.RewardNormalizer(), trainer)


@hook("SelectKeys")
def select_keys(trainer: Trainer, made: parts.Parts) -> Any:
    return registered(theirs.SelectKeys(["observation", "action", "next"]), trainer)


@hook("TargetNetUpdaterHook")
def target_net_updater_hook(trainer: Trainer, made: parts.Parts) -> Any:
    made_hook = theirs.TargetNetUpdaterHook(made.targets)
    trainer.register_op("post_optim", made_hook)
    return made_hook


@hook("UpdateWeights")
def update_weights(trainer: Trainer, made: parts.Parts) -> Any:
    return registered(theirs.UpdateWeights(made.collector, 2, trainer=trainer), trainer)


@hook("UTDRHook")
def utdr_hook(trainer: Trainer, made: parts.Parts) -> Any:
    replay_buffer_trainer(trainer, made)
    trainer.replay_buffer = made.replay_buffer  # type: ignore[attr-defined] # any object may be one
    return registered(theirs.UTDRHook(trainer), trainer)


@hook("ValueEstimatorHook")
def value_estimator_hook(trainer: Trainer, made: parts.Parts) -> Any:
    return registered(theirs.ValueEstimatorHook(made.advantage), trainer)


def trained(name: str, **options: Any) -> tuple[Trainer, Any]:
    """A trainer of three batches of two updates with this hook."""
    made = parts.ppo() if name == "ValueEstimatorHook" else parts.dqn()
    trainer = made.trainer(96, seed=0, optim_steps_per_batch=2, log_interval=parts.FRAMES, **options)
    added = HOOKS[name](trainer, made)
    trainer.train()
    return trainer, added


def test_every_hook_of_torchrl_is_here() -> None:
    assert set(theirs.__all__) - NO_HOOKS == set(HOOKS)


@pytest.mark.parametrize("name", HOOKS)
def test_it_runs_and_is_saved_with_the_trainer(name: str, tmp_path: Path) -> None:
    trainer, _ = trained(name, save_trainer_file=tmp_path / "x.pt")
    assert trainer.clock.updates == trainer.clock.frames // parts.FRAMES * 2 > 0
    made = parts.ppo() if name == "ValueEstimatorHook" else parts.dqn()
    fresh = made.trainer(96, optim_steps_per_batch=2)
    HOOKS[name](fresh, made)
    fresh.load_from_file(tmp_path / "x.pt")
    assert torch.equal(parts.weights(fresh), parts.weights(trainer))
    fresh.shutdown()


# -- each does what it is for


def test_what_logging_hooks_return_is_in_the_rows() -> None:
    rows = trained("CountFramesLog")[0].rows
    assert [row["n_frames"] for row in rows] == [64.0, 128.0, 192.0]
    rows = trained("LogScalar")[0].rows
    assert [(row["r_training"], row["r_training_std"]) for row in rows] == [(1.0, 0.0)] * 3
    rows = trained("LogValidationReward")[0].rows
    assert [row["r_evaluation"] for row in rows] == [1.0] * 3
    rows = trained("UTDRHook")[0].rows
    assert [row["utd_ratio"] for row in rows] == pytest.approx([0.0, 16 * 2 / 64, 16 * 4 / 96])


def test_data_hooks_change_what_is_learned() -> None:
    seen: dict[str, list[Any]] = {name: [] for name in ("BatchSubSampler", "SelectKeys", "RewardNormalizer")}
    for name, found in seen.items():
        made = parts.dqn()
        trainer = made.trainer(64, optim_steps_per_batch=2)
        HOOKS[name](trainer, made)
        trainer.register_op("post_loss", lambda batch, found=found: found.append(batch.copy()))
        trainer.train()
    assert [tuple(batch.shape) for batch in seen["BatchSubSampler"]] == [(16,)] * 4
    assert "step_count" not in seen["SelectKeys"][0].keys()  # noqa: SIM118 - a TensorDict iterates over rows
    # CartPole pays 1 at every step: the normalised reward is 0.
    assert all(float(batch["next", "reward"].abs().max()) < 1e-3 for batch in seen["RewardNormalizer"])


def test_early_stopping_stops() -> None:
    trainer, stopping = trained("EarlyStopping")
    assert (trainer.clock.frames, trainer.complete) == (64, True)
    assert "did not improve" in stopping.stop_reason == trainer.ending.reason


def test_rates_and_targets_move() -> None:
    trainer, _ = trained("LRSchedulerHook")
    assert trainer.optimizer is not None
    assert trainer.optimizer.param_groups[0]["lr"] == pytest.approx(1e-2 / 8)
    names = [name for name in trainer.loss_module.state_dict() if name.startswith("target_")]  # type: ignore[attr-defined] # any object may be one
    for hook_name, moves in (("TargetNetUpdaterHook", True), ("ClearCudaCache", False)):
        trainer, _ = trained(hook_name)
        state, fresh = trainer.loss_module.state_dict(), parts.dqn()  # type: ignore[attr-defined] # any object may be one
        before = fresh.loss_module.state_dict()
        assert moves is not all(torch.equal(state[name], before[name]) for name in names)
        fresh.collector.shutdown()


def test_an_optimizer_hook_takes_the_built_in_steps_place() -> None:
    trainer, _ = trained("OptimizerHook")
    made = parts.dqn()
    sgd = torch.optim.SGD(made.loss_module.parameters(), lr=0.1)
    same = made.trainer(96, seed=0, optim_steps_per_batch=2, optimizer=sgd)
    same.train()
    torch.testing.assert_close(parts.weights(trainer), parts.weights(same))
    assert all(math.isfinite(row["loss/grad_norm_0"]) for row in trainer.rows)


def test_advantages_are_estimated_once_a_batch() -> None:
    made, calls = parts.ppo(), list[int]()
    trainer = made.trainer(64, optim_steps_per_batch=3)
    made.advantage.register_forward_hook(lambda *_: calls.append(1))
    value_estimator_hook(trainer, made)
    trainer.train()
    assert (len(calls), trainer.clock.updates) == (2, 6)


# -- the same hooks in a recipe's trainer


def of_recipe(recipe: Any = small.CARTPOLE) -> RecipeTrainer:
    return small.build({**recipe, "evaluation": {}}, "trainer.total_frames=192").trainer


@pytest.mark.parametrize(
    ("make", "recipe"),
    [
        (lambda: theirs.BatchSubSampler(batch_size=16), small.CARTPOLE),
        (lambda: theirs.ClearCudaCache(2), small.CARTPOLE),
        (lambda: theirs.CountFramesLog(frame_skip=2), small.CARTPOLE),
        (lambda: theirs.LogScalar(("next", "reward"), "r_training"), small.CARTPOLE),
        (lambda: theirs.LogTiming(), small.CARTPOLE),
        (lambda: theirs.RewardNormalizer(), small.DQN),
        (lambda: theirs.SelectKeys(["observation", "action", "next"]), small.DQN),
        (lambda: theirs.ValueEstimatorHook(lambda batch: batch), small.CARTPOLE),
    ],
    ids=lambda each: "" if isinstance(each, dict) else None,
)
def test_on_a_recipes_trainer(make: Callable[[], Any], recipe: Any) -> None:
    one, other = of_recipe(recipe), of_recipe(recipe)
    for each in (one, other):
        make().register(each)
    one.train()
    other.load_state_dict(one.state_dict())
    assert one.clock.updates > 0
    assert torch.equal(one.update.parameters.flat, other.update.parameters.flat)


@pytest.mark.parametrize("algorithm", ["ppo", "a2c"])
def test_rewards_of_sub_batches_are_refused_where_advantages_are_made_before(algorithm: str) -> None:
    trainer = of_recipe({**small.CARTPOLE, "algorithm": algorithm})
    with pytest.raises(HookError, match=r"RewardNormalizer\.normalize_reward .* use the hook reward_normalizer"):
        theirs.RewardNormalizer().register(trainer)
    ours.RewardNormalizer().register(trainer)
    trainer.train()
    assert trainer.clock.updates > 0


def test_an_algorithm_trainer_refuses_them_when_it_is_built() -> None:
    with pytest.raises(HookError, match="or the transform reward_norm"):
        ours.PPOTrainer("CartPole-v1", hooks=[theirs.RewardNormalizer()], total_frames=64)


class TheirsOptions(Options):
    """torchrl's OptimizerHook over the trainer's own leaves."""


def test_a_backward_of_its_own_keeps_updates_eager_and_the_run_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:

    with small.own_components():

        @register("hook", "theirs")
        def make(options: TheirsOptions) -> Any:
            class Late:
                """The leaves are known once there is a trainer."""

                def register(self, trainer: RecipeTrainer, name: str) -> None:
                    sgd = torch.optim.SGD(trainer.update.parts[0].leaves, lr=0.05)
                    theirs.OptimizerHook(sgd).register(trainer, name)

            return Late()

        recipe = {**small.CARTPOLE, "hooks": ["theirs"], "runtime": {"compile": "on"}}
        result = run(recipe, ["trainer.total_frames=128"], run_dir=tmp_path / "run", display=Display())
    assert result.outcome.code == 0
    assert "updates are not compiled: a hook at the point optimizer takes the steps" in capsys.readouterr().err
