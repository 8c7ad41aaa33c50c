"""Modules under the names that they had before: one table, so that older plug-ins go on working."""

from __future__ import annotations

import sys
import warnings
from importlib import import_module
from importlib.machinery import ModuleSpec

# Nothing more is imported: every start begins with this file.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType
    from typing import Any

PACKAGE = "rlrecipe"
#: Old and new name of each module that has moved; those inside a package move with it.
MOVED = {
    "algorithm_trainers": "trainers.algorithm_trainers",
    "build": "assembly.assemble",
    "algorithms.torchrl_modules": "torchrl.modules",
    "builders.acting": "assembly.acting",
    "builders.collecting": "assembly.collecting",
    "builders.constructors": "assembly.constructors",
    "builders.environments": "assembly.environments",
    "builders.learning": "assembly.learning",
    "builders.networks": "assembly.networks",
    "builders.numbers": "assembly.numbers",
    "builders.sections": "assembly.sections",
    "builders.stage": "assembly.stage",
    "capture": "stepping.capture",
    "checkpoint.bounded": "checkpoint.backends.bounded",
    "checkpoint.files": "system.files",
    "compiled": "learning.compiled",
    "compiled.choice": "assembly.resolve",
    "descriptors": "system.descriptors",
    "env_state": "stepping.capture_methods",
    "evaluation": "acting.evaluation",
    "files": "system.files",
    "headless": "stepping.headless",
    "hooks.torchrl_rollout": "torchrl.rollout",
    "memory": "assembly.memory_needed",
    "observations": "stepping.observations",
    "packing": "stepping.packing",
    "parameters": "learning.parameters",
    "paths": "system.paths",
    "policy": "acting.policy",
    "probe": "assembly.trial",
    "processor": "machine",
    "recipe.evaluation": "recipe.evaluation_env",
    "resolve": "assembly.resolve",
    "rollout": "stepping.rollout",
    "runs.arithmetic": "machine",
    "runs.signals": "system.signals",
    "runs.policy": "runs.load_policy",
    "sending": "collectors.sent",
    "shown": "recipe.shown",
    "signals": "system.signals",
    "starting": "assembly.starting",
    "stepping.torchrl": "torchrl",
    "targets": "learning.targets",
    "torchrl_env": "torchrl.env",
    "torchrl_source": "torchrl.source",
    "torchrl_spaces": "torchrl.spaces",
    "trainers.averages": "loop.averages",
    "trainers.loggers": "loggers.several",
    "trainers.guard": "loop.guard",
    "trainers.loop": "loop.loop",
    "trainers.minibatches": "loop.minibatches",
    "trainers.pace": "loop.pace",
    "trainers.points": "loop.points",
    "trainers.recipe_trainer": "torchrl.recipe_trainer",
    "trainers.replay": "loop.replayed",
    "trainers.tensordicts": "loop.tensordicts",
    "trainers.updates": "loop.updates",
    "update": "learning.update",
    "vector": "stepping.vector",
    "video": "recorders.mp4",
    "wrappers": "stepping.wrappers",
}


def new_name(name: str) -> str | None:
    """Where a module of an old, full name is now; None where it has not moved."""
    inner = name.removeprefix(f"{PACKAGE}.")
    for old in (inner, inner.rpartition(".")[0]):
        if old in MOVED:
            return f"{PACKAGE}.{MOVED[old]}{inner[len(old) :]}"
    return None


class Moved:
    """Finds a module under its old name, and says the new one: a DeprecationWarning where it is imported."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """The spec of a module that has moved."""
        if not name.startswith(f"{PACKAGE}.") or new_name(name) is None:
            return None
        return ModuleSpec(name, self)  # type: ignore[arg-type]  # a loader by its methods: deriving costs 50 ms

    def create_module(self, spec: ModuleSpec) -> None:
        """An empty one, which gives its place to the module itself."""

    def exec_module(self, module: ModuleType) -> None:
        """Put the module itself in the place of the old name."""
        # Frames of importlib are not counted: the next one is the import.
        name = str(new_name(module.__name__))
        warnings.warn(f"{module.__name__} is {name} now", DeprecationWarning, stacklevel=2)
        sys.modules[module.__name__] = import_module(name)


def moved_name(module: str, name: str, moved: dict[str, str]) -> Any:
    """What a module had under a name before, for its ``__getattr__``.

    Args:
        module: that is asked.
        name: that is asked for.
        moved: the module that has each name now.

    Raises:
        AttributeError: it never had it.
    """
    if name not in moved:
        raise AttributeError(f"module {module!r} has no attribute {name!r}")
    warnings.warn(f"{module}.{name} is {moved[name]}.{name} now", DeprecationWarning, stacklevel=3)
    return getattr(import_module(moved[name]), name)


def install() -> None:
    """Let old names be found, before a package's path is: a submodule must not be loaded a second time."""
    if not any(isinstance(finder, Moved) for finder in sys.meta_path):
        sys.meta_path.insert(0, Moved())
