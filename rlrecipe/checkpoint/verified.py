"""Reading a checkpoint's files, each against the digest that the manifest has of it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rlrecipe import files
from rlrecipe.errors import Refusal

FORMAT = 1
MANIFEST = "manifest.json"
#: Bytes that are copied at once.
BLOCK = 2**22


class DamagedCheckpoint(Refusal):
    """A checkpoint is not what its manifest says."""

    exit_code = 5


class DamagedPiece(DamagedCheckpoint):
    """Only pieces of a checkpoint's state are damaged; the rest can be used without them."""


def canonical(data: Mapping[str, Any]) -> bytes:
    """JSON with sorted keys: equal data gives equal bytes."""
    return json.dumps(data, sort_keys=True, indent=1).encode()


def digest(content: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def read_manifest(folder: Path) -> dict[str, Any]:
    """A checkpoint's manifest, checked against its own digest and the format's version.

    Raises:
        DamagedCheckpoint: it is missing or changed.
    """
    path = folder / MANIFEST
    try:
        manifest: dict[str, Any] = json.loads(files.read(path))
        claimed = manifest.pop("digest")
        true = digest(canonical(manifest))
    except (OSError, ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise DamagedCheckpoint(f"{path} cannot be read: {type(error).__name__}: {error}") from None
    if true != claimed:
        raise DamagedCheckpoint(f"{path} does not match its own digest")
    if manifest.get("format") != FORMAT:
        raise Refusal(f"{folder} has the format {manifest.get('format')}; this version reads {FORMAT}: update rlrecipe")
    return {**manifest, "digest": claimed}


def read_verified(folder: Path, file: str, fact: Mapping[str, Any]) -> bytes:
    """The content of a checkpoint's file.

    Raises:
        DamagedCheckpoint: it is not what ``fact`` says.
    """
    path = _sized(folder, file, fact)
    try:
        content = files.read(path)
    except OSError as error:
        raise DamagedCheckpoint(f"{path} cannot be read: {error.strerror}") from None
    if digest(content) != fact["sha256"]:
        raise DamagedCheckpoint(f"{path} does not match its digest")
    return content


def verify_file(folder: Path, file: str, fact: Mapping[str, Any]) -> None:
    """Read a checkpoint's file in blocks: it may be larger than the memory.

    Raises:
        DamagedPiece: it is not what ``fact`` says.
    """
    try:
        path = _sized(folder, file, fact)
        with files.open_binary(path, "r") as content:
            same = hashlib.file_digest(content, "sha256").hexdigest() == fact["sha256"]
    except DamagedCheckpoint as error:
        raise DamagedPiece(str(error)) from None
    except OSError as error:
        raise DamagedPiece(f"{folder / file} cannot be read: {error.strerror}") from None
    if not same:
        raise DamagedPiece(f"{path} does not match its digest")


def copy_verified(folder: Path, file: str, fact: Mapping[str, Any], target: Path) -> None:
    """Copy a checkpoint's file in blocks to a new one that shares nothing with it, and make its content durable.

    Raises:
        DamagedCheckpoint: it is not what ``fact`` says.
        OSError: it could not be written.
    """
    path, content = _sized(folder, file, fact), hashlib.sha256()
    with files.open_binary(path, "r") as source, files.open_binary(target, "w") as copy:
        while block := source.read(BLOCK):
            content.update(block)
            copy.write(block)
        copy.flush()
        os.fsync(copy.fileno())
    if content.hexdigest() != fact["sha256"]:
        raise DamagedCheckpoint(f"{path} does not match its digest")


def _sized(folder: Path, file: str, fact: Mapping[str, Any]) -> Path:
    path = folder / file
    if Path(file).name != file or path.is_symlink():
        raise DamagedCheckpoint(f"{folder / MANIFEST} names a file outside its folder: {file!r}")
    try:
        size = path.lstat().st_size
    except OSError as error:
        raise DamagedCheckpoint(f"{path} cannot be read: {error.strerror}") from None
    if size != fact["bytes"]:
        raise DamagedCheckpoint(f"{path} does not match its digest")
    return path
