"""``rlrecipe validate``: every problem of one or more recipes."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated

import typer

from rlrecipe.cli import common
from rlrecipe.recipe import complete
from rlrecipe.recipe.errors import PlacedProblem, RecipeError, exit_code
from rlrecipe.recipe.load import load
from rlrecipe.system.paths import expanded


class Format(StrEnum):
    """How problems are printed."""

    text = "text"
    json = "json"


def problems(
    source: str,
    overrides: Sequence[str] = (),
    *,
    imports: Sequence[str] = (),
    trust_imports: bool = False,
    static: bool = False,
) -> tuple[PlacedProblem, ...]:
    """Every problem of a recipe; unless ``static``, also those of its environment's spaces.

    Raises:
        RecipeNotFound: there is no such recipe.
    """
    try:
        loaded = load(source, overrides, imports=imports, trust_imports=trust_imports)
    except RecipeError as error:
        return error.problems
    if static:
        return ()
    from rlrecipe.assembly.trial import Trial

    trial = Trial(loaded.recipe, captures=False)
    for hint in trial.hints:
        common.note(f"warning: {hint}")
    return loaded.error(trial.problems).problems


def command(
    recipes: Annotated[
        list[str],
        typer.Argument(
            metavar="RECIPE...",
            callback=lambda given: [expanded(one) for one in given],
            help="Paths, names of bundled recipes, or - for standard input.",
            autocompletion=complete.recipes,
        ),
    ],
    overrides: common.Overrides = None,
    imports: common.Imports = None,
    trust_imports: common.TrustImports = False,
    static: Annotated[bool, typer.Option("--static", help="Leave out the probe of the environment.")] = False,
    format: Annotated[Format, typer.Option("--format", help="How problems are printed.")] = Format.text,  # noqa: A002
    json: common.Json = False,
) -> None:
    """Check names, types and combinations; then the environment's spaces, unless --static."""
    common.settings.json = json or format is Format.json
    found: list[PlacedProblem] = []
    for recipe in recipes:
        found += problems(recipe, overrides or (), imports=imports or (), trust_imports=trust_imports, static=static)
    if found or common.settings.json:
        common.print_problems(tuple(found), common.answer())
    elif not common.settings.quiet:
        common.print_text("\n".join(f"{recipe}: valid" for recipe in recipes))
    if found:
        raise typer.Exit(exit_code(found))
