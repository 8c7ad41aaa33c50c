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

from rlrecipe.learning.compiled.package import compiler
from rlrecipe.machine import cpu_facts
from rlrecipe.system import files

#: Of entries and of what goes into their names.
FORMAT = 9
#: Bytes of all packages together; the least recently used go first.
MOST = 1 << 30
#: Seconds after which a temporary file or folder is nobody's any more.
ABANDONED = 3600
#: Links on the way to the folder: more lead in a circle.
MOST_LINKS = 40


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
        self.most = most
        # What is there of the path first: nothing is made behind somebody else's link.
        _walk(path)
        _make(path)
        #: Where the path leads, without links.
        self.path = _walk(path)
        _refuse_shared(self.path)

    def place(self, name: str) -> Path:
        """Where a package lies, if it is there."""
        return self._files(name)[0]

    def get(self, name: str) -> bytes | None:
        """The bytes of a package that are those that were put there, or None."""
        package, facts = self._files(name)
        try:
            content = files.read(package)
            if json.loads(files.read(facts, files.MOST_TEXT))["sha256"] != hashlib.sha256(content).hexdigest():
                raise ValueError
            os.utime(package)
        except (OSError, ValueError, KeyError, TypeError, RecursionError, files.UnsafeFileError):
            # It stays: another process may be putting it there just now, and who makes it anew puts it in its place.
            return None
        return content

    def staging(self, name: str) -> Path:
        """A file for a package in the making, on the same disk."""
        # Processes of several containers may share the folder and have one number.
        return self.path / f".{name}.{secrets.token_hex(8)}.pt2"

    def put(self, name: str, made: Path) -> Path:
        """Take a finished package over."""
        package, facts = self._files(name)
        staged = made.with_suffix(".json")
        files.write(staged, json.dumps({"sha256": _digest(made), "bytes": made.stat().st_size}))
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


def _make(path: Path) -> None:
    """A folder and what lies above it, for the user alone, as far as it is not there."""
    if not path.is_dir():
        _make(path.parent)
        path.mkdir(mode=0o700, exist_ok=True)


def _walk(path: Path) -> Path:
    """Where a path leads, as far as it is there; no step of it may be somebody else's to change.

    Raises:
        UnsafeCacheError: a folder or link on the way belongs to another user, or others can put another one there.
    """
    here, waiting, links = Path("/"), [*path.absolute().parts[1:]], 0
    while True:
        facts = here.lstat()
        if stat.S_ISLNK(facts.st_mode):
            links += 1
            if facts.st_uid not in (os.getuid(), 0) or links > MOST_LINKS:
                raise UnsafeCacheError(f"{path} is not safe: {here} is another user's link")
            target = here.readlink()
            waiting[:0] = target.parts[1:] if target.is_absolute() else target.parts
            here = Path("/") if target.is_absolute() else here.parent
            continue
        # In a sticky folder, such as a temporary one, nobody renames what is another's.
        shared = facts.st_mode & 0o022 and not facts.st_mode & stat.S_ISVTX
        if shared or facts.st_uid not in (os.getuid(), 0):
            raise UnsafeCacheError(f"{path} is not safe: others can write to {here}, where it lies")
        if not waiting:
            return here
        step = waiting.pop(0)
        further = here.parent if step == ".." else here / step
        if not os.path.lexists(further):
            return here
        here = further


def _refuse_shared(path: Path) -> None:
    """Raise if somebody else could write to the folder."""
    facts = path.stat()
    if facts.st_uid != os.getuid() or stat.S_IMODE(facts.st_mode) & 0o022:
        raise UnsafeCacheError(f"{path} is not the user's own folder: others can write to it")


def _found(files: Iterable[Path]) -> Iterator[tuple[Path, os.stat_result]]:
    """Files and their facts; other processes remove some meanwhile."""
    for file in files:
        with suppress(FileNotFoundError):
            yield file, file.stat()


def _digest(file: Path) -> str:
    with files.open_binary(file, "r") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
