"""The user's files of a run: it keeps a copy of each, and uses that."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rlrecipe.recipe.imports import Imported, is_file

FOLDER = "imports"


def copied(imported: Sequence[Imported]) -> tuple[list[str], list[Path], list[dict[str, Any]]]:
    """What a new run keeps of the files and modules that were loaded for it.

    Returns:
        What its resolved recipe declares, the files to copy, and entries for the provenance.
    """
    declared, files, facts = [], [], []
    for one in imported:
        single = one.file is not None and is_file(one.name)
        declared.append(f"./{FOLDER}/{one.file.name}" if single and one.file else one.name)
        if single and one.file:
            files.append(one.file)
        facts.append({"name": one.name, "sha256": one.sha256})
    return declared, files, facts


def consented(folder: Path, declared: Sequence[str], given: Sequence[str]) -> list[str]:
    """What was given with ``--import``, with the run's own copy in place of a file that equals it."""
    copies = [folder / name for name in declared if is_file(name)]
    return [str(next((copy for copy in copies if _same(copy, Path(one))), one)) for one in given]


def _same(copy: Path, given: Path) -> bool:
    if copy.name != given.name or not given.is_file() or not copy.is_file():
        return False
    return hashlib.sha256(copy.read_bytes()).digest() == hashlib.sha256(given.read_bytes()).digest()
