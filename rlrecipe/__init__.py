"""Reinforcement learning from one YAML recipe: validated, fast, exactly resumable.

In Python: ``train`` runs a recipe, ``load_policy`` gives a callable from observations to actions;
``register`` and ``Options`` are what a component of your own is made with.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlrecipe.recipe.options import Options, Slot, option
from rlrecipe.recipe.registry import register
from rlrecipe.recipe.values import Duration, schedulable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rlrecipe.runs.policy import LoadedPolicy
    from rlrecipe.runs.start import Result

__all__ = ["Duration", "Options", "Slot", "load_policy", "option", "register", "schedulable", "train"]


def load_policy(path: str | Path, **options: Any) -> LoadedPolicy:
    """The policy of a run directory or checkpoint (``rlrecipe.runs.policy.load_policy``)."""
    from rlrecipe.runs import policy

    return policy.load_policy(path, **options)


def train(recipe: str | Path | Mapping[str, Any], run_dir: str | Path | None = None, **overrides: Any) -> Result:
    """Train a recipe: a path, the name of a bundled one, or a mapping.

    Args:
        recipe: what to train.
        run_dir: where; by default ``runs/<name>/<time>-<id>``.
        overrides: sections of the recipe to change, ``seed=1, trainer={"total_frames": 1000}``.

    Returns:
        The outcome (``outcome.summary`` is ``summary.json``) and the run directory.

    Raises:
        RecipeError: the recipe has problems.
    """
    import json

    from rlrecipe.runs.progress import Display
    from rlrecipe.runs.start import run

    pairs = [f"{key}={json.dumps(value)}" for key, value in overrides.items()]
    return run(recipe, pairs, run_dir=None if run_dir is None else Path(run_dir), display=Display(quiet=True))
