"""Files that were loaded with consent, under the name that an ``import`` of them would have."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

#: What each name stands for: the module's name in ``sys.modules``, and its file.
_given: dict[str, tuple[str, Path]] = {}


def give(module: str, file: Path) -> None:
    """Let ``import`` find a loaded file by its stem, in place of another loaded file of that stem.

    Packages and names with dots are left alone.
    """
    name = file.stem
    if "." in name or name.startswith("__"):
        return
    if _FINDER not in sys.meta_path:
        # First, to know what the others would find: what is installed goes before.
        sys.meta_path.insert(0, _FINDER)
    given, known = sys.modules.get(name), _given.get(name)
    if known is not None and given is not sys.modules.get(module) and given is not None and given.__name__ == known[0]:
        del sys.modules[name]
    _given[name] = (module, file)


def withdraw(module: str, file: Path) -> None:
    """Take back what ``give`` gave."""
    if _given.get(file.stem) == (module, file):
        del _given[file.stem]


def is_in_use(module: str, file: Path) -> bool:
    """Whether something has imported a loaded file by its stem."""
    known = sys.modules.get(module)
    return known is not None and sys.modules.get(file.stem) is known


class _Finder(MetaPathFinder):
    """Finds what ``give`` gave, unless a module of that name is installed."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Where a module is, or None for the finders behind this one."""
        module, file = _given.get(fullname, ("", None))
        if file is None or module not in sys.modules:
            return None
        others = (each.find_spec(fullname, path, target) for each in sys.meta_path if each is not self)
        other = next((spec for spec in others if spec is not None), None)
        # A file of the working folder is not installed, nor is a folder without code.
        if (
            other is not None
            and other.origin is not None
            and Path(other.origin).parent not in (file.parent, Path.cwd())
        ):
            return None
        return ModuleSpec(fullname, _Same(module), origin=str(file))


class _Same(Loader):
    """Gives the module that is there already."""

    def __init__(self, module: str) -> None:
        self.module = module

    def exec_module(self, module: ModuleType) -> None:
        """Put the module that was loaded in the new one's place."""
        assert module.__spec__ is not None, "importlib makes it of a spec"
        sys.modules[module.__spec__.name] = sys.modules[self.module]


_FINDER = _Finder()
