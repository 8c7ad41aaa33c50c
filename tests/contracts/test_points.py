"""The ten hook points: their order, their arguments, and what cannot be registered at them."""

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from tensordict import TensorDict, TensorDictBase

from rlrecipe.learning.update import step
from rlrecipe.loop import loop as loop_module
from rlrecipe.loop.points import POINTS, HookError, declared
from rlrecipe.recipe import registry
from rlrecipe.recipe.options import Component
from rlrecipe.torchrl.recipe_trainer import RecipeTrainer
from tests import small

HOOKS = registry.search("hook")
#: Hooks that change what updates report, or with what they are made.
AT_NO_POINT = ("gradient_norm", "optimizer_hook")
#: Hooks that an algorithm without a replay buffer of its own may have.
ON_POLICY = ("replay_buffer_trainer",)


def trainer(*overrides: str, **changes: Any) -> RecipeTrainer:
    return small.build({**small.CARTPOLE, "evaluation": {}, **changes}, *overrides).trainer


def documented() -> list[tuple[str, tuple[str, ...]]]:
    """Points of the loop that the trainer's docstring draws, each with its arguments."""
    drawn = (loop_module.__doc__ or "").split("::")[1]
    calls = re.findall(r"(\w+)\(([\w, ]*)\) +# ", drawn)
    return [(name, tuple(filter(None, arguments.split(", ")))) for name, arguments in calls]


class Recorder:
    """Registered at every point; notes each call, and makes the optimizer's step itself."""

    def __init__(self, trained: RecipeTrainer, reads_mapping: bool) -> None:
        self.calls: list[tuple[str, tuple[Any, ...]]] = []
        self.trained = trained
        for point in POINTS:
            op = self._op(point)
            op.reads_mapping = reads_mapping  # type: ignore[attr-defined]
            trained.register_op(point, op)

    def _op(self, point: str) -> Callable[..., Any]:
        def op(*arguments: Any) -> Any:
            self.calls.append((point, arguments))
            if point == "optimizer":
                part = self.trained.update.parts[0]
                gradients = torch.autograd.grad(arguments[0]["loss"], part.leaves)
                step(part, torch.cat([g.reshape(-1) for g in gradients]), arguments[1])
            return arguments[0] if POINTS[point] == "data" else None

        return op


def test_the_documented_points_are_the_points() -> None:
    assert [name for name, _ in documented()] == list(POINTS)


@pytest.mark.parametrize("reads_mapping", [False, True])
def test_the_points_are_called_in_the_documented_order_with_the_documented_arguments(
    reads_mapping: bool,
) -> None:
    trained = trainer("trainer.total_frames=128")
    recorder = Recorder(trained, reads_mapping)
    trained.train()
    names = [name for name, _ in documented()]
    first, last = names.index("process_optim_batch"), names.index("post_optim_log")
    batch = names[:first] + 4 * names[first : last + 1] + names[last + 1 :]
    assert [point for point, _ in recorder.calls] == 2 * batch
    mapping, parameters = (dict if reads_mapping else TensorDictBase), dict(documented())
    kinds = {"batch": mapping, "sub_batch": mapping, "losses": mapping, "clip_norm": float, "j": int}
    for point, arguments in recorder.calls:
        assert len(arguments) == len(parameters[point]), point
        for argument, parameter in zip(arguments, parameters[point], strict=True):
            assert isinstance(argument, kinds[parameter]), (point, parameter)
    indexes = [arguments[2] for point, arguments in recorder.calls if point == "optimizer"]
    assert indexes == [0, 1, 2, 3, 0, 1, 2, 3]


def test_batches_are_time_major_mappings_and_tensordicts_are_not() -> None:
    for reads_mapping, shape, column in ((True, [32, 2], [32, 2]), (False, [2, 32], [2, 32, 1])):
        trained = trainer("trainer.total_frames=64")
        recorder = Recorder(trained, reads_mapping)
        trained.train()
        calls = dict(recorder.calls)
        (batch,), (sub_batch,) = calls["post_steps_log"], calls["post_optim_log"]
        assert list(batch["observation"].shape) == [*shape, 4]
        assert list(batch["next", "reward"].shape) == column
        assert list(sub_batch["observation"].shape) == [32, 4]
        assert len(sub_batch["advantage"]) == 32


def test_hooks_of_one_point_are_called_in_the_order_of_registration() -> None:
    trained, called = trainer("trainer.total_frames=64"), []
    for name in "abc":
        trained.register_op("post_steps", lambda name=name: called.append(name))
    trained.train()
    assert called == ["a", "b", "c"]


def test_arguments_of_the_registration_reach_the_hook() -> None:
    trained, given = trainer("trainer.total_frames=64"), []
    trained.register_op("post_steps", lambda **arguments: given.append(arguments), scale=2)
    trained.train()
    assert given == [{"scale": 2}]


