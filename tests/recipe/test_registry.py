import importlib.metadata
from pathlib import Path
from typing import Any

import pytest

from rlrecipe.recipe import registry
from rlrecipe.recipe.imports import ImportProblem, load_import
from rlrecipe.recipe.options import Options
from rlrecipe.recipe.registry import UnknownComponent, find, register, search
from rlrecipe.recipe.slots import Slot

pytestmark = pytest.mark.usefixtures("own_registry")


class Empty(Options):
    """Nothing to choose.

    More that nobody reads.
    """


def test_a_component_is_found_by_its_name_with_its_origin() -> None:
    @register("hook", "here")
    def make(options: Empty) -> None: ...

    component = find("hook", "here")
    assert component.options is Empty
    assert component.meaning == "Nothing to choose."
    assert (component.file, component.build) == (__file__, make)
    assert component in search("hook")


def test_an_unknown_name_lists_those_that_exist() -> None:
    with pytest.raises(UnknownComponent, match=r"no schedule is named 'x'; there are: .*linear"):
        find("schedule", "x")


def test_an_unknown_kind() -> None:
    with pytest.raises(ValueError, match="no kind of component is named 'hok'"):
        register("hok", "x")  # type: ignore[call-overload]  # mypy says so, too


def test_a_builder_says_which_options_it_takes() -> None:
    with pytest.raises(TypeError, match="annotate the first parameter"):

        @register("hook", "x")
        def make(options: int) -> None: ...

    with pytest.raises(TypeError, match="annotate the first parameter"):
        register("hook", "x")(lambda: None)


def test_two_files_cannot_take_one_name(tmp_path: Path) -> None:
    file = tmp_path / "again.py"
    file.write_text(
        "from rlrecipe.recipe.options import Options\n"
        "from rlrecipe.recipe.registry import register\n"
        "@register('schedule', 'linear')\n"
        "def make(options: Options) -> None: ...\n"
    )
    find("schedule", "linear")
    with pytest.raises(ImportProblem, match="two files register the schedule 'linear'"):
        load_import("./again.py", tmp_path)


def test_a_file_that_changed_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("x = 1")
    first = load_import("mine.py", tmp_path)
    file.write_text("x = 22")
    second = load_import("mine.py", tmp_path)
    assert first.module == second.module
    assert first.sha256 != second.sha256


def test_a_package_that_fails_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = importlib.metadata.EntryPoint("x", "no_such_package_x", registry.ENTRY_POINTS)
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [broken])
    monkeypatch.setattr(registry, "_searched", set())
    registry._installed.cache_clear()
    with pytest.raises(ImportError, match="the installed package no_such_package_x offers components"):
        search("hook")


def test_options_built_by_hand_belong_to_no_component() -> None:
    with pytest.raises(LookupError, match="Empty was not read from a recipe"):
        _ = Empty().component


def test_a_slot_takes_options_of_its_kind_only() -> None:
    options: Any = Slot("schedule").read("linear")
    assert Slot("schedule").read(options) is options
    with pytest.raises(ValueError, match="expected a hook"):
        Slot("hook").read(options)
    assert Slot("schedule").read(Slot("schedule").write(options)) == options
