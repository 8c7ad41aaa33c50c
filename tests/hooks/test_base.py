"""The abstract base, and hooks that are called as their options say."""

import inspect
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from tensordict import TensorDict

import rlrecipe.trainers
from rlrecipe.hooks.base import Hook, entry, snake_case
from rlrecipe.recipe.options import Options, option
from rlrecipe.recipe.registry import search
from rlrecipe.trainers import LogScalar, SelectKeys, TrainerHookBase


def test_a_hook_without_its_state_cannot_be_built() -> None:
    """The mistake of the page that describes torchrl's trainer: ``save_dict`` for ``state_dict``."""

    class Counting(TrainerHookBase):
        def register(self, trainer: Any, name: str | None = None) -> None: ...
        def save_dict(self) -> dict[str, int]:
            return {}

        def load_state_dict(self, state: Any) -> None: ...

    with pytest.raises(TypeError, match=r"abstract method '?state_dict"):
        Counting()  # type: ignore[abstract]


def test_arguments_are_options_by_place_or_by_name() -> None:
    one, other = LogScalar("action", "a", log_pbar=True), LogScalar(key="action", logname="a", log_pbar=True)
    assert one.options == other.options
    assert one.usual_name == "log_a"
    said = inspect.signature(LogScalar)
    assert list(said.parameters) == ["key", "logname", "log_pbar", "include_std", "reduction"]
    assert said.bind("action", "a").arguments == {"key": "action", "logname": "a"}


def test_a_required_option_may_follow_one_with_a_default() -> None:
    class Mixed(Options):
        first: int = option(1, "One.")
        second: int = option(..., "Other.")

    class Mixing(Hook, options=Mixed, point="post_steps"):
        pass

    assert Mixing(second=2).options == Mixing(1, 2).options
    assert set(inspect.signature(Mixing).parameters) == {"first", "second"}


@pytest.mark.parametrize(
    ("arguments", "named", "error", "message"),
    [
        ((), {"reduction": "median"}, ValidationError, "'mean', 'sum', 'std', 'min' or 'max'"),
        ((), {"name": "x"}, ValidationError, "Extra inputs are not permitted"),
        ((3,), {}, ValidationError, "valid string"),
        (("a", "b", True, True, "mean", 1), {}, TypeError, r"LogScalar takes key, logname, .*; got 6 values"),
    ],
)
def test_arguments_are_checked_as_a_recipe_s(
    arguments: tuple[Any, ...], named: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        LogScalar(*arguments, **named)


@pytest.mark.parametrize(
    ("name", "snake"),
    [("UTDRHook", "utdr_hook"), ("LRSchedulerHook", "lr_scheduler_hook"), ("LogScalar", "log_scalar")],
)
def test_names_of_classes_are_those_of_recipes(name: str, snake: str) -> None:
    assert snake_case(name) == snake


def test_every_hook_of_a_recipe_is_a_class_of_rlrecipe_trainers() -> None:
    offered = {snake_case(name) for name in dir(rlrecipe.trainers)}
    assert {hook.name for hook in search("hook") if hook.file.startswith(rlrecipe.__path__[0])} <= offered


def test_another_name_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'LogScaler'"):
        _ = rlrecipe.trainers.LogScaler


def test_an_entry_of_a_mapping_or_of_a_tensordict() -> None:
    nested = TensorDict({"next": {"reward": torch.ones(2)}, "action": torch.zeros(2)}, batch_size=[2])
    for batch in ({("next", "reward"): torch.ones(2), "action": torch.zeros(2)}, nested):
        assert torch.equal(entry(batch, ["next", "reward"], "log_scalar"), torch.ones(2))
        with pytest.raises(KeyError, match=r"log_scalar: the batch has no entry 'x'; it has .*'action'"):
            entry(batch, "x", "log_scalar")


def test_select_keys_of_a_tensordict() -> None:
    data = TensorDict({"a": torch.zeros(2), "b": torch.zeros(2)}, batch_size=[2])
    assert set(SelectKeys(["a"])(data).keys()) == {"a"}
