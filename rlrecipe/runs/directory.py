"""The run directory: its files, its status, and the lock that keeps two processes apart."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import secrets
import shutil
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from rlrecipe.errors import Refusal
from rlrecipe.system.files import (
    MOST_TEXT,
    copy,
    descriptor,
    overwrite,
    read,
    refuse_links,
    replace,
    sync_folder,
    utf8_path,
    write_durably,
)

#: Locked by the process that writes a run, and holds its number.
LOCK = ".lock"
CHECKPOINTS = "checkpoints"


class RunDirectoryError(Refusal):
    """The directory cannot be used; the message says why and what to do (exit 2)."""


class DamagedStatusError(RunDirectoryError):
    """A run's ``status.json`` is not what a run writes."""

    exit_code = 5


#: What a run that goes on writes to, in its folder.
WRITTEN = ("", CHECKPOINTS, "metrics.jsonl", "episodes.jsonl", "run.log")


class UnwritableRunError(RunDirectoryError):
    """Nobody, or not this user, may write to the run's folder."""

    def __init__(self, folder: Path, place: Path, reason: str) -> None:
        cure = "a run goes on in its own folder, and replays go there; make it writable, or copy it (cp -r)"
        super().__init__(f"{place} cannot be written ({reason}): {cure}")
        self.folder = folder


class RunDirectory:
    """The files of one run.

    Args:
        path: an existing run directory.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: int | None = None

    @property
    def checkpoints(self) -> Path:
        """The folder of checkpoints."""
        return self.path / CHECKPOINTS

    @staticmethod
    def default(name: str) -> Path:
        """Where a run goes unless told otherwise: ``runs/<name>/<time>-<id>``."""
        return Path("runs") / utf8_path(name) / f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}"

    @staticmethod
    def refuse_used(path: Path) -> None:
        """Raise where there is something already.

        Raises:
            RunDirectoryError: the folder is not empty, or is none.
        """
        for around in path.resolve().parents:
            if (around / "resolved.yaml").is_file() and (around / CHECKPOINTS).is_dir():
                raise RunDirectoryError(f"{path} lies inside the run {around}; choose a --run-dir elsewhere")
        try:
            if path.exists() and not path.is_dir():
                raise RunDirectoryError(f"{path} is a file; --run-dir names a new folder")
            if path.exists() and any(path.iterdir()):
                raise RunDirectoryError(
                    f"{path} is not empty; choose another --run-dir, or add --continue to go on with the run in it"
                )
        except OSError as error:
            raise RunDirectoryError(f"{path} cannot be made: {error.strerror}") from error

    @classmethod
    def create(
        cls,
        path: Path,
        files: Mapping[str, str],
        copies: Mapping[str, Path] | None = None,
        fill: Callable[[Path], None] = lambda _: None,
    ) -> RunDirectory:
        """Make a run directory appear by one rename, with its first files inside.

        Args:
            path: must not exist, or be an empty folder.
            files: names and contents.
            copies: the user's files, by their names under ``imports``.
            fill: puts more into the folder before it appears.

        Raises:
            RunDirectoryError: the folder is not empty, or cannot be made.
        """
        cls.refuse_used(path)
        try:
            # Resolved: "." has no name to stage beside, and a link is replaced by nothing but its target.
            real = path.resolve()
            real.parent.mkdir(parents=True, exist_ok=True)
            staging = real.with_name(f".{real.name}.{os.getpid()}")
            # Left by a process of the same number, as in a container, where it is always 1.
            shutil.rmtree(staging, ignore_errors=True)
            staging.mkdir()
            try:
                for name, file in (copies or {}).items():
                    (staging / "imports").mkdir(exist_ok=True)
                    copy(file.resolve(), staging / "imports" / name)
                for name, content in files.items():
                    write_durably(staging / name, content.encode("utf-8", "replace"))
                fill(staging)
                sync_folder(staging)
                staging.rename(real)
            finally:
                # Nothing of it is left where it did not become the run.
                shutil.rmtree(staging, ignore_errors=True)
            sync_folder(real.parent)
        except OSError as error:
            raise RunDirectoryError(f"{path} cannot be made: {error.strerror}") from error
        return cls(path)

    def lock(self) -> None:
        """Keep other processes from writing this run, until ``unlock`` or this process ends.

        Raises:
            UnwritableRunError: this process may not write there.
            RunDirectoryError: another process has it; the message names its pid.
        """
        if self._lock is None:
            try:
                self._lock = self._lock_file()
            except OSError as error:
                raise UnwritableRunError(self.path, self.path / LOCK, error.strerror or str(error)) from None

    def _lock_file(self) -> int:
        path = self.path / LOCK
        while True:
            opened = descriptor(path, os.O_RDWR | os.O_CREAT)
            if not _locked(opened):
                pid = _number(os.read(opened, 32))
                os.close(opened)
                raise RunDirectoryError(f"{self.path} is in use by process {pid}; wait for it, or stop it first")
            facts = os.fstat(opened)
            if facts.st_nlink == 1:
                break
            # A file that has another name, too, as in a copy made of links, is not ours to write to; one that
            # has none was removed meanwhile by another process that found it so.
            if facts.st_nlink > 1:
                path.unlink(missing_ok=True)
            os.close(opened)
        # A full disk takes no number; the lock holds without it.
        with suppress(OSError):
            os.ftruncate(opened, 0)
            os.write(opened, str(os.getpid()).encode())
        return opened

    def refuse_unwritable(self, names: Sequence[str] = WRITTEN) -> None:
        """See that a run can go on here, before it is built.

        Args:
            names: of what will be written.

        Raises:
            UnwritableRunError: one of its folders or logs cannot be written.
        """
        for name in names:
            place = self.path / name
            # Of the rights that writing has, which a program that was started with others' may have changed.
            effective = os.access in os.supports_effective_ids
            if place.exists() and not os.access(place, os.W_OK, effective_ids=effective):
                raise UnwritableRunError(self.path, place, os.strerror(errno.EACCES))

    def unlock(self) -> None:
        """Let other processes write this run."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def write(self, name: str, content: str) -> None:
        """Put a file in place by one rename; readers never see half of it."""
        replace(self.path / name, content, durably=False)

    def overwrite(self, name: str, content: str) -> None:
        """Change a file in its place, which a full disk allows: its blocks are there already.

        Raises:
            OSError: not even that.
        """
        overwrite(self.path / name, content)

    def origin(self) -> dict[str, Any]:
        """What a run that was forked is a fork of, under "fork"; empty for another."""
        try:
            fork = json.loads(read(self.path / "provenance.json", MOST_TEXT))["fork"]
        except (OSError, ValueError, KeyError, TypeError):
            return {}
        return {"fork": fork}

    def status(self) -> dict[str, Any]:
        """What ``status.json`` says.

        Raises:
            RunDirectoryError: this is no run directory.
            DamagedStatusError: the file is not what a run writes.
        """
        try:
            status = json.loads(read(self.path / "status.json", MOST_TEXT))
        except OSError as error:
            raise RunDirectoryError(f"{self.path} is no run directory: status.json cannot be read ({error})") from None
        except (ValueError, RecursionError) as error:
            raise DamagedStatusError(f"{self.path / 'status.json'} cannot be read: {error}") from None
        if not isinstance(status, dict):
            raise DamagedStatusError(f"{self.path / 'status.json'} holds no mapping, expected state, frames and exact")
        for key in ("state", "exact"):
            if not isinstance(status.get(key), str):
                raise DamagedStatusError(
                    f"{self.path / 'status.json'} says {status.get(key)!r} as {key}, expected a text"
                )
        return status


