"""``rlrecipe schema``: JSON Schema of recipes, for editors."""

from __future__ import annotations

from rlrecipe.cli import common
from rlrecipe.recipe.errors import RecipeError
from rlrecipe.recipe.imports import load_given
from rlrecipe.recipe.json_schema import json_schema


def command(imports: common.Imports = None) -> None:
    """Print the JSON Schema of recipes, with every component that is installed."""
    _, problems = load_given(imports or ())
    if problems:
        raise RecipeError(problems)
    common.print_json(json_schema())
