"""What is too much for a recipe is told, with work that grows no faster than the recipe."""

from pathlib import Path
from typing import Any

import pytest

from rlrecipe.recipe.errors import MOST_PROBLEMS, PlacedProblem, RecipeError
from rlrecipe.recipe.load import load
from tests.recipe.test_fuzz import calls

BASE: dict[str, Any] = {"env": "CartPole-v1", "algorithm": "ppo", "trainer": {"total_frames": 64}}


def told(source: Any) -> list[PlacedProblem]:
    with pytest.raises(RecipeError) as caught:
        load(source)
    for problem in caught.value.problems:
        assert len(problem.text()) < 2000
    return list(caught.value.problems)


def test_many_loggers() -> None:
    def work(count: int) -> int:
        loggers = [{"name": "csv", "exp_name": f"a{i}"} for i in range(count)]
        return calls(lambda: told({**BASE, "loggers": loggers}))

    work(200)
    assert work(2000) < 15 * work(200)
    (problem,) = told({**BASE, "loggers": ["csv"] * 101})
    assert (problem.code, problem.path) == ("E102", "loggers")


def test_as_many_loggers_as_there_may_be() -> None:
    loggers = [{"name": "csv", "exp_name": f"a{i}"} for i in range(100)]
    assert len(load({**BASE, "loggers": loggers}).recipe.loggers) == 100
    same = [{"name": "csv", "exp_name": f"a{i % 99}"} for i in range(100)]
    assert [problem.path for problem in told({**BASE, "loggers": same})] == ["loggers.99"]
    twice = [{"name": "csv"}, {"name": "csv", "required": True}]
    assert [problem.code for problem in told({**BASE, "loggers": twice})] == ["E302"]


@pytest.mark.parametrize("section", [{"hooks": ["nan_guard"] * 101}, {"env": {"transforms": ["sign_reward"] * 101}}])
def test_long_lists_of_components(section: dict[str, Any]) -> None:
    env = {"env_name": "CartPole-v1", **section.get("env", {})}
    codes = {problem.code for problem in told({**BASE, **section, "env": env})}
    assert codes == {"E102"}


@pytest.mark.parametrize(
    "text",
    {
        "keys of keys": "? " * 3000 + "a",
        "keys in lists": "? - " * 3000 + "a",
        "flow": "{? " * 3000,
    }.values(),
)
def test_nested_keys(tmp_path: Path, text: str) -> None:
    file = tmp_path / "r.yaml"
    file.write_text(text)
    assert told(file)[0].code == "E105"


def nested(depth: int) -> dict[str, Any]:
    inner: dict[str, Any] = {}
    for _ in range(depth):
        inner = {"a": inner}
    return inner


@pytest.mark.parametrize("depth", [21, 30, 3000])
def test_deep_mappings_from_python(depth: int) -> None:
    (problem,) = told({**BASE, "env": {"env_name": "CartPole-v1", "kwargs": nested(depth)}})
    assert (problem.code, problem.problem.suggestion) == ("E105", "flatten the recipe")


def test_a_mapping_that_holds_itself() -> None:
    loop: dict[str, Any] = {}
    loop["a"] = loop
    assert [problem.code for problem in told({**BASE, "env": loop})] == ["E105"]


def test_long_names(tmp_path: Path) -> None:
    assert [(p.code, p.path) for p in told({**BASE, "name": "x" * 300})] == [("E102", "name")]
    logger = {"name": "csv", "exp_name": "x" * 300}
    assert [(p.code, p.path) for p in told({**BASE, "loggers": [logger]})] == [("E102", "loggers.0.exp_name")]
    # The name that follows from a long id is cut.
    assert len(load({**BASE, "env": "X" * 300}).recipe.name) == 100


def test_long_keys() -> None:
    assert [problem.code for problem in told({**BASE, "x" * 100_000: 1})] == ["E105"]
    assert [problem.code for problem in told({**BASE, "x" * 150: 1})] == ["E101"]


def test_problems_are_told_up_to_a_number() -> None:
    assert len(told({**BASE, "networks": {f"k{i}": "mlp" for i in range(3000)}})) == MOST_PROBLEMS
    assert len(told({**BASE, **{f"k{i}": 1 for i in range(3000)}})) == MOST_PROBLEMS


@pytest.mark.parametrize("character", ["\\0", "\\e", "\\x9b", "\\uD800"])
def test_characters_that_escapes_bring(tmp_path: Path, character: str) -> None:
    file = tmp_path / "r.yaml"
    for line in (f'env: "a{character}b"', f'env: {{env_name: A, kwargs: {{"k{character}": 1}}}}'):
        file.write_text(line + "\nalgorithm: ppo\ntrainer: {total_frames: 64}\n")
        assert {problem.code for problem in told(file)} == {"E105"}
    assert "\x1b" not in told(file)[0].text()
