"""The training loop, its hook points and its sub-batches; every hook is here by its class's name, too."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from typing import Any

from rlrecipe.errors import Diverged as Diverged
from rlrecipe.hooks.base import Hook as Hook
from rlrecipe.hooks.base import TrainerHookBase as TrainerHookBase
from rlrecipe.hooks.base import snake_case
from rlrecipe.loop.points import POINTS as POINTS
from rlrecipe.loop.points import HookError as HookError
from rlrecipe.system.moved import new_name
from rlrecipe.torchrl.loop import FURTHER as FURTHER
from rlrecipe.torchrl.recipe_trainer import RecipeTrainer as RecipeTrainer

#: What is here without being asked for.
_OWN = ("FURTHER", "POINTS", "Diverged", "Hook", "HookError", "RecipeTrainer", "TrainerHookBase")
_HOOKS = "rlrecipe.hooks"


def __getattr__(name: str) -> Any:
    """A hook's class from the file that is named after it, ``Trainer``, or an algorithm's trainer by its name.

    One more hook, and one more algorithm, is here without a line of its own; and none is imported before it is used.
    ``__all__`` is made when somebody asks for it, too, as ``from rlrecipe.trainers import *`` does.
    """
    if name == "__all__":
        return __dir__()
    module = f"{_HOOKS}.{snake_case(name)}"
    if name[:1].isupper() and importlib.util.find_spec(module) is not None:
        return getattr(importlib.import_module(module), name)
    if name == "Trainer":
        return importlib.import_module("rlrecipe.trainers.trainer").Trainer
    if new_name(f"{__name__}.{name}") is not None:
        return importlib.import_module(f"{__name__}.{name}")
    if name.endswith("Trainer") and (found := _algorithms().trainer_class(name)) is not None:
        return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _algorithms() -> Any:
    """The one thing here that stands above the loop; imported when somebody asks for an algorithm's trainer."""
    return importlib.import_module("rlrecipe.trainers.algorithm_trainers")


def __dir__() -> list[str]:
    files = [each.name for each in pkgutil.iter_modules(importlib.import_module(_HOOKS).__path__)]
    modules = [importlib.import_module(f"{_HOOKS}.{name}") for name in files]
    hooks = {
        name
        for module in modules
        for name, each in vars(module).items()
        if isinstance(each, type) and issubclass(each, TrainerHookBase) and each.__module__ == module.__name__
    }
    return sorted({*_OWN, "Trainer", *hooks, *_algorithms().trainer_classes()})
