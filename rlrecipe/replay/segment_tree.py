"""torchrl's segment tree of sums, without the rest of torchrl."""

from __future__ import annotations

import importlib.util
import sys
from importlib import metadata
from importlib.machinery import PathFinder
from types import ModuleType
from typing import Protocol, cast

from rlrecipe.lazy import np, torch
from rlrecipe.recipe.errors import Problem

_MODULE = "torchrl._torchrl"
#: What torchrl 0.14.1 was seen to load with: 2.14.1 and 2.15.0, and not 2.13.0.
_FITTING = "torch>=2.14,<2.16"


class SumTree(Protocol):
    """Numbers and the sums of their aligned ranges.

    Each inner sum is left + right, so that all of them are a function of the numbers alone, whatever
    the order in which those were set.
    """

    #: Numbers that it has room for: a power of two above its size.
    capacity: int

    def __getitem__(self, index: np.ndarray) -> np.ndarray: ...
    def __setitem__(self, index: np.ndarray, value: np.ndarray | float) -> None: ...
    def query(self, start: int, stop: int) -> float:
        """Sum of a range."""

    def scan_lower_bound(self, mass: np.ndarray) -> np.ndarray:
        """First index at which the sum up to it, itself included, reaches ``mass``."""


def sum_tree(size: int) -> SumTree:
    """A tree of zeros in float64: in float32, of 10^6 rows, 1 draw of 80 hits a neighbour.

    Raises:
        ImportError: torchrl's compiled part does not load.
    """
    return cast(SumTree, _extension().SumSegmentTreeFp64(size))


def tree_bytes(size: int) -> int:
    """Memory of a tree: two float64 for each of the next power of two numbers."""
    return 16 << size.bit_length()


def missing() -> Problem | None:
    """Why prioritized cannot work here, with the cure."""
    try:
        _extension()
    except ImportError as error:
        # The loader names the file, and a symbol of hundreds of characters.
        reason = str(error).split("\n")[0].removeprefix(f"{error.path}: ")[:80]
        message = f"prioritized needs torchrl's compiled part, which does not load: {_versions()}: {reason}"
        cure = f"pip install '{_FITTING}', which fits torchrl 0.14.1, or take replay_buffer.name: uniform"
        return Problem("E401", ("replay_buffer", "name"), message, cure)
    return None


def _versions() -> str:
    try:
        return f"torchrl {metadata.version('torchrl')} with torch {torch.__version__}"
    except metadata.PackageNotFoundError:
        return f"no torchrl is installed, with torch {torch.__version__}"


def _extension() -> ModuleType:
    """The compiled part of torchrl, loaded from its file.

    Importing torchrl costs 1.3 seconds and changes how the process starts others. What is loaded here
    is what ``import torchrl`` finds later: its types cannot be registered twice.
    """
    if _MODULE in sys.modules:
        return importlib.import_module(_MODULE)
    # Its symbols are torch's: torch has to be there first.
    importlib.import_module("torch")
    package = importlib.util.find_spec("torchrl")
    folders = package.submodule_search_locations if package is not None else None
    spec = PathFinder.find_spec(_MODULE, list(folders or ()))
    if spec is None or spec.loader is None:
        raise ImportError(f"there is no {_MODULE}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules[_MODULE] = module
    return module
