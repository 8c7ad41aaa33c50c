"""Hooks that log: what they report of a run, and that they leave it alone."""

import shutil
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch

from rlrecipe.hooks.count_frames_log import CountFramesLog
from rlrecipe.learning.update import EAGER, Piece, gradient, update
from rlrecipe.torchrl.recipe_trainer import RecipeTrainer
from rlrecipe.trainers import LogScalar, LogTiming, PPOTrainer, UTDRHook
from tests import small


def trained(*hooks: dict[str, Any], recipe: Any = small.CARTPOLE) -> RecipeTrainer:
    trainer = small.build({**recipe, "hooks": list(hooks)}).trainer
    trainer.train()
    return trainer


OBSERVERS = [
    {"name": "log_scalar", "key": "observation", "include_std": True},
    {"name": "count_frames_log"},
    {"name": "utdr_hook"},
    {"name": "log_timing"},
    {"name": "gradient_norm"},
    {"name": "clear_cuda_cache", "interval": 2},
    {"name": "time_limit", "seconds": 1e6},
    {"name": "update_weights"},
    {"name": "nan_guard"},
    {"name": "log_validation_reward", "record_interval": 3, "episodes": 2, "exploration_type": "random"},
]


@pytest.mark.parametrize("recipe", [small.CARTPOLE, small.DQN, small.TD3], ids=["ppo", "dqn", "td3"])
@pytest.mark.parametrize("hook", OBSERVERS, ids=lambda hook: hook["name"])
def test_an_observer_changes_nothing(recipe: Any, hook: dict[str, Any]) -> None:
    plain, watched = trained(recipe=recipe), trained(hook, recipe=recipe)
    assert torch.equal(plain.update.parameters.flat, watched.update.parameters.flat)


@pytest.mark.parametrize("reduction", ["mean", "sum", "std", "min", "max"])
def test_log_scalar_takes_one_number_of_each_batch(reduction: str) -> None:
    expected = []
    trainer = small.build(small.CARTPOLE).trainer
    LogScalar("observation", "seen", reduction=reduction, include_std=True).register(trainer)
    trainer.register_op("post_steps_log", lambda batch: expected.append(batch["observation"].clone()))
    trainer.train()
    logged = trainer.logged.take()
    numbers = torch.stack([getattr(batch, reduction)() for batch in expected])
    assert logged["seen"] == pytest.approx(float(numbers.mean()), rel=1e-5)
    assert logged["seen_std"] == pytest.approx(float(torch.stack([b.std() for b in expected]).mean()), rel=1e-5)


def test_log_scalar_of_one_number_has_no_deviation() -> None:
    assert LogScalar("a", include_std=True)({"a": torch.ones(1)}) == {"batch/a": 1.0, "log_pbar": False}


def test_count_frames_log_counts_skipped_frames_for_each_trainer_of_its_own() -> None:
    one, other = CountFramesLog(frame_skip=4), CountFramesLog(4, log_pbar=True)
    batch = {("next", "reward"): torch.zeros(5, 2)}
    one(batch)
    assert one(batch) == {"n_frames": 80.0, "log_pbar": False}
    assert other(batch) == {"n_frames": 40.0, "log_pbar": True}
    other.load_state_dict(one.state_dict())
    assert other(batch)["n_frames"] == 120


@pytest.mark.parametrize(
    ("recipe", "ratio"), [(small.CARTPOLE, 2.0), (small.DQN, 67 * 16 / 512)], ids=["two epochs", "dqn"]
)
def test_utdr_hook_is_rows_learned_from_over_frames(recipe: Any, ratio: float) -> None:
    trainer = small.build(recipe).trainer
    hook = UTDRHook(trainer)
    hook.register(trainer)
    trainer.train()
    rows = trainer.clock.updates * (32 if recipe is small.CARTPOLE else 16)
    expected = {"utd_ratio": rows / 512, "write_count": 512.0, "update_count": float(trainer.clock.updates)}
    assert hook({}) == expected
    assert hook({})["utd_ratio"] == pytest.approx(ratio)


