"""User components: files and modules that a recipe declares or the command line names."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import importlib.util
import shlex
import sys
import sysconfig
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from rlrecipe.recipe import import_names
from rlrecipe.recipe.errors import Place, PlacedProblem, Problem
from rlrecipe.recipe.names import expanded
from rlrecipe.recipe.tree import Node

#: What the names begin with under which files of a user's own are loaded.
OWN = "_rlrecipe_"


@dataclass(frozen=True)
class Imported:
    """A file or module with components that was loaded.

    Args:
        name: as it was written.
        file: its file, where it is one.
        module: its name in ``sys.modules``.
        sha256: digest of a single file's bytes.
    """

    name: str
    file: Path | None
    module: str
    sha256: str | None = None


class ImportProblem(Exception):  # noqa: N818 - shown as a recipe problem
    """A user's file or module cannot be loaded; the message says where and why."""


class Unrecorded(ImportProblem):
    """A file is not the one that was consented to: nothing of it has been run."""


@dataclass(frozen=True)
class Recorded:
    """The files that a run was started with: consent to the run is consent to these.

    Args:
        folder: where the run keeps its copies.
        digests: sha256 of each, as its provenance has them.
    """

    folder: Path
    digests: frozenset[str]

    def refuse(self, file: Path, digest: str) -> None:
        """Raise ``Unrecorded`` for a file outside the folder, or with another digest."""
        if not file.is_relative_to(self.folder.resolve()):
            raise Unrecorded(f"{file} is none of the files in {self.folder}, where a run keeps its code")
        if digest not in self.digests:
            raise Unrecorded(f"{file} is not what the run was started with: its provenance has no such digest")


def is_file(name: str) -> bool:
    """Whether a declared name means a file rather than a module."""
    return name.endswith(".py") or "/" in name


def identity(name: str, folder: Path) -> str:
    """What two ways to name the same file or module have in common."""
    return str((folder / name).resolve()) if is_file(name) else name


def load_import(name: str, folder: Path, recorded: Recorded | None = None) -> Imported:
    """Load a file (relative to ``folder``) or an installed module.

    ``import`` finds a file that was loaded by its stem, where no module of that name is installed.
    Of a file, the bytes that were hashed are compiled and run: never a ``.pyc`` beside it, nor what stands in it later.
    What it prints goes to standard error, where no reader of ``--json`` meets it.

    Raises:
        Unrecorded: it is a file, and none of those recorded.
        ImportProblem: it does not exist, or its own code fails.
    """
    with contextlib.redirect_stdout(sys.stderr):
        one = _load_file(name, (folder / name).resolve(), recorded) if is_file(name) else _load_module(name)
    _loaded[one.module] = one
    return one


#: Everything that was loaded with consent in this process, by module.
_loaded: dict[str, Imported] = {}


def loaded() -> tuple[Imported, ...]:
    """What this process has loaded, in its order: what a process that it starts may load, too."""
    return tuple(_loaded.values())


def is_users(module: str) -> bool:
    """Whether a module's code is the user's own: loaded with consent, or part of the program that calls this one."""
    top = module.partition(".")[0]
    if top == "__main__" or any(top in (one.module.partition(".")[0], _stem(one)) for one in _loaded.values()):
        return True
    file = _file_of(sys.modules.get(top))
    installed = [sysconfig.get_path(name) for name in ("purelib", "platlib", "stdlib", "platstdlib")]
    return (
        isinstance(file, str)
        and top not in ("rlrecipe", "gymnasium", "torchrl")
        and not any(Path(file).is_relative_to(folder) for folder in installed)
    )


def _stem(one: Imported) -> str | None:
    return one.file.stem if one.file is not None and is_file(one.name) else None


def load_again(one: Imported) -> None:
    """Load what the process that started this one has loaded.

    Raises:
        ImportProblem: it fails, or is not the same file any more.
    """
    if one.file is None or one.sha256 is None:
        load_import(one.name, Path.cwd())
        return
    try:
        # Before its code is run: consent was for what it was.
        load_import(str(one.file), Path.cwd(), Recorded(one.file.parent, frozenset([one.sha256])))
    except (Unrecorded, FileNotFoundError):
        message = f"{one.file} has changed since the run loaded it; start again, or restore the file"
        raise ImportProblem(message) from None


