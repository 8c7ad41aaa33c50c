"""``rlrecipe init``: a recipe to start from."""

from __future__ import annotations

from typing import Annotated

import typer

from rlrecipe.cli import common
from rlrecipe.recipe.template import template


def command(
    algorithm: Annotated[
        str, typer.Option("--algorithm", metavar="A", help="One of `rlrecipe list algorithm`.")
    ] = "ppo",
    env: Annotated[str, typer.Option("--env", metavar="E", help="The id of an environment.")] = "CartPole-v1",
) -> None:
    """Print a commented recipe with every option, for you to keep and change."""
    common.print_recipe(template(algorithm, env))
