"""The recipes that come with the package."""

from __future__ import annotations

import difflib
from pathlib import Path

from rlrecipe.recipe.errors import RecipeNotFound


def folder() -> Path:
    """The folder of the bundled recipes: inside the installed package, or at the top of a checkout."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "recipes"
    return inside if inside.is_dir() else package.parent / "recipes"


def bundled() -> list[str]:
    """The names of the bundled recipes, such as ``ppo/cartpole``."""
    return sorted(str(file.relative_to(folder()).with_suffix("")) for file in folder().rglob("*.yaml"))


def is_path(source: str) -> bool:
    """Whether a RECIPE argument is a path rather than the name of a bundled recipe."""
    return source.endswith((".yaml", ".yml")) or source.startswith((".", "/"))


def bundled_file(name: str) -> Path:
    """The file of a bundled recipe.

    Raises:
        RecipeNotFound: no bundled recipe has this name.
    """
    names = bundled()
    if name not in names:
        near = difflib.get_close_matches(name, names, 1, 0.5)
        hint = f"did you mean {near[0]}? " if near else ""
        some = f"there are: {', '.join(names[:12])}; " if names else ""
        raise RecipeNotFound(
            f"no bundled recipe is named {name!r}; {hint}{some}a path starts with . or / or ends in .yaml"
        )
    return folder() / f"{name}.yaml"
