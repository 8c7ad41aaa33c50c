"""What of two records of the same frames differs first, in words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from rlrecipe.checkpoint.content import Checkpoint
from rlrecipe.loggers.base import step_of
from rlrecipe.runs.recorder import LOGS
from rlrecipe.state import Arrays
from rlrecipe.system.files import open_binary


def first_row(one: Path, other: Path, start: int, end: int) -> str | None:
    """The first frame and key in which the rows of two run folders after ``start`` and up to ``end`` differ."""
    for log in LOGS:
        try:
            rows, again = (_rows(folder / log, start, end) for folder in (one, other))
        except (OSError, ValueError) as error:
            return f"frame {end}: {log} cannot be read ({error})"
        for row, second in zip(rows, again, strict=False):
            for key in row.keys() | second.keys():
                if row.get(key) != second.get(key):
                    return f"frame {step_of(row)}: {key} in {log} was {row.get(key)} and became {second.get(key)}"
        if len(rows) != len(again):
            return f"frame {end}: {log} has {len(rows)} rows of this stretch and became {len(again)}"
    return None


def _rows(path: Path, start: int, end: int) -> list[dict[str, Any]]:
    with open_binary(path, "r") as file:
        rows = [row for line in file if (row := row_of(line)) is not None]
    return [
        {key: value for key, value in row.items() if not key.startswith("time/")}
        for row in rows
        if start < step_of(row) <= end
    ]


def row_of(line: bytes) -> dict[str, Any] | None:
    """A line's row; None if it is none: the last one of a run that was killed may be half of one."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) and isinstance(row.get("frames"), int) else None


def first_key(one: Checkpoint, other: Checkpoint) -> str:
    """The first path in which the states of two checkpoints differ."""
    found = _first_tensor(one.arrays, other.arrays)
    for path in sorted(one.pieces.keys() | other.pieces.keys()):
        a, b = one.pieces.get(path), other.pieces.get(path)
        if found is None and (a is None or b is None):
            found = path
        elif found is None and a is not None and b is not None and a.fact != b.fact:
            found = f"{path}.{_first_tensor(a.tensors(), b.tensors())}"
    return found or first_leaf(one.tree, other.tree) or "state"


def _first_tensor(one: Arrays, other: Arrays) -> str | None:
    for path in sorted(one.keys() | other.keys()):
        a, b = one.get(path), other.get(path)
        if a is None or b is None or not torch.equal(a, b):
            return path
    return None


def first_leaf(one: Any, other: Any, path: str = "") -> str | None:
    """The first dotted path at which two trees of plain values differ."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        for key in sorted(one.keys() | other.keys()):
            found = first_leaf(one.get(key), other.get(key), f"{path}.{key}" if path else key)
            if found:
                return found
        return None
    return None if one == other else path
