"""Packages on disk, in a folder of the user's own: whoever could write there could run code as the user."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import stat
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import torch

from rlrecipe.compiled.package import compiler
from rlrecipe.machine import cpu_facts

#: Of entries and of what goes into their names.
FORMAT = 9
#: Bytes of all packages together; the least recently used go first.
MOST = 1 << 30
#: Seconds after which a temporary file or folder is nobody's any more.
ABANDONED = 3600


class UnsafeCacheError(OSError):
    """The folder belongs to somebody else, or others can write to it."""


def folder() -> Path:
    """Where packages are kept: ``RLRECIPE_CACHE``, or the user's cache folder; without a home, a temporary one."""
    own, users = os.environ.get("RLRECIPE_CACHE"), os.environ.get("XDG_CACHE_HOME")
    if own:
        return Path(own) / "compiled"
    try:
        return Path(users or Path.home() / ".cache") / "rlrecipe" / "compiled"
    except RuntimeError:
        return Path(tempfile.gettempdir()) / f"rlrecipe-{os.getuid()}" / "compiled"


def key(operations: Sequence[str], threads: int) -> str:
    """The name of a package: its operations, and all that native code of them depends on."""
    facts = [FORMAT, torch.__version__, torch.version.git_version, threads, processor(), *_makers(), *operations]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _makers() -> list[str]:
    """What turns operations into code besides torch: the C++ compiler, and what we do to a trace."""
    found = compiler()
    program = Path(found).resolve() if found else None
    # Not by importing them: a run that finds its packages does without the tracer.
    sources = [Path(__file__).with_name(name).read_bytes() for name in ("arithmetic.py", "trace.py", "package.py")]
    digest = hashlib.sha256(b"".join(sources)).hexdigest()
    return [f"{program.name} {program.stat().st_size}" if program else "", digest]


def processor() -> str:
    """The processor's model and abilities: packages are compiled for them."""
    return "\n".join(cpu_facts("model name", "flags", "Features")) or torch.backends.cpu.get_cpu_capability()


class Cache:
    """Packages by key.

    Args:
        path: the folder; made for the user alone where it is not there.

    Raises:
        UnsafeCacheError: it is not the user's own.
    """

    def __init__(self, path: Path, most: int = MOST) -> None:
        self.path, self.most = path, most
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        _refuse_foreign(path)

    def place(self, name: str) -> Path:
        """Where a package lies, if it is there."""
        return self._files(name)[0]

    def get(self, name: str) -> Path | None:
        """A package whose bytes are those that were put there, or None."""
        package, facts = self._files(name)
        try:
            if json.loads(facts.read_bytes())["sha256"] != _digest(package):
                raise ValueError
            os.utime(package)
        except (OSError, ValueError, KeyError, TypeError):
            # It stays: another process may be putting it there just now, and who makes it anew puts it in its place.
            return None
        return package

    def staging(self, name: str) -> Path:
        """A file for a package in the making, on the same disk."""
        # Processes of several containers may share the folder and have one number.
        return self.path / f".{name}.{secrets.token_hex(8)}.pt2"

    def put(self, name: str, made: Path) -> Path:
        """Take a finished package over."""
        package, facts = self._files(name)
        staged = made.with_suffix(".json")
        staged.write_text(json.dumps({"sha256": _digest(made), "bytes": made.stat().st_size}))
        made.replace(package)
        staged.replace(facts)
        self.sweep()
        return package

    def sweep(self) -> None:
        """Remove what was not used for longest, until the rest fits, and what killed runs have left."""
        for left, facts in _found(self.path.glob(".*")):
            if time.time() - facts.st_mtime > ABANDONED:
                shutil.rmtree(left, ignore_errors=True) if left.is_dir() else left.unlink(missing_ok=True)
        packages = sorted(_found(self.path.glob("[0-9a-f]*.pt2")), key=lambda one: one[1].st_mtime, reverse=True)
        total = 0
        for i, (package, facts) in enumerate(packages):
            total += facts.st_size
            if i and total > self.most:
                for file in self._files(package.stem):
                    file.unlink(missing_ok=True)

    def _files(self, name: str) -> tuple[Path, Path]:
        return self.path / f"{name}.pt2", self.path / f"{name}.json"


def _refuse_foreign(path: Path) -> None:
    """Raise if somebody else could write to the folder, or put another one in its place."""
    facts = path.stat()
    if facts.st_uid != os.getuid() or stat.S_IMODE(facts.st_mode) & 0o022:
        raise UnsafeCacheError(f"{path} is not the user's own folder: others can write to it")
    for parent in path.resolve().parents:
        facts = parent.stat()
        # In a sticky folder, such as a temporary one, nobody renames what is another's.
        shared = facts.st_mode & 0o022 and not facts.st_mode & stat.S_ISVTX
        if shared or facts.st_uid not in (os.getuid(), 0):
            raise UnsafeCacheError(f"{path} is not safe: others can write to {parent}, where it lies")


def _found(files: Iterable[Path]) -> Iterator[tuple[Path, os.stat_result]]:
    """Files and their facts; other processes remove some meanwhile."""
    for file in files:
        with suppress(FileNotFoundError):
            yield file, file.stat()


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
