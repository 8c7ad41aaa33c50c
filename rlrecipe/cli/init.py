"""``rlrecipe init``: a recipe to start from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from rlrecipe.cli import common
from rlrecipe.recipe import complete
from rlrecipe.recipe.describe import unknown
from rlrecipe.recipe.errors import Place, PlacedProblem, Problem, RecipeError
from rlrecipe.recipe.imports import load_given
from rlrecipe.recipe.messages import nearest
from rlrecipe.recipe.registry import UnknownComponent
from rlrecipe.recipe.template import template, usual


def recipe(algorithm: str = "ppo", env: str | None = None, imports: Sequence[str] = ()) -> str:
    """The text of a commented recipe that validates.

    Raises:
        RecipeError: there is no such algorithm or environment, or the algorithm cannot learn in it.
    """
    _, problems = load_given(imports)
    if problems:
        raise RecipeError(problems)
    try:
        sections, wrong = (usual(algorithm), []) if env is None else _in(algorithm, env)
    except UnknownComponent as error:
        wrong = [Problem("E201", ("algorithm",), unknown(error), nearest(algorithm, error.names))]
    placed = [_placed(problem, algorithm, env or "") for problem in wrong]
    if placed:
        raise RecipeError(placed)
    return template({**sections, **({"imports": list(imports)} if imports else {})}, imports)


def _in(algorithm: str, env: str) -> tuple[dict[str, Any], list[Problem]]:
    # gymnasium, but not torch.
    from rlrecipe.assembly.starting import starting

    return starting(algorithm, env)


def _placed(problem: Problem, algorithm: str, env: str) -> PlacedProblem:
    """A problem at the option that gave what it is about."""
    option, text = ("--algorithm", algorithm) if problem.path[0] == "algorithm" else ("--env", env)
    return PlacedProblem(problem, Place(option, 1, 1, text, len(text), option=True))


def command(
    algorithm: Annotated[
        str,
        typer.Option(
            "--algorithm",
            metavar="A",
            help="One of `rlrecipe list algorithm`.",
            autocompletion=complete.algorithms,
        ),
    ] = "ppo",
    env: Annotated[
        str | None,
        typer.Option("--env", metavar="E", help="The id of an environment; default a small one for the algorithm."),
    ] = None,
    imports: common.Imports = None,
) -> None:
    """Print a commented recipe with every option, for you to keep and change."""
    common.print_recipe(recipe(algorithm, env, imports or ()))
