"""What components say of a recipe: their checks, the extras they need, validators of their own."""

from pathlib import Path

import pytest
from pydantic import field_validator

from rlrecipe.recipe.errors import Problem
from rlrecipe.recipe.options import Options, option
from rlrecipe.recipe.registry import register
from tests.recipe.test_problems import problems

pytestmark = pytest.mark.usefixtures("own_registry")


class Empty(Options):
    """Nothing to choose."""

    shape: tuple[int, ...] = option((1,), "A tuple, which YAML writes as a list.")


def test_a_component_checks_the_recipe(tmp_path: Path) -> None:
    @register(
        "hook",
        "picky",
        check=lambda recipe: [Problem("E302", ("seed",), f"seed {recipe.seed} is odd", "add 1")],
    )
    def make(options: Empty) -> None: ...

    (problem,) = problems(tmp_path, "seed: 3\nhooks: [picky]")
    assert (problem.code, problem.path, problem.problem.message) == ("E302", "seed", "seed 3 is odd")


def test_a_missing_extra_names_the_command(tmp_path: Path) -> None:
    @register("hook", "needy", requires={"no_such_module_x": "video", "json": "box2d"})
    def make(options: Empty) -> None: ...

    (problem,) = problems(tmp_path, "hooks: [{name: needy}]")
    assert (problem.code, problem.path, problem.place.line) == ("E401", "hooks.0", 4)
    assert problem.problem.suggestion == "pip install 'rlrecipe[video]'"


def test_options_of_tuples_take_lists_and_stay_strict(tmp_path: Path) -> None:
    @register("hook", "shaped")
    def make(options: Empty) -> None: ...

    assert problems(tmp_path, "hooks: [{name: shaped, shape: [2, 3]}]") == ()
    (problem,) = problems(tmp_path, "hooks: [{name: shaped, shape: [2, x]}]")
    assert (problem.code, problem.path) == ("E102", "hooks.0.shape.1")
    (problem,) = problems(tmp_path, "hooks: [{name: shaped, shape: 3}]")
    assert problem.problem.message == "expected a list, got 3"


def test_a_validator_of_a_users_own_keeps_its_words(tmp_path: Path) -> None:
    class Own(Options):
        """Own."""

        size: int = option(1, "Size.")

        @field_validator("size")
        @classmethod
        def even(cls, value: int) -> int:
            if value % 2:
                raise ValueError("expected an even number")
            return value

    @register("hook", "even")
    def make(options: Own) -> None: ...

    # The annotation of a class inside a function is known by its name only.
    (problem,) = problems(tmp_path, "hooks: [{name: even, size: 3}]")
    assert problem.problem.message == "expected an even number, got 3"
