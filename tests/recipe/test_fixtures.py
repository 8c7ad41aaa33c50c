"""Recipes of algorithms still to come: the format holds them, and says exactly what is missing today."""

from pathlib import Path

import pytest

from rlrecipe.recipe.errors import RecipeError
from rlrecipe.recipe.load import load
from rlrecipe.recipe.yaml import read

FIXTURES = Path(__file__).parent.parent / "fixtures/recipes"
TODAY: dict[str, list[tuple[str, str]]] = {
    "ppo_atari": [],
    "sac_three_rates": [],
    "ppo_recurrent": [],
    "dqn_prioritized": [],
    "ppo_own_env": [],
    "cql_offline": [("E101", "dataset"), ("E201", "algorithm.name")],
    "ppo_multi_agent": [
        ("E201", "env.name"),
        ("E101", "groups"),
        ("E201", "algorithm.name"),
        ("E101", "networks.value.centralised"),
    ],
}


@pytest.mark.parametrize("name", TODAY)
def test_what_is_missing_today(name: str) -> None:
    try:
        load(FIXTURES / f"{name}.yaml", trust_imports=True)
        found = []
    except RecipeError as error:
        found = [(problem.code, problem.path) for problem in error.problems]
    assert found == TODAY[name]


@pytest.mark.parametrize("file", sorted(FIXTURES.glob("*.yaml")), ids=lambda file: file.stem)
def test_all_of_them_are_acceptable_yaml(file: Path) -> None:
    assert read(file.read_text(encoding="utf-8"), str(file)).problems == []


def test_every_recipe_is_tested() -> None:
    assert {file.stem for file in FIXTURES.glob("*.yaml")} == {*TODAY, "six_mistakes"}


def test_an_environment_of_the_users_own_file() -> None:
    recipe = load(FIXTURES / "ppo_own_env.yaml", imports=[str(FIXTURES / "maze.py")]).recipe
    assert recipe.env.component.name == "maze"
    assert recipe.name == "ppo-maze"
