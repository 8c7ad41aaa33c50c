"""Reading a checkpoint's files, each against the digest that the manifest has of it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rlrecipe.checkpoint.backends.bounded import parse
from rlrecipe.context import LEVELS
from rlrecipe.errors import Refusal
from rlrecipe.system import files

FORMAT = 1
MANIFEST = "manifest.json"
#: Bytes that are copied at once.
BLOCK = 2**22
#: Bytes and values of a manifest: its recipe, and a digest for each of its files.
MOST_MANIFEST, MOST_FACTS = 1 << 24, 200_000
_FACTS: Mapping[str, type] = {
    "frames": int, "updates": int, "recipe": dict, "versions": dict, "files": dict,
    "exact": str, "exact_reason": str, "backend": str,
}  # fmt: skip
_KINDS = {int: "a whole number", dict: "a mapping", str: "a text"}


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
        manifest: dict[str, Any] = parse(files.read(path, MOST_MANIFEST), MOST_FACTS)
        claimed = manifest.pop("digest")
        true = digest(canonical(manifest))
    except (OSError, ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise DamagedCheckpoint(f"{path} cannot be read: {type(error).__name__}: {error}") from None
    if true != claimed:
        raise DamagedCheckpoint(f"{path} does not match its own digest")
    if manifest.get("format") != FORMAT:
        raise Refusal(f"{folder} has the format {manifest.get('format')}; this version reads {FORMAT}: update rlrecipe")
    wrong = _wrong_fact(manifest)
    if wrong is not None:
        raise DamagedCheckpoint(f"{path}: {wrong}")
    return {**manifest, "digest": claimed}


def _wrong_fact(manifest: Mapping[str, Any]) -> str | None:
    """The first fact of a manifest that is of another kind than it has to be."""
    for name, kind in _FACTS.items():
        value = manifest.get(name)
        if name in manifest and (not isinstance(value, kind) or isinstance(value, bool)):
            return f"{name} is {_short(value)}, expected {_KINDS[kind]}"
        if kind is int and name in manifest and not 0 <= manifest[name] < 1 << 63:
            return f"{name} is {_short(value)}, expected a count"
    if manifest.get("exact", LEVELS[0]) not in LEVELS:
        return f"exact is {_short(manifest['exact'])}, expected one of {', '.join(LEVELS)}"
    for file, fact in manifest.get("files", {}).items():
        if not isinstance(fact, dict) or not isinstance(fact.get("sha256"), str) or type(fact.get("bytes")) is not int:
            return f"files.{file} is {_short(fact)}, expected sha256 and bytes"
    return None if "files" in manifest else "files is missing"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def fact_of(folder: Path, manifest: Mapping[str, Any], name: str) -> Any:
    """A fact that whoever goes on from a checkpoint needs.

    Raises:
        DamagedCheckpoint: its manifest has none of the name.
    """
    if name not in manifest:
        raise DamagedCheckpoint(f"{folder / MANIFEST}: {name} is missing")
    return manifest[name]


def read_verified(folder: Path, file: str, fact: Mapping[str, Any]) -> bytes:
    """The content of a checkpoint's file.

    Raises:
        DamagedCheckpoint: it is not what ``fact`` says.
    """
    path = _sized(folder, file, fact)
    try:
        content = files.read(path)
    except (OSError, ValueError) as error:
        raise DamagedCheckpoint(f"{path} cannot be read: {error}") from None
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
            files.refuse_hollow(path, content.fileno())
            same = hashlib.file_digest(content, "sha256").hexdigest() == fact["sha256"]
    except DamagedCheckpoint as error:
        raise DamagedPiece(str(error)) from None
    except (OSError, ValueError) as error:
        raise DamagedPiece(f"{folder / file} cannot be read: {error}") from None
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
