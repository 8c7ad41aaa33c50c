"""Hooks on a trainer over parts of one's own: the page's examples, and every hook that comes along."""

from __future__ import annotations

from typing import Any

import pytest

from rlrecipe.recipe import registry
from rlrecipe.recipe.options import Component
from rlrecipe.trainers import HookError, TrainerHookBase
from tests import small
from tests.trainers.simple import simple

#: Hooks that work on a recipe's own update, as their options have it.
ONLY_RECIPES = (
    "nan_guard",
    "gradient_norm",
    "optimizer_hook",
    "lr_scheduler_hook",
    "target_net_updater_hook",
    "value_estimator_hook",
)
# torchrl's own parts warn of each other.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def test_the_pages_logging_hook_corrected() -> None:
    class LoggingHook(TrainerHookBase):
        """The seed page's, with ``state_dict``, the arguments of ``register_module`` in order, and one count a call."""

        def __init__(self) -> None:
            self.counter = 0
            self.logged: list[int] = []

        def register(self, trainer: Any, name: str | None = None) -> None:
            trainer.register_module(name or "logging_hook", self)
            trainer.register_op("post_optim_log", self)

        def state_dict(self) -> dict[str, Any]:
            return {"counter": self.counter}

        def load_state_dict(self, state_dict: dict[str, Any]) -> None:
            self.counter = state_dict["counter"]

        def __call__(self, batch: Any) -> dict[str, Any] | None:
            self.counter += 1
            if (self.counter - 1) % 10:
                return None
            self.logged.append(self.counter - 1)
            return {"some_value": batch["x"].sum().item(), "log_pbar": False}

    one, hook = simple(5, optim_steps_per_batch=5), LoggingHook()
    hook.register(one)
    one.train()
    assert hook.logged == [0, 10, 20]
    assert one.rows[-1]["some_value"] == 28.0
    other, again = simple(2, optim_steps_per_batch=5), LoggingHook()
    again.register(other)
    again.load_state_dict(hook.state_dict())
    other.train()
    assert again.logged == [30]


def test_the_pages_mistakes_are_said() -> None:
    class NoState(TrainerHookBase):
        def register(self, trainer: Any, name: str | None = None) -> None: ...
        def save_dict(self) -> dict[str, Any]:
            return {}

        def load_state_dict(self, state: Any) -> None: ...

    with pytest.raises(TypeError, match="state_dict"):
        NoState()  # type: ignore[abstract] # the mistake that is tested
    with pytest.raises(HookError, match="register_module takes the name first"):
        simple().register_module(object(), "logging_hook")  # type: ignore[arg-type] # wrong on purpose


@pytest.mark.parametrize("component", registry.search("hook"), ids=lambda component: component.name)
def test_every_hook_registers_without_a_name_or_says_what_it_needs(component: Component) -> None:
    trainer, hook = simple(1), component.build(small.options_of(component))
    if component.name in ONLY_RECIPES:
        with pytest.raises(HookError, match="give the hook"):
            hook.register(trainer)
        return
    if component.name in ("log_validation_reward", "video_recorder"):
        with pytest.raises(HookError, match=r"has no environment to evaluate in; .*set trainer\.stage"):
            hook.register(trainer)
        return
    hook.register(trainer)
    assert any(module is hook for module in trainer.modules.values())


def test_time_is_logged_of_any_collector() -> None:
    from rlrecipe.trainers import LogTiming

    trainer = simple(2, log_interval=8)
    LogTiming().register(trainer)
    trainer.train()
    assert [set(row) >= {"time/collecting", "time/learning"} for row in trainer.rows] == [True, True]
    assert all(0 < row["time/learning"] < 60 for row in trainer.rows)
