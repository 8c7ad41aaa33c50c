"""The user's files of a run: it keeps a copy of each, and uses that."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rlrecipe.recipe.imports import Imported, Recorded, is_file
from rlrecipe.recipe.layers import Origin, read_layers
from rlrecipe.runs.changes import RefusedChange
from rlrecipe.system.files import MOST_TEXT, read

FOLDER = "imports"


def copied(imported: Sequence[Imported]) -> tuple[list[str], dict[str, Path], list[dict[str, Any]]]:
    """What a new run keeps of the files and modules that were loaded for it.

    Returns:
        What its resolved recipe declares, the files to copy by the name of the copy, and entries for
        the provenance.
    """
    declared: list[str] = []
    files: dict[str, Path] = {}
    facts: list[dict[str, Any]] = []
    for one in imported:
        facts.append({"name": one.name, "sha256": one.sha256})
        if one.file is None or not is_file(one.name):
            declared.append(one.name)
            continue
        name, same = one.file.name, 0
        while name in files:
            same += 1
            name = f"{one.file.stem}-{same}{one.file.suffix}"
        files[name] = one.file
        declared.append(f"./{FOLDER}/{name}")
    return declared, files, facts


def copies(folder: Path) -> list[Path]:
    """A run's own copies of its user's files."""
    return sorted((folder / FOLDER).glob("*.py"))


def recorded(folder: Path) -> Recorded:
    """The files that a run was started with; none where its provenance does not say."""
    try:
        facts = json.loads(read(folder / "provenance.json", MOST_TEXT))["imports"]
        digests = frozenset(fact["sha256"] for fact in facts if isinstance(fact["sha256"], str))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        digests = frozenset()
    return Recorded(folder / FOLDER, digests)


def other_code(folder: Path, imported: Sequence[Imported]) -> str | None:
    """Which file that was loaded is not one that the run was started with."""
    known = recorded(folder).digests
    other = next((one for one in imported if one.sha256 is not None and one.sha256 not in known), None)
    return f"{other.name} is not a file that the run was started with" if other is not None else None


def consented(folder: Path, given: Sequence[str]) -> list[str]:
    """What was given with ``--import``, with the run's own copy in place of a file that equals it."""
    own = {_digest(copy): copy for copy in copies(folder)}
    return [str(own.get(_digest(Path(one)), one)) for one in given]


def refuse_edited(folder: Path, source: Origin, overrides: Sequence[str], given: Sequence[str]) -> None:
    """Let a run go on only with the code that it was started with.

    Raises:
        RefusedChange: a file that the recipe declares or that was given is none that the run recorded.
    """
    own = recorded(folder).digests
    for file in _files(source, overrides, given):
        if (_digest(file) or b"").hex() not in own:
            raise RefusedChange(
                f"{file} is not what {folder} was started with (its copies are in {folder / FOLDER}); "
                "start a new run with it, or restore the file"
            )


def _files(source: Origin, overrides: Sequence[str], given: Sequence[str]) -> Iterator[Path]:
    named = [(name, Path.cwd()) for name in given]
    top = read_layers(source, overrides).top("imports")
    if top is not None and isinstance(top[0].value, list):
        named += [(item.value, top[1].folder) for item in top[0].value if isinstance(item.value, str)]
    yield from ((folder / name).resolve() for name, folder in named if is_file(name))


def _digest(file: Path) -> bytes | None:
    return hashlib.sha256(file.read_bytes()).digest() if file.is_file() else None
