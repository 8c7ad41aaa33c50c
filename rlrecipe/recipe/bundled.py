"""The recipes that come with the package, and what a RECIPE argument means."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from pathlib import Path

from rlrecipe.recipe.errors import RecipeNotFound
from rlrecipe.recipe.shown import command, place

#: What a path of a recipe ends in. JSON is YAML.
SUFFIXES = (".yaml", ".yml", ".json")
#: Standard input, as a RECIPE argument.
STDIN = "-"


def folder() -> Path:
    """The folder of the bundled recipes: inside the installed package, or at the top of a checkout."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "recipes"
    return inside if inside.is_dir() else package.parent / "recipes"


def bundled() -> list[str]:
    """The names of the bundled recipes, such as ``ppo/cartpole``."""
    return sorted(str(file.relative_to(folder()).with_suffix("")) for file in folder().rglob("*.yaml"))


def is_path(source: str) -> bool:
    """Whether a RECIPE argument is a path (or standard input) rather than the name of a bundled recipe."""
    return source == STDIN or source.lower().endswith(SUFFIXES) or source.startswith((".", "/"))


def is_name(source: str) -> bool:
    """Whether what errors call a recipe is the name of a bundled one."""
    return not is_path(source) and not source.startswith("<")


def bundled_file(name: str) -> Path:
    """The file of a bundled recipe.

    Raises:
        RecipeNotFound: no bundled recipe has this name.
    """
    names = bundled()
    if name not in names:
        raise RecipeNotFound(_unknown(name, names))
    return folder() / f"{name}.yaml"


def _unknown(name: str, names: list[str]) -> str:
    """Why a name is none of a bundled recipe, and what was probably meant."""
    if not name:
        return "the RECIPE is empty: name a recipe's file, a bundled recipe, or - for standard input"
    for meant in (name, *(f"{name}{suffix}" for suffix in SUFFIXES)):
        if _is(Path.is_file, Path(meant)):
            return f"no bundled recipe is named {name!r}; the file in this folder is named as ./{meant}"
    if _is(Path.is_file, Path(name, "resolved.yaml")):
        return f"{name} is the folder of a run: go on with it by `{command('resume', place(name))}`"
    own = [each for each in names if each.startswith(f"{name}/")]
    if own:
        return f"no bundled recipe is named {name!r}; there are: {', '.join(own)}"
    if _is(Path.is_dir, Path(name)):
        return f"{name} is a folder: name a recipe's file in it, such as {Path(name, 'recipe.yaml')}"
    near = difflib.get_close_matches(name, names, 1, 0.5)
    hint = f"did you mean {near[0]}? " if near else ""
    some = f"there are: {', '.join(names[:12])}{', ...' if len(names) > 12 else ''}; " if names else ""
    ends = ", ".join(SUFFIXES[:-1]) + f" or {SUFFIXES[-1]}"
    return f"no bundled recipe is named {name!r}; {hint}{some}a path starts with . or /, or ends in {ends}"


def _is(what: Callable[[Path], bool], path: Path) -> bool:
    try:
        return what(path)
    except (OSError, ValueError):
        return False
