"""Recipes of algorithms still to come: the format holds them, and says exactly what is missing today."""

from pathlib import Path

import pytest

from rlrecipe.recipe.errors import RecipeError
from rlrecipe.recipe.load import load
from rlrecipe.recipe.yaml import read
from rlrecipe.runs.progress import Display
from rlrecipe.runs.start import run

FIXTURES = Path(__file__).parent.parent / "fixtures/recipes"
TODAY: dict[str, list[tuple[str, str]]] = {
    "ppo_atari": [],
    "sac_three_rates": [],
    "ppo_recurrent": [],
    "dqn_prioritized": [],
    "ppo_own_env": [],
    "cql_offline": [("E101", "dataset"), ("E201", "algorithm.name")],
    "ppo_multi_agent": [
        ("E401", "env.name"),
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


#: Smaller and shorter, and an environment that is installed: of an image and a direction, as the fixture's.
SMALLER: dict[str, list[str]] = {
    "ppo_atari": [
        "env.num_envs=2", "collector.frames_per_batch=64", "algorithm.minibatch_size=32", "trainer.total_frames=128",
        "evaluation.every=null", "evaluation.env={kwargs: {frameskip: 1, max_num_frames_per_episode: 200}}",
    ],
    "ppo_recurrent": [
        "env={name: parts, num_envs: 2}", "collector.frames_per_batch=128", "algorithm.minibatch_size=64",
        "networks.memory.hidden_size=8", "trainer.total_frames=256",
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", SMALLER)
def test_fixtures_whose_components_are_there_train(name: str, tmp_path: Path) -> None:
    overrides = [*SMALLER[name], "evaluation.episodes=1", "runtime.compile=off"]
    result = run(FIXTURES / f"{name}.yaml", overrides, run_dir=tmp_path / "run", display=Display(quiet=True))
    assert result.outcome.code == 0
    assert result.outcome.summary["updates"] > 0