def test_a_hook_that_observes_changes_nothing() -> None:
    plain, observed = trainer(), trainer()
    for point in ("pre_steps_log", "post_optim_log", "post_steps_log"):
        observed.register_op(point, lambda batch: {"mean": batch["observation"].mean()})
    plain.train()
    observed.train()
    assert torch.equal(plain.update.parameters.flat, observed.update.parameters.flat)


# -- what cannot be registered


def test_an_unknown_point_is_an_error_that_lists_the_points() -> None:
    with pytest.raises(HookError) as caught:
        trainer().register_op("after_lunch", print)
    assert "'after_lunch'" in str(caught.value)
    assert all(point in str(caught.value) for point in POINTS)


def test_what_cannot_be_called_is_an_error() -> None:
    with pytest.raises(HookError, match="cannot be called"):
        trainer().register_op("post_steps", 3)  # type: ignore[arg-type]


def test_several_optimizers_step_in_the_order_of_their_registration() -> None:
    trained, called = trainer("trainer.total_frames=64"), list[str]()
    for name in ("one", "other"):
        trained.register_op("optimizer", lambda *_, name: called.append(name), name=name)
    trained.train()
    assert called == ["one", "other"] * trained.clock.updates


def test_a_data_hook_that_returns_nothing_is_an_error() -> None:
    trained = trainer("trainer.total_frames=64")
    trained.register_op("batch_process", lambda batch: None)
    with pytest.raises(HookError, match="returned None; return the batch"):
        trained.train()


@pytest.mark.parametrize("component", HOOKS, ids=lambda component: component.name)
def test_every_hook_fails_at_the_points_of_other_categories(component: Component) -> None:
    hook = component.build(small.options_of(component))
    assert hook.category in POINTS.values(), "a hook of this package declares its category"
    for point, category in POINTS.items():
        if category == hook.category:
            continue
        with pytest.raises(HookError) as caught:
            trainer().points.add(point, hook, {})
        assert f"declares the category {hook.category!r}, but {point} takes {category!r} hooks" in str(caught.value)


@pytest.mark.parametrize("component", HOOKS, ids=lambda component: component.name)
def test_every_hook_registers_itself_where_it_may(component: Component) -> None:
    # An algorithm with target networks, which some of them move.
    trained = small.build(small.CARTPOLE if component.name in ON_POLICY else small.DQN).trainer
    before = {point: len(ops) for point, ops in trained.points.ops.items()}
    component.build(small.options_of(component)).register(trained, component.name)
    grown = [point for point, ops in trained.points.ops.items() if len(ops) > before[point]]
    assert grown or component.name in AT_NO_POINT, "a hook registers itself at a point at least"


def test_a_method_of_an_object_declares_its_objects_category() -> None:
    class Logging:
        category = "logging"

        def log(self, batch: TensorDict) -> None:
            """Nothing."""

    with pytest.raises(HookError, match="declares the category 'logging'"):
        trainer().register_op("post_optim", Logging().log)


def test_two_modules_of_one_name_are_an_error() -> None:
    trained = trainer()
    with pytest.raises(HookError, match="registered as 'clock'"):
        trained.register_module("clock", trained.streams)
    trained.register_module("clock", trained.clock)


def test_a_module_without_a_state_is_an_error() -> None:
    with pytest.raises(HookError, match="has no state_dict"):
        trainer().register_module("print", print)  # type: ignore[arg-type]


def test_what_a_hook_declares_is_asked_once_of_functions_methods_and_classes() -> None:
    class Foreign:
        """An object that derives from no class of ours, as torchrl's are."""

        reads_mapping = True
        logs_newest = "total"

        def log(self, batch: TensorDict) -> None:
            """Nothing."""

    foreign = Foreign()
    trained = trainer()
    trained.register_op("post_steps_log", foreign.log)
    foreign.reads_mapping = False
    (hook,) = trained.points.ops["post_steps_log"]
    assert (hook.declares.reads_mapping, hook.declares.logs_newest, hook.owner) == (True, ("total",), foreign)
    assert not declared(len).reads_mapping
    assert all(declared(component.build(small.options_of(component))).category for component in HOOKS)


def test_what_a_logging_hook_names_later_is_newest_too() -> None:
    class Late:
        def __init__(self) -> None:
            self.logs_newest: set[str] = set()
            self.count = 0

        def __call__(self, batch: Any) -> dict[str, float]:
            self.logs_newest.add("count")
            self.count += 1
            return {"count": float(self.count)}

    trained = trainer()
    trained.register_op("post_steps_log", Late())
    trained.train()
    assert trained.logged.take()["count"] == trained.clock.frames / trained.collector.frames_per_batch
