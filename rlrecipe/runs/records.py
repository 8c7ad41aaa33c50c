"""Files of JSON lines that a resumed run cuts back to where its checkpoint stood."""

from __future__ import annotations

import hashlib
import json
import math
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rlrecipe.errors import Refusal
from rlrecipe.system.files import open_binary

#: Bytes that are read at once.
BLOCK = 2**20


class DamagedRecords(Refusal):
    """A file of rows holds a line that is none."""

    exit_code = 5


class Records:
    """One JSON object a line, appended; its length in bytes is part of a checkpoint.

    Args:
        path: the file; made when it does not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = open_binary(path, "a")
        self._content = self._hashed()

    def write(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Append one row, and return it as ``rows`` will; NaN becomes null. It is on its way to disk."""
        clean = {key: None if isinstance(v, float) and not math.isfinite(v) else v for key, v in row.items()}
        line = json.dumps(clean).encode() + b"\n"
        self._file.write(line)
        self._file.flush()
        self._content.update(line)
        return clean

    def rows(self) -> list[dict[str, Any]]:
        """Every row of the file."""
        with open_binary(self.path, "r") as file:
            return [self._row(number, line) for number, line in enumerate(file, 1)]

    def _row(self, number: int, line: bytes) -> dict[str, Any]:
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict) or not isinstance(row.get("frames"), int):
            raise DamagedRecords(
                f"line {number} of {self.path} is no row, which is a mapping with frames; go on from a checkpoint "
                "before it, or take the line away"
            )
        return row

    def position(self) -> int:
        """The file's length, once its content is on disk."""
        os.fsync(self._file.fileno())
        return self._file.tell()

    def cut(self, position: int) -> None:
        """Cut off what was written after a position; a file that is shorter than that is told of."""
        there = self._file.seek(0, os.SEEK_END)
        if there < position:
            warnings.warn(f"{self.path} is shorter than when it was saved; its rows from then are lost", stacklevel=2)
        self._file.truncate(self._whole(min(there, position)))
        self._content = self._hashed()
        self._file.seek(0, os.SEEK_END)

    @property
    def digest(self) -> str:
        """SHA-256 of every row so far."""
        return self._content.copy().hexdigest()

    def _hashed(self) -> hashlib._Hash:
        """The digest of what is in the file."""
        content = hashlib.sha256()
        with open_binary(self.path, "r") as file:
            while block := file.read(BLOCK):
                content.update(block)
        return content

    def _whole(self, position: int) -> int:
        """The end of the last whole row at or before a position: half a row cannot be read again."""
        while position:
            start = max(0, position - BLOCK)
            self._file.seek(start)
            end = self._file.read(position - start).rfind(b"\n")
            if end >= 0:
                return start + end + 1
            position = start
        return 0

    def close(self) -> None:
        """Close the file."""
        self._file.close()