def look_through(path: Path) -> None:
    """See that a run folder holds nothing that leads elsewhere, before anything in it is read or written.

    Args:
        path: of a run, or of one of its checkpoints. Links on the way to it are the user's own.

    Raises:
        UnsafeFileError: it holds a link, pipe or device; the message names it.
    """
    here = path.absolute()
    if here.parent.name == CHECKPOINTS:
        refuse_links(here.parent.parent)
    elif any(os.path.lexists(here / name) for name in ("status.json", "resolved.yaml", "manifest.json", CHECKPOINTS)):
        # Not any folder that somebody names by mistake: it may be all of a disk.
        refuse_links(here)


def _locked(opened: int) -> bool:
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _number(content: bytes) -> str:
    return content.decode().strip() if content.strip().isdigit() else "unknown"


def holder(run_dir: Path) -> str | None:
    """The number of the process that has a run's lock, "unknown" where it does not say; None where nobody has it.

    Raises:
        OSError: the lock cannot be read.
    """
    try:
        opened = descriptor(run_dir / LOCK, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _number(os.read(opened, 32))
    finally:
        os.close(opened)
    return None


def as_json(content: Mapping[str, Any]) -> str:
    """The text of a JSON file that people read."""
    return json.dumps(content, indent=2) + "\n"


def status(state: str, frames: int, updates: int, exact: str, exact_reason: str, **more: Any) -> dict[str, Any]:
    """Content of ``status.json``."""
    return {
        "state": state,
        "frames": frames,
        "updates": updates,
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "exact": exact,
        "exact_reason": exact_reason,
        **more,
    }