def test_utdr_hook_without_a_trainer_says_so() -> None:
    with pytest.raises(ValueError, match="give it the trainer"):
        UTDRHook()({})


COUNTERS = ("n_frames", "write_count", "update_count", "utd_ratio")


def row_of_four(*hooks: Any, save: Any = None, load: Any = None) -> dict[str, float]:
    """The second row of two that span four batches each; ``save`` and ``load``: in its middle."""
    sections = {key: small.CARTPOLE[key] for key in ("env", "networks", "collector")}
    trainer: Any = PPOTrainer(**sections, total_frames=512, num_epochs=2, minibatch_size=32, log_interval=256,
                              hooks=list(hooks), save_trainer_file=save, save_trainer_interval=384)  # fmt: skip
    if load is not None:
        trainer.load_from_file(load)
    if save is not None:
        # The end is saved, too.
        trainer.boundaries.append(lambda: shutil.copy(save, f"{save}.384") if trainer.clock.frames == 384 else None)
    trainer.train()
    row: dict[str, float] = trainer.rows[-1]
    return row


def test_a_row_of_several_batches_has_the_newest_of_what_counts() -> None:
    row = row_of_four("count_frames_log", "utdr_hook", {"name": "log_timing", "percall": False})
    assert [row["frames"], row["updates"]] == [512, 32]
    assert [row[name] for name in COUNTERS] == [512, 512, 32, 2.0]


def test_the_newest_of_a_row_survives_between_two_sessions(tmp_path: Any) -> None:
    """Of a counter that is not logged again between the checkpoint and the row."""

    class Once(CountFramesLog):
        def __call__(self, batch: Any) -> Any:
            values = super().__call__(batch)
            return values if self.frame_count <= 384 else None

    whole = row_of_four(Once(), save=tmp_path / "x")
    assert row_of_four(Once(), load=tmp_path / "x.384") == whole
    assert whole["n_frames"] == 384


def test_counters_are_exact_where_float32_is_not() -> None:
    trainer = small.build(small.CARTPOLE).trainer
    hook = CountFramesLog()
    hook.frame_count = 2**24 + 1
    hook.register(trainer)
    trainer.train()
    assert trainer.logged.take()["n_frames"] == 2**24 + 1 + 512


@pytest.mark.parametrize(
    ("recipe", "names"),
    [(small.CARTPOLE, {"gradient_norm"}), (small.TD3, {"gradient_norm_qvalue", "gradient_norm_policy"})],
    ids=["ppo", "td3"],
)
def test_gradient_norm_is_that_of_the_gradient(recipe: Any, names: set[str]) -> None:
    trainer, norms = small.build({**recipe, "hooks": ["gradient_norm"]}).trainer, []
    part = trainer.update.parts[0]

    def note(piece: Piece, *given: Any) -> Any:
        flat, metrics = gradient(piece, *given)
        if piece is part:
            norms.append(float(flat.norm()))
        return flat, metrics

    trainer.updates.update = partial(update, steps=replace(EAGER, gradient=note))
    trainer.train()
    losses = trainer.losses.take()
    assert {name for name in losses if name.startswith("gradient_norm")} == names
    own = f"gradient_norm{part.suffix}"
    assert losses[own] == pytest.approx(sum(norms) / len(norms), rel=1e-5)


def test_log_timing_adds_up_to_the_run_and_is_no_state() -> None:
    trainer = small.build(small.CARTPOLE).trainer
    hook, each = LogTiming(percall=False), LogTiming()
    hook.register(trainer)
    trainer.train()
    assert trainer.logged.state_dict() == {"sums": []}
    # Totals, of which a row has the last.
    assert trainer.logged.take() == hook.seconds
    assert hook.seconds.keys() == {"time/collecting", "time/learning"}
    assert 0 < sum(hook.seconds.values()) <= trainer.clock.seconds
    other = small.build(small.CARTPOLE).trainer
    each.register(other)
    other.train()
    # Seconds of each batch, of which it has the mean.
    assert all(value != each.seconds[name] for name, value in other.logged.take().items())