def _load_file(name: str, file: Path, recorded: Recorded | None) -> Imported:
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise ImportProblem(f"{file} cannot be read: {error.strerror}") from None
    digest = hashlib.sha256(raw).hexdigest()
    if recorded is not None:
        recorded.refuse(file, digest)
    module_name = f"{OWN}{file.stem}_{hashlib.sha256(str(file).encode()).hexdigest()[:8]}"
    loaded = sys.modules.get(module_name)
    if loaded is None or vars(loaded).get("__digest__") != digest:
        spec = importlib.util.spec_from_file_location(module_name, file)
        if spec is None or spec.loader is None:
            raise ImportProblem(f"{file} is no Python file: expected a name that ends in .py")
        module = importlib.util.module_from_spec(spec)
        module.__dict__["__digest__"] = digest
        sys.modules[module_name] = module
        import_names.give(module_name, file)
        try:
            exec(compile(raw, str(file), "exec", dont_inherit=True), module.__dict__)
        except BaseException as error:
            del sys.modules[module_name]
            import_names.withdraw(module_name, file)
            if isinstance(error, KeyboardInterrupt):
                raise
            raise ImportProblem(_failure(error, file)) from error
    import_names.give(module_name, file)
    return Imported(name, file, module_name, digest)


def name_first(imported: Sequence[Imported]) -> None:
    """Let a name that several files share stand for the first of them."""
    for one in reversed(imported):
        if one.file is not None and one.sha256 is not None:
            import_names.give(one.module, one.file)


def is_named(one: Imported) -> bool:
    """Whether something has imported a file by its name, so that what refers to it need not show that."""
    return one.file is not None and one.sha256 is not None and import_names.is_in_use(one.module, one.file)


def _load_module(name: str) -> Imported:
    try:
        module = importlib.import_module(name)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        if isinstance(error, ModuleNotFoundError) and error.name == name.split(".")[0]:
            raise ImportProblem(f"no module named {name!r} is installed; a file is written as ./{name}.py") from None
        raise ImportProblem(_failure(error, None)) from error
    file = _file_of(module)
    return Imported(name, Path(file) if file else None, name)


def _file_of(module: ModuleType | None) -> str | None:
    # Built-in modules and namespaces have none.
    return getattr(module, "__file__", None)


def _failure(error: BaseException, file: Path | None) -> str:
    """One line on an exception in a user's code, with the deepest line of that code."""
    what = f"{type(error).__name__}: {error}".splitlines()[0]
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno} fails: {type(error).__name__}: {error.msg}"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if file is None or frame.filename == str(file)]
    where = f"{own[-1].filename}:{own[-1].lineno}" if own else str(file)
    return f"{where} fails: {what}"


def load_given(names: Sequence[str]) -> tuple[list[Imported], list[PlacedProblem]]:
    """What ``--import`` names, relative to the working folder."""
    loaded: list[Imported] = []
    problems: list[PlacedProblem] = []
    for name in names:
        try:
            loaded.append(load_import(name, Path.cwd()))
        except ImportProblem as error:
            place = Place("--import", 1, 1, name, len(name), option=True)
            problems.append(PlacedProblem(Problem("E102", (), str(error)), place))
    return loaded, problems


def load_declared(
    declared: Node | None, folder: Path, given: Sequence[str], trust: bool, recorded: Recorded | None = None
) -> tuple[list[Imported], list[Problem]]:
    """What a recipe declares under ``imports``, as far as there is consent: to a run's, as far as it is recorded."""
    loaded: list[Imported] = []
    problems: list[Problem] = []
    consented = {identity(name, Path.cwd()) for name in given}
    items = declared.value if declared is not None and isinstance(declared.value, list) else []
    for index, item in enumerate(items):
        name = item.value
        # What recipes would have to expand is told as such.
        if not isinstance(name, str) or not name or expanded(name) or identity(name, folder) in consented:
            continue
        if not trust:
            cure = (
                f"read it, then add --trust-imports, or --import {shlex.quote(_option(name, folder))}; "
                "in Python trust_imports=True"
            )
            message = f"the recipe asks to run code in {name!r}, which needs consent"
            problems.append(Problem("E403", ("imports", index), message, cure))
            continue
        try:
            loaded.append(load_import(name, folder, recorded))
        except Unrecorded as error:
            given = _option(name, folder)
            cure = f"read it, then add --import {shlex.quote(given)}; in Python imports=[{given!r}]"
            problems.append(Problem("E403", ("imports", index), str(error), cure))
        except ImportProblem as error:
            problems.append(Problem("E102", ("imports", index), str(error)))
    return loaded, problems


def _option(name: str, folder: Path) -> str:
    if not is_file(name):
        return name
    file = (folder / name).resolve()
    here = Path.cwd()
    return str(file.relative_to(here)) if file.is_relative_to(here) else str(file)
