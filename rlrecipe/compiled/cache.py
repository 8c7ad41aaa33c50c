"""Packages on disk, in a folder of the user's own: whoever could write there could run code as the user."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import time
from collections.abc import Sequence
from pathlib import Path

import torch

#: Of the format of entries and of what goes into their names.
FORMAT = 8
#: Bytes of all packages together; the least recently used go first.
MOST = 1 << 30
#: Seconds after which a temporary file or folder is nobody's any more.
ABANDONED = 3600


class UnsafeCacheError(OSError):
    """The folder belongs to somebody else, or others can write to it."""


def folder() -> Path:
    """Where packages are kept: ``RLRECIPE_CACHE``, or the user's cache folder."""
    users = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("RLRECIPE_CACHE") or users / "rlrecipe") / "compiled"


def key(operations: Sequence[str], threads: int) -> str:
    """The name of a package: its operations, and all that native code of them depends on."""
    facts = [FORMAT, torch.__version__, torch.version.git_version, threads, processor(), *operations]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def processor() -> str:
    """The processor's model and abilities: packages are compiled for them."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return torch.backends.cpu.get_cpu_capability()
    return "\n".join(dict.fromkeys(line for line in lines if line.startswith(("model name", "flags", "Features"))))


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
        facts = path.stat()
        if facts.st_uid != os.getuid() or stat.S_IMODE(facts.st_mode) & 0o022:
            raise UnsafeCacheError(f"{path} is not the user's own folder: others can write to it")

    def place(self, name: str) -> Path:
        """Where a package lies, if it is there."""
        return self._files(name)[0]

    def get(self, name: str) -> Path | None:
        """A package whose bytes are those that were put there, or None."""
        package, facts = self._files(name)
        try:
            if json.loads(facts.read_bytes())["sha256"] != _digest(package):
                raise ValueError
        except (OSError, ValueError, KeyError, TypeError):
            package.unlink(missing_ok=True)
            facts.unlink(missing_ok=True)
            return None
        os.utime(package)
        return package

    def staging(self, name: str) -> Path:
        """A file for a package in the making, on the same disk."""
        return self.path / f".{name}.{os.getpid()}.pt2"

    def put(self, name: str, made: Path) -> Path:
        """Take a finished package over."""
        package, facts = self._files(name)
        staged = facts.with_name(f".{facts.name}.{os.getpid()}")
        staged.write_text(json.dumps({"sha256": _digest(made), "bytes": made.stat().st_size}))
        made.replace(package)
        staged.replace(facts)
        self.sweep()
        return package

    def sweep(self) -> None:
        """Remove what was not used for longest, until the rest fits, and what killed runs have left."""
        for left in self.path.glob(".*"):
            if time.time() - left.stat().st_mtime > ABANDONED:
                shutil.rmtree(left, ignore_errors=True)
                left.unlink(missing_ok=True) if left.is_file() else None
        packages = sorted(self.path.glob("[0-9a-f]*.pt2"), key=lambda file: file.stat().st_mtime, reverse=True)
        total = 0
        for i, package in enumerate(packages):
            total += package.stat().st_size
            if i and total > self.most:
                for file in self._files(package.stem):
                    file.unlink(missing_ok=True)

    def _files(self, name: str) -> tuple[Path, Path]:
        return self.path / f"{name}.pt2", self.path / f"{name}.json"


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
