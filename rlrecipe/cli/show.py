"""``rlrecipe show``: the recipe with every option, itself a recipe."""

from __future__ import annotations

from rlrecipe.cli import common
from rlrecipe.recipe.dump import data, dump
from rlrecipe.recipe.load import load


def command(
    recipe: common.Recipe,
    overrides: common.Overrides = None,
    imports: common.Imports = None,
    trust_imports: common.TrustImports = False,
    json: common.Json = False,
) -> None:
    """Print the resolved recipe: every option, from whichever layer it comes."""
    loaded = load(recipe, overrides or (), imports=imports or (), trust_imports=trust_imports)
    if json:
        common.print_json(data(loaded.recipe))
    else:
        common.print_recipe(dump(loaded.recipe))
