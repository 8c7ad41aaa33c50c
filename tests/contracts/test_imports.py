"""Imports never point up; what each file may know is the same for every file that is yet to come."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import rlrecipe
import rlrecipe.builders

ROOT = Path(rlrecipe.__file__).parent
#: Folders of components, each of which knows the interfaces and itself.
COMPONENTS = (
    "envs", "transforms", "networks", "distributions", "algorithms", "collectors", "replay", "exploration",
    "optim", "schedules", "hooks", "loggers",
)  # fmt: skip
KNOWN = (
    "rlrecipe.errors", "rlrecipe.interfaces", "rlrecipe.lazy", "rlrecipe.recipe.options", "rlrecipe.recipe.values",
    "rlrecipe.recipe.registry", "rlrecipe.recipe.errors", "rlrecipe.state", "rlrecipe.wrappers", "rlrecipe.torchrl_env",
    "rlrecipe.torchrl_source", "rlrecipe.torchrl_spaces", "rlrecipe.sending", "rlrecipe.files",
    "rlrecipe.signals", "rlrecipe.recipe.names", "rlrecipe.recipe.secrets", "rlrecipe.packing",
)  # fmt: skip
#: What a folder knows besides: hooks look at the policy, environments that are looked at have to be drawn, and
#: normalising tells numbers from pictures.
BESIDES = {
    "hooks": ("rlrecipe.clock", "rlrecipe.evaluation", "rlrecipe.recorders", "rlrecipe.video"),
    # Whether an environment is the user's own code.
    "envs": ("rlrecipe.headless", "rlrecipe.recipe.imports"),
    "transforms": ("rlrecipe.observations",),
    "recorders": ("rlrecipe.headless", "rlrecipe.video"),
}
HEAVY = ("torch", "numpy", "gymnasium", "tensordict", "torchrl", "safetensors")


class _Imports(ast.NodeVisitor):
    """Modules that a file imports at run time, those inside functions apart."""

    def __init__(self) -> None:
        self.at_import: list[str] = []
        self.at_call: list[str] = []
        self._depth = 0

    def visit_If(self, node: ast.If) -> None:
        if not (isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"):
            self.generic_visit(node)
        for other in node.orelse:
            self.visit(other)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._depth += 1
        self.generic_visit(node)
        self._depth -= 1

    def visit_Import(self, node: ast.Import) -> None:
        self._found(alias.name for alias in node.names)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        assert node.level == 0, "imports are absolute"
        # ``from rlrecipe.recipe import tree`` imports a module, ``from rlrecipe.lazy import np`` a name.
        self._found(
            f"{node.module}.{alias.name}" if _is_module(f"{node.module}.{alias.name}") else str(node.module)
            for alias in node.names
        )

    def _found(self, names: Iterator[str]) -> None:
        (self.at_call if self._depth else self.at_import).extend(names)


def _is_module(name: str) -> bool:
    path = ROOT.parent.joinpath(*name.split("."))
    return name.startswith("rlrecipe.") and (path.is_dir() or path.with_suffix(".py").is_file())


def imports(source: str) -> _Imports:
    found = _Imports()
    found.visit(ast.parse(source))
    return found


def files(*folders: str) -> list[Path]:
    return sorted(file for folder in folders for file in (ROOT / folder).rglob("*.py"))


def within(module: str, packages: tuple[str, ...]) -> bool:
    return any(module == package or module.startswith(package + ".") for package in packages)


def upward(file: Path) -> list[str]:
    """What a component's file imports that it should not know."""
    folder = file.relative_to(ROOT).parts[0]
    found = imports(file.read_text())
    allowed = (*KNOWN, f"rlrecipe.{folder}", *BESIDES.get(folder, ()))
    return [
        module
        for module in found.at_import + found.at_call
        if module.split(".")[0] == "rlrecipe" and not within(module, allowed)
    ]


