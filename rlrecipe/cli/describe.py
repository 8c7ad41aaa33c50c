"""``rlrecipe describe``: the options of a component or of a section of the recipe."""

from __future__ import annotations

import json as json_module
from typing import Annotated, Any

import typer

from rlrecipe.cli import common
from rlrecipe.recipe import complete
from rlrecipe.recipe.describe import Description, describe, describe_any
from rlrecipe.recipe.errors import RecipeError
from rlrecipe.recipe.imports import load_given


def command(
    component: Annotated[
        str,
        typer.Argument(
            metavar="KIND/NAME",
            help="For example algorithm/ppo, or ppo; recipe/trainer is a section.",
            autocompletion=complete.components_of,
        ),
    ],
    imports: common.Imports = None,
    json: common.Json = False,
) -> None:
    """Print a component's options with type, default and meaning, its origin and the extras it needs."""
    kind, slash, name = component.partition("/")
    _, problems = load_given(imports or ())
    if problems:
        raise RecipeError(problems)
    found = describe(kind, name) if slash and kind and name else describe_any(component.strip("/"))
    if json:
        common.print_json(found.data())
    else:
        common.print_text(text(found))


def text(found: Description) -> str:
    """A description for a person."""
    lines = [f"{found.kind}/{found.name}: {found.meaning}", f"  {found.file}:{found.line}"]
    for extra in found.extras:
        state = "not installed" if extra in found.missing else "installed"
        lines.append(f"  needs the extra {extra}: pip install 'rlrecipe[{extra}]' ({state})")
    rows = [
        (one.name, one.type, "required" if one.required else f"default {shown(one.default)}", one.meaning)
        for one in found.options
    ]
    lines.append(common.table(rows, "  ") or "  (no options)")
    return "\n".join(lines)


def shown(value: Any) -> str:
    """A default as a recipe would write it."""
    return value if isinstance(value, str) else json_module.dumps(value)
