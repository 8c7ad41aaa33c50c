"""Files that are there whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_durably(path: Path, content: bytes) -> None:
    """Write a file and make its content durable; its name becomes so with ``sync_folder``."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def replace(path: Path, content: bytes) -> None:
    """Put a new version of a file in place of the old one by one rename."""
    staged = path.with_name(f".{path.name}.{os.getpid()}")
    write_durably(staged, content)
    staged.replace(path)
    sync_folder(path.parent)


def canonical(data: Mapping[str, Any]) -> bytes:
    """JSON with sorted keys: equal data gives equal bytes."""
    return json.dumps(data, sort_keys=True, indent=1).encode()


def digest(content: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(content).hexdigest()
