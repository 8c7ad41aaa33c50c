"""``rlrecipe schema``: JSON Schema of recipes, for editors."""

from __future__ import annotations

from pydantic_core import to_json

from rlrecipe.cli import common
from rlrecipe.recipe.errors import RecipeError
from rlrecipe.recipe.imports import load_given


def command(imports: common.Imports = None) -> None:
    """Print the JSON Schema of recipes, with every component that is installed."""
    from rlrecipe.recipe.json_schema import json_schema

    _, problems = load_given(imports or ())
    if problems:
        raise RecipeError(problems)
    # Four times the text of all other commands together: the standard library would take 30 ms for its indents.
    common.print_text(to_json(json_schema(), indent=2).decode())