#: Recorders are no components: no recipe names them, and what derives from torchrl's classes imports torchrl.
@pytest.mark.parametrize("file", files(*COMPONENTS, "recorders"), ids=lambda file: str(file.relative_to(ROOT)))
def test_a_component_knows_the_interfaces_and_its_own_folder(file: Path) -> None:
    assert upward(file) == []


@pytest.mark.parametrize("file", files("recipe", *COMPONENTS), ids=lambda file: str(file.relative_to(ROOT)))
def test_reading_a_recipe_imports_nothing_heavy(file: Path) -> None:
    assert [module for module in imports(file.read_text()).at_import if within(module, HEAVY)] == []


@pytest.mark.parametrize("file", files("recipe"), ids=lambda file: file.stem)
def test_the_recipe_knows_only_itself(file: Path) -> None:
    found = imports(file.read_text())
    known = ("rlrecipe.recipe", "rlrecipe.lazy", "rlrecipe.errors", "rlrecipe.shown")
    assert [m for m in found.at_import + found.at_call if within(m, ("rlrecipe",)) and not within(m, known)] == []


@pytest.mark.parametrize(
    "file",
    [file for file in files("") if file.parent.name != "cli" and file.name != "__main__.py"],
    ids=lambda file: str(file.relative_to(ROOT)),
)
def test_nothing_but_the_command_line_knows_the_command_line(file: Path) -> None:
    found = imports(file.read_text())
    assert [m for m in found.at_import + found.at_call if within(m, ("rlrecipe.cli",))] == []


#: What joins the parts that builders make, and what lies above it.
JOINING = ("rlrecipe.build", "rlrecipe.resolve", "rlrecipe.probe", "rlrecipe.memory", "rlrecipe.runs", "rlrecipe.cli")


@pytest.mark.parametrize("file", files("builders"), ids=lambda file: file.stem)
def test_builders_do_not_know_what_joins_them(file: Path) -> None:
    found = imports(file.read_text())
    assert [m for m in found.at_import + found.at_call if within(m, JOINING)] == []


def test_the_one_builder_above_the_others_is_the_page_that_joins_them() -> None:
    # ``rlrecipe.builders`` offers it by name, which no import statement shows.
    above = {name: file for name, file in rlrecipe.builders._FILES.items() if within(file, JOINING)}
    assert above == {"make_trainer": "rlrecipe.build"}


@pytest.mark.parametrize("layer", ["trainers", "checkpoint"])
def test_training_does_not_know_what_is_above(layer: str) -> None:
    above = (*JOINING, "rlrecipe.builders", "rlrecipe.recipe.load", "rlrecipe.algorithm_trainers")
    for file in files(layer):
        found = imports(file.read_text())
        assert [m for m in found.at_import + found.at_call if within(m, above)] == [], file


def test_what_the_visitor_sees() -> None:
    found = imports(
        "from __future__ import annotations\n"
        "import torch\n"
        "from rlrecipe.recipe import tree\n"
        "from rlrecipe.lazy import np\n"
        "if TYPE_CHECKING:\n    import rlrecipe.build\nelse:\n    import numpy\n"
        "def f():\n    from rlrecipe.runs import start\n"
    )
    assert found.at_import == ["__future__", "torch", "rlrecipe.recipe.tree", "rlrecipe.lazy", "numpy"]
    assert found.at_call == ["rlrecipe.runs.start"]
    assert within("rlrecipe.runs.start", ("rlrecipe.runs",))
    assert not within("rlrecipe.runsaway", ("rlrecipe.runs",))


@pytest.mark.parametrize("file", [*files("wrappers"), *sorted(ROOT.glob("torchrl_*.py"))], ids=lambda file: file.stem)
def test_what_environments_stand_on_knows_errors_and_itself(file: Path) -> None:
    known = ("rlrecipe.errors", "rlrecipe.wrappers", "rlrecipe.torchrl_spaces")
    found = imports(file.read_text())
    assert [m for m in found.at_import + found.at_call if within(m, ("rlrecipe",)) and not within(m, known)] == []
