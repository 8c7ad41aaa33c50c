"""``rlrecipe list``: components by kind, and the bundled recipes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from rlrecipe.cli import common
from rlrecipe.recipe import complete
from rlrecipe.recipe.bundled import bundled
from rlrecipe.recipe.describe import components, kinds
from rlrecipe.recipe.errors import RecipeError
from rlrecipe.recipe.imports import load_given

#: The plural, which is a list of recipes rather than of the recipe's sections.
RECIPES = "recipes"


def listing(kind: str | None = None, imports: Sequence[str] = ()) -> dict[str, list[dict[str, Any]]]:
    """Name, meaning, place and needed extras of every component of a kind, or of all kinds.

    Raises:
        UnknownComponent: there is no such kind.
        RecipeError: a file of ``imports`` cannot be loaded.
    """
    _, problems = load_given(imports)
    if problems:
        raise RecipeError(problems)
    result: dict[str, list[dict[str, Any]]] = {}
    for each in [kind] if kind not in (None, RECIPES) else [] if kind else kinds():
        assert each is not None
        result[each] = [one.summary() for one in components(each)]
    if kind in (None, RECIPES):
        result[RECIPES] = [{"name": name} for name in bundled()]
    return result


def command(
    kind: Annotated[
        str | None,
        typer.Argument(metavar="[KIND]", help="One kind only, such as algorithm.", autocompletion=complete.kinds_of),
    ] = None,
    imports: common.Imports = None,
    json: common.Json = False,
) -> None:
    """List components, the recipe's sections and the bundled recipes."""
    found = listing(kind, imports or ())
    if json:
        common.print_json(found)
        return
    lines = []
    for name, entries in found.items():
        rows = [(entry["name"], _meaning(entry)) for entry in entries]
        lines.append(f"{name}\n{common.table(rows, '  ')}" if rows else f"{name}\n  (none)")
    common.print_text("\n".join(lines))


def _meaning(entry: dict[str, Any]) -> str:
    missing = entry.get("missing", ())
    needed = f" (needs pip install 'rlrecipe[{','.join(missing)}]')" if missing else ""
    return f"{entry.get('meaning', '')}{needed}"
