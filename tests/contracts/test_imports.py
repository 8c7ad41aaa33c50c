"""Rooms and their imports: the table of docs/architecture.md is what may be, and it is what there is."""

import ast
import importlib
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

import rlrecipe
from rlrecipe.recipe.registry import ENTRY_POINTS
from rlrecipe.system.moved import MOVED

ROOT = Path(rlrecipe.__file__).parent
PAGE = ROOT.parent / "docs/architecture.md"
#: Reading a recipe looks through these folders, and must load nothing heavy.
LIGHT = (
    "recipe",
    "envs", "transforms", "networks", "distributions", "algorithms", "collectors", "replay", "exploration",
    "optim", "schedules", "hooks", "loggers",
)  # fmt: skip
HEAVY = ("torch", "numpy", "gymnasium", "tensordict", "torchrl", "safetensors")


class Import(NamedTuple):
    """One import of a file; ``typed``: for type checkers alone; ``called``: inside a function."""

    name: str
    typed: bool
    called: bool


class _Imports(ast.NodeVisitor):
    def __init__(self) -> None:
        self.found: list[Import] = []
        self._typed = self._called = 0

    def visit_If(self, node: ast.If) -> None:
        typed = isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        self._typed += typed
        for each in node.body:
            self.visit(each)
        self._typed -= typed
        for each in node.orelse:
            self.visit(each)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._called += 1
        self.generic_visit(node)
        self._called -= 1

    def visit_Import(self, node: ast.Import) -> None:
        self._add(alias.name for alias in node.names)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        assert node.level == 0, "imports are absolute"
        # ``from rlrecipe.recipe import tree`` imports a module, ``from rlrecipe.lazy import np`` a name.
        names = [f"{node.module}.{alias.name}" for alias in node.names]
        self._add(name if name in modules() else str(node.module) for name in names)

    def _add(self, names: Iterator[str]) -> None:
        self.found += [Import(name, self._typed > 0, self._called > 0) for name in names]


def imports(source: str) -> list[Import]:
    visitor = _Imports()
    visitor.visit(ast.parse(source))
    return visitor.found


@cache
def modules() -> dict[str, Path]:
    """Every module of the package by its full name."""
    files = {file: ("rlrecipe", *file.relative_to(ROOT).with_suffix("").parts) for file in ROOT.rglob("*.py")}
    return {".".join(parts).removesuffix(".__init__"): file for file, parts in files.items()}


def room(module: str) -> str:
    """The folder that a module lies in, or the module itself where it lies loose."""
    parts = module.split(".")[1:]
    if not parts:
        return "__init__"
    inside = modules()[module].name == "__init__.py"
    return ".".join(parts if inside or len(parts) == 1 else parts[:-1])


@cache
def arrows() -> dict[str, set[str]]:
    """The rooms that each room imports, in functions and for type checkers, too."""
    found: dict[str, set[str]] = {room(module): set() for module in modules()}
    for module, file in modules().items():
        for each in imports(file.read_text()):
            if each.name in modules() and room(each.name) != room(module):
                found[room(module)].add(room(each.name))
    return found


@cache
def table() -> dict[str, set[str]]:
    """What each room may import, by the page: rows of ``| room | holds | imports |``."""
    rows = re.findall(r"^\| `([a-z_.]+)` \| .* \| ([^|]*) \|$", PAGE.read_text(), re.MULTILINE)
    return {name: set(re.findall(r"[a-z_.]+", known)) for name, known in rows}


@pytest.mark.parametrize("name", sorted(arrows()))
def test_a_room_imports_what_the_table_says(name: str) -> None:
    known = " ".join(sorted(arrows()[name]))
    assert arrows()[name] == table().get(name), f"the row of `{name}` in {PAGE.name} should say: {known}"


def test_the_table_has_no_row_for_what_is_not_there() -> None:
    assert table().keys() == arrows().keys()


@pytest.mark.parametrize("name", sorted(arrows()))
def test_no_import_points_down_the_table(name: str) -> None:
    order = list(table())
    assert [known for known in table()[name] if order.index(known) >= order.index(name)] == []


def test_no_files_import_each_other_in_a_circle() -> None:
    later = {
        module: {each.name for each in imports(file.read_text()) if not each.typed and each.name in modules()}
        - {module}
        for module, file in modules().items()
    }
    while free := [module for module, known in later.items() if not known & later.keys()]:
        for module in free:
            del later[module]
    assert sorted(later) == []


@pytest.mark.parametrize("module", sorted(name for name in modules() if room(name).split(".")[0] in LIGHT))
def test_reading_a_recipe_imports_nothing_heavy(module: str) -> None:
    found = imports(modules()[module].read_text())
    at_import = [each.name.split(".")[0] for each in found if not each.typed and not each.called]
    assert [name for name in at_import if name in HEAVY] == []


def test_names_of_modules_in_texts_are_names_of_modules() -> None:
    """What is imported by its name moves with it: nothing else would tell."""
    for module, file in modules().items():
        for node in ast.walk(ast.parse(file.read_text())):
            value = node.value if isinstance(node, ast.Constant) else None
            if isinstance(value, str) and re.fullmatch(r"rlrecipe(\.[a-z_]+)+", value) and value != ENTRY_POINTS:
                assert value in modules(), f"{module}: {value}"


def test_old_names_are_found_with_a_word_of_the_new_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for old, new in MOVED.items():
        monkeypatch.delitem(sys.modules, f"rlrecipe.{old}", raising=False)
        with pytest.warns(DeprecationWarning, match=rf"rlrecipe\.{old} is rlrecipe\.{new} now"):
            assert importlib.import_module(f"rlrecipe.{old}") is importlib.import_module(f"rlrecipe.{new}")


def test_what_lies_in_a_moved_package_is_loaded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "rlrecipe.wrappers.checked", raising=False)
    with pytest.warns(DeprecationWarning, match=r"rlrecipe\.wrappers\.checked is"):
        old = importlib.import_module("rlrecipe.wrappers.checked")
    assert old is importlib.import_module("rlrecipe.stepping.wrappers.checked")
    with pytest.warns(DeprecationWarning, match=r"options\.Slot is rlrecipe\.recipe\.slots\.Slot now"):
        from rlrecipe.recipe.options import Slot
    assert Slot is importlib.import_module("rlrecipe.recipe.slots").Slot
