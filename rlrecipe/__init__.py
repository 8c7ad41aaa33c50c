"""Reinforcement learning from one YAML recipe: validated, fast, exactly resumable.

In Python: ``train`` runs a recipe, ``load_policy`` gives a callable from observations to actions;
``register`` and ``Options`` are what a component of your own is made with.
"""

from __future__ import annotations

# Hardly anything is imported here: the command line begins with this file, and takes care of signals after it.
from rlrecipe.system.moved import install

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import Any

    from rlrecipe.recipe.options import Options, option
    from rlrecipe.recipe.registry import register
    from rlrecipe.recipe.slots import Slot
    from rlrecipe.recipe.values import Duration, schedulable
    from rlrecipe.runs.load_policy import LoadedPolicy
    from rlrecipe.runs.training import Result

__all__ = ["Duration", "Options", "Slot", "fork", "load_policy", "option", "register", "schedulable", "train"]

#: What a component of one's own is made with, by the module that has it.
_PARTS = {
    "Options": "recipe.options",
    "Slot": "recipe.slots",
    "option": "recipe.options",
    "register": "recipe.registry",
    "Duration": "recipe.values",
    "schedulable": "recipe.values",
}


install()


def __getattr__(name: str) -> Any:
    if name not in _PARTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(f"{__name__}.{_PARTS[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_PARTS})


def load_policy(path: str | Path, **options: Any) -> LoadedPolicy:
    """The policy of a run directory or checkpoint (``rlrecipe.runs.load_policy.load_policy``)."""
    from pathlib import Path

    from rlrecipe.runs import load_policy as policy
    from rlrecipe.system.paths import expanded

    return policy.load_policy(Path(expanded(str(path))), **options)


def train(
    recipe: str | Path | Mapping[str, Any],
    run_dir: str | Path | None = None,
    *,
    go_on: bool = False,
    init_from: str | Path | None = None,
    imports: Sequence[str] = (),
    trust_imports: bool = False,
    quiet: bool = True,
    **overrides: Any,
) -> Result:
    """Train a recipe: a path, the name of a bundled one, or a mapping.

    Args:
        recipe: what to train.
        run_dir: where; by default ``runs/<name>/<time>-<id>``. ``~`` is the home, here as in the other paths.
        go_on: with a run in ``run_dir`` already, go on with it.
        init_from: a run or checkpoint whose weights to start from.
        imports: files or modules with components to load.
        trust_imports: load the code that the recipe declares.
        quiet: show no progress.
        overrides: sections of the recipe to change, ``seed=1, trainer={"total_frames": 1000}``.

    Returns:
        The outcome (``outcome.summary`` is ``summary.json``) and the run directory.

    Raises:
        RecipeError: the recipe has problems.
        RuntimeError: a component's code asked the process to exit.
        Exception: whatever else made the run fail.
    """
    from pathlib import Path

    from rlrecipe.runs.waiting import choose

    # Before anything imports torch.
    choose()
    from rlrecipe.recipe.overrides import overrides_of
    from rlrecipe.runs.progress import Display
    from rlrecipe.runs.start import run
    from rlrecipe.system.paths import expanded

    if isinstance(recipe, str | Path):
        recipe = type(recipe)(expanded(str(recipe)))
    result = run(
        recipe,
        overrides_of(overrides),
        run_dir=None if run_dir is None else Path(expanded(str(run_dir))),
        go_on=go_on,
        init_from=None if init_from is None else Path(expanded(str(init_from))),
        imports=imports,
        trust_imports=trust_imports,
        display=Display(quiet=quiet),
    )
    return _succeeded(result)


def _succeeded(result: Result) -> Result:
    """A result, unless the run failed."""
    if isinstance(result.outcome.error, SystemExit):
        raise RuntimeError(result.outcome.reason) from result.outcome.error
    if result.outcome.error is not None:
        raise result.outcome.error
    return result


def fork(
    path: str | Path,
    run_dir: str | Path | None = None,
    *,
    at: int | None = None,
    horizon: bool = False,
    imports: Sequence[str] = (),
    trust_imports: bool = False,
    quiet: bool = True,
    **overrides: Any,
) -> Result:
    """Go on from a run's checkpoint in a new run, with all of it and with some options changed.

    Args:
        path: a run directory or one of its checkpoints; it is only read.
        run_dir: of the new run; by default ``runs/<name>/<time>-<id>``. ``~`` is the home in both.
        at: the newest checkpoint at or before these frames is taken; by default the newest.
        horizon: let schedules reach to the new end of a longer run.
        imports: files or modules with components to load.
        trust_imports: load the code that the run declares.
        quiet: show no progress.
        overrides: sections of the recipe to change, ``optimizer={"lr": 1e-4}``.

    Returns:
        The outcome and the new run directory; ``fork`` says parent, frame and changes.

    Raises:
        RecipeError: the changed recipe has problems.
        Refusal: the state does not fit it, or there is no checkpoint.
        RuntimeError: a component's code asked the process to exit.
        Exception: whatever made the run fail.
    """
    from pathlib import Path

    from rlrecipe.runs.waiting import choose

    # Before anything imports torch.
    choose()
    from rlrecipe.recipe.overrides import overrides_of
    from rlrecipe.runs import fork as forking
    from rlrecipe.runs.progress import Display
    from rlrecipe.system.paths import expanded

    result = forking.fork(
        Path(expanded(str(path))),
        overrides_of(overrides),
        at=at,
        run_dir=None if run_dir is None else Path(expanded(str(run_dir))),
        horizon=horizon,
        imports=imports,
        trust_imports=trust_imports,
        display=Display(quiet=quiet),
    )
    return _succeeded(result)
