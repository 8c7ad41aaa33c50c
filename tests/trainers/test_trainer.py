"""The trainer over torchrl's parts: its points, its arguments, and what is broken in torchrl's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from tensordict import TensorDict, TensorDictBase

from rlrecipe.errors import Diverged, Refusal
from rlrecipe.trainers import POINTS, HookError
from rlrecipe.trainers.trainer import Trainer
from tests.contracts.test_points import documented
from tests.trainers import parts
from tests.trainers.simple import batch, moved, simple

# torchrl's own parts warn of each other.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


# -- the loop


def test_the_points_are_called_in_the_documented_order_with_tensordicts() -> None:
    trainer, calls = simple(2, optim_steps_per_batch=2, clip_norm=1.0), list[tuple[str, tuple[Any, ...]]]()

    def recorder(point: str) -> Callable[..., Any]:
        def op(*arguments: Any) -> Any:
            calls.append((point, arguments))
            return arguments[0] if POINTS[point] == "data" else None

        return op

    for point in POINTS:
        trainer.register_op(point, recorder(point))
    trainer.train()
    names = [name for name, _ in documented()]
    first, last = names.index("process_optim_batch"), names.index("post_optim_log")
    assert [point for point, _ in calls] == 2 * (names[:first] + 2 * names[first : last + 1] + names[last + 1 :])
    for point, arguments in calls:
        assert len(arguments) == len(dict(documented())[point])
        if point != "optimizer":
            assert all(isinstance(each, TensorDictBase) for each in arguments)
    assert [arguments[1:] for point, arguments in calls if point == "optimizer"] == [(1.0, 0), (1.0, 1)] * 2


def test_the_built_in_step_is_torchs() -> None:
    trainer = simple(3, optim_steps_per_batch=4)
    trainer.train()
    assert trainer.weight.item() == pytest.approx(moved(0.0, 12))
    assert (trainer.clock.frames, trainer.clock.updates) == (24, 12)


@pytest.mark.parametrize(("by_norm", "expected"), [(True, 0.05), (False, 0.05)])
def test_gradients_are_bounded(by_norm: bool, expected: float) -> None:
    trainer = simple(1, clip_norm=0.5, clip_grad_norm=by_norm)
    trainer.train()
    assert trainer.weight.item() == pytest.approx(expected)


def test_a_bound_on_each_number_is_none_on_their_norm() -> None:
    weight = torch.nn.Parameter(torch.zeros(2))
    for by_norm, expected in ((True, 0.5**0.5), (False, 1.0)):
        weight.data.zero_()
        Trainer(
            collector=[batch()],
            loss_module=lambda data: {"loss": (-100 * weight).sum()},
            optimizer=torch.optim.SGD([weight], lr=1.0),
            total_frames=8,
            clip_norm=1.0,
            clip_grad_norm=by_norm,
        ).train()
        assert weight.tolist() == pytest.approx([expected] * 2)


def test_a_plain_mapping_is_given_to_hooks_that_read_one() -> None:
    seen = list[Any]()

    def look(mapping: Any) -> Any:
        seen.append({key: tuple(value.shape) for key, value in mapping.items()})
        mapping["next", "reward"] *= 2
        return mapping

    def note(data: Any) -> None:
        seen.append(float(data["next", "reward"].mean()))

    look.reads_mapping = True  # type: ignore[attr-defined] # how an op asks for a mapping
    trainer = simple(1)
    trainer.register_op("batch_process", look)
    trainer.register_op("pre_steps_log", note)
    trainer.train()
    assert seen == [{"x": (8, 1), ("next", "reward"): (8, 1)}, 2.0]


def test_batches_may_be_plain_mappings() -> None:
    weight, shapes = torch.nn.Parameter(torch.zeros(())), []

    def loss(data: Any) -> Any:
        shapes.append(tuple(data.batch_size))
        return {"loss": (data["x"] - weight).square().mean()}

    Trainer(
        collector=[{"x": torch.ones(4, 2)}],
        loss_module=loss,
        optimizer=torch.optim.SGD([weight], lr=0.5),
        total_frames=8,
    ).train()
    assert weight.item() == pytest.approx(1.0)
    assert shapes == [(2, 4)]


# -- nothing is silent


def test_without_an_optimizer_it_says_so() -> None:
    with pytest.raises(HookError, match="nothing takes the steps: give the trainer an optimizer"):
        simple(optimizer=None).train()
    collecting = simple(optimizer=None, optim_steps_per_batch=0)
    collecting.train()
    assert (collecting.clock.frames, collecting.clock.updates) == (24, 0)


def test_a_hook_ends_a_batchs_updates_and_only_updates_that_happened_count() -> None:
    with pytest.raises(HookError, match="nothing ends a batch's updates"):
        simple(optim_steps_per_batch=None).train()
    trainer, left = simple(3, optim_steps_per_batch=None), iter(list[Any]())

    def draw(data: Any) -> Any:
        nonlocal left
        try:
            return next(left)
        except StopIteration:
            left = iter([data] * 2)
            raise

    trainer.register_op("process_optim_batch", draw)
    trainer.train()
    assert trainer.clock.updates == 4
    assert trainer.weight.item() == pytest.approx(moved(0.0, 4))


def test_a_data_hook_that_returns_nothing_has_to_say_so() -> None:
    trainer = simple()
    trainer.register_op("pre_epoch", lambda data: None)
    with pytest.raises(HookError, match="at pre_epoch returned None; return the batch"):
        trainer.train()

    def shift(data: Any) -> None:
        data["x"] += 1.0

    trainer = simple(1)
    trainer.register_op("batch_process", shift)
    trainer.train()
    assert trainer.weight.item() == pytest.approx(0.1 * 2 * 4.5)


def test_a_loss_without_losses_is_an_error() -> None:
    trainer = simple(1)
    trainer.loss_module = lambda data: {"objective": data["x"].sum()}
    with pytest.raises(HookError, match=r"no entry named loss or loss_\*; it has: objective"):
        trainer.train()


def test_a_number_that_is_not_finite_ends_it() -> None:
    trainer = simple(1)
    trainer.loss_module = lambda data: {"loss_one": data["x"].mean(), "loss_other": data["x"].mean() / 0.0}
    with pytest.raises(Diverged, match="not finite: loss_other"):
        trainer.train()


def test_a_collector_that_ends_early_is_said() -> None:
    trainer = simple(2, total_frames=100)
    with pytest.warns(UserWarning, match="the collector ended after 16 of 100 frames"):
        trainer.train()


def test_what_only_a_recipe_has_is_said() -> None:
    from rlrecipe.trainers import LRSchedulerHook, OptimizerHook

    with pytest.raises(HookError, match="has no lr_factor, which this hook works on in a recipe's"):
        LRSchedulerHook("StepLR", {"step_size": 1}).register(simple())
    trainer = simple(1)
    OptimizerHook(torch.optim.SGD([trainer.weight], lr=0.2), ["loss_square"]).register(trainer)
    trainer.train()
    assert trainer.weight.item() == pytest.approx(0.2 * 2 * 3.5)


# -- counters, means, intervals


def test_two_trainers_share_no_counter() -> None:
    one, other = simple(3), simple(1)
    one.train()
    assert (other.clock.frames, other.clock.updates, other.collected_frames) == (0, 0, 0)
    other.train()
    assert (one.collected_frames, other.collected_frames) == (24, 8)


def test_a_row_has_the_means_of_all_updates_since_the_row_before() -> None:
    trainer = simple(2, optim_steps_per_batch=3, log_interval=16)
    trainer.train()
    (row,) = trainer.rows
    seen = [moved(0.0, step) for step in range(6)]
    assert row["loss/weight"] == pytest.approx(sum(seen) / 6)
    assert row["loss/square"] == pytest.approx(sum((w - 3.5) ** 2 + 5.25 for w in seen) / 6)
    assert (row["frames"], row["updates"]) == (16, 6)


def test_an_interval_of_a_batch_fires_every_batch() -> None:
    trainer = simple(4, log_interval=8)
    trainer.train()
    assert [row["frames"] for row in trainer.rows] == [8, 16, 24, 32]


def test_rows_reach_loggers_of_both_kinds() -> None:
    class Ours:
        def __init__(self) -> None:
            self.rows = list[dict[str, float]]()

        def write(self, row: dict[str, float]) -> None:
            self.rows.append(row)

    class Theirs:
        def __init__(self) -> None:
            self.scalars = list[tuple[str, float, int]]()

        def log_scalar(self, name: str, value: float, step: int) -> None:
            self.scalars.append((name, value, step))

    ours, theirs = Ours(), Theirs()
    trainer = simple(2, log_interval=8, logger=[ours, theirs])
    trainer.train()
    assert trainer.rows == ours.rows
    assert [(name, step) for name, _, step in theirs.scalars] == [
        (f"loss/{name}", step) for step in (8, 16) for name in ("square", "weight")
    ]
    with pytest.raises(Refusal, match="has neither write"):
        simple(logger=object())


def test_frames_that_are_skipped_count() -> None:
    trainer = simple(5, frame_skip=4, total_frames=64)
    trainer.train()
    assert (trainer.clock.frames, trainer.clock.updates) == (64, 2)


def test_episodes_are_added_up_over_batches() -> None:
    done = torch.zeros(2, 4, 1, dtype=torch.bool)
    data = TensorDict({"x": torch.ones(2, 4), "next": TensorDict({"reward": torch.ones(2, 4, 1)}, [2, 4])}, [2, 4])
    batches = [data.clone().set(("next", "done"), done.clone()) for _ in range(3)]
    batches[0]["next", "done"][1, 1] = batches[2]["next", "done"][0, 2] = batches[2]["next", "done"][0, 3] = True
    trainer, seen = simple(), []
    trainer.collector = batches
    trainer.register_op("post_steps", lambda: seen.append(list(trainer.episodes)))
    trainer.train()
    assert seen == [[(8, 2.0, 2)], [], [(24, 11.0, 11), (24, 1.0, 1)]]
    assert trainer.rows[0]["train/episode_return"] == pytest.approx(14 / 3)


# -- the end


def test_environments_are_shut_down_also_when_training_raises() -> None:
    for fails in (False, True):
        made = parts.dqn()
        trainer = made.trainer(optim_steps_per_batch=0)
        if fails:
            trainer.register_op("post_steps", lambda: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                trainer.train()
        else:
            trainer.train()
        assert made.collector.closed
        assert trainer.is_shut_down


def test_an_interrupted_trainer_goes_on_and_one_that_is_shut_down_says_how() -> None:
    trainer, whole = parts.dqn(), parts.dqn()
    one, other = (each.trainer(seed=3, optim_steps_per_batch=2) for each in (trainer, whole))
    one.register_op("post_steps", lambda: one.interrupt("a test") if one.clock.frames == 64 else None)
    one.train()
    assert (one.clock.frames, one.is_shut_down) == (64, False)
    one.train()
    assert (one.clock.frames, one.is_shut_down) == (128, True)
    one.train()  # complete: nothing is left to do
    early = simple()
    early.shutdown()
    with pytest.raises(Refusal, match="build a trainer anew and load_from_file"):
        early.train()
    assert other.clock.frames == 0


def test_a_stop_is_complete() -> None:
    trainer = simple()
    trainer.register_op("post_steps", lambda: trainer.stop("good enough"))
    trainer.train()
    assert (trainer.clock.frames, trainer.complete, trainer.ending.reason) == (8, True, "good enough")


def test_progress_is_shown_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    trainer = simple(progress_bar=True)
    trainer.register_op("post_optim_log", lambda data: {"rate": 0.25, "log_pbar": True})
    trainer.train()
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "rate 0.25" in shown.err
    assert "100%" in shown.err


# -- seeds


def test_one_seed_gives_one_result() -> None:
    found = []
    for seed in (1, 1, 2):
        made = parts.dqn()
        trainer = made.trainer(seed=seed, optim_steps_per_batch=2)
        trainer.train()
        found.append(parts.weights(trainer))
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_hooks_of_rlrecipe_on_parts_of_torchrl() -> None:
    from rlrecipe.trainers import BatchSubSampler, EarlyStopping, LRSchedulerHook, UpdateWeights, UTDRHook

    made = parts.dqn()
    trainer = made.trainer(seed=0, optim_steps_per_batch=2, log_interval=32)
    assert trainer.optimizer is not None
    scheduler = torch.optim.lr_scheduler.StepLR(trainer.optimizer, 1, 0.5)
    hooks = (
        BatchSubSampler(16),
        LRSchedulerHook(scheduler, "optim"),
        UpdateWeights(update_weights_interval=2),
        UTDRHook(),
        EarlyStopping(threshold=5.0, episodes=2),
    )
    for hook in hooks:
        hook.register(trainer)
    trainer.train()
    assert trainer.optimizer.param_groups[0]["lr"] == pytest.approx(1e-2 / 2**trainer.clock.updates)
    assert trainer.rows[0]["utd_ratio"] == pytest.approx(2 * 16 / 32)
    assert trainer.ending.reason is not None
    assert "reached a mean return of 5" in trainer.ending.reason
    assert trainer.clock.frames < 128
