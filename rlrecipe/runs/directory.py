"""The run directory: its files, its status, and the lock that keeps two processes apart."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rlrecipe.checkpoint.files import sync_folder, write_durably
from rlrecipe.errors import Refusal


class RunDirectoryError(Refusal):
    """The directory cannot be used; the message says why and what to do (exit 2)."""


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
        return self.path / "checkpoints"

    @staticmethod
    def default(name: str) -> Path:
        """Where a run goes unless told otherwise: ``runs/<name>/<time>-<id>``."""
        return Path("runs") / name / f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}"

    @classmethod
    def create(cls, path: Path, files: Mapping[str, str], copies: Mapping[str, Path] | None = None) -> RunDirectory:
        """Make a run directory appear by one rename, with its first files inside.

        Args:
            path: must not exist, or be an empty folder.
            files: names and contents.
            copies: the user's files, by their names under ``imports``.

        Raises:
            RunDirectoryError: the folder is not empty, or cannot be made.
        """
        try:
            if path.exists() and not path.is_dir():
                raise RunDirectoryError(f"{path} is a file; --run-dir names a new folder")
            if path.exists() and any(path.iterdir()):
                raise RunDirectoryError(
                    f"{path} is not empty; choose another --run-dir, or add --continue to go on with the run in it"
                )
            # Resolved: "." has no name to stage beside, and a link is replaced by nothing but its target.
            real = path.resolve()
            real.parent.mkdir(parents=True, exist_ok=True)
            staging = real.with_name(f".{real.name}.{os.getpid()}")
            # Left by a process of the same number, as in a container, where it is always 1.
            shutil.rmtree(staging, ignore_errors=True)
            staging.mkdir()
            for name, file in (copies or {}).items():
                (staging / "imports").mkdir(exist_ok=True)
                shutil.copyfile(file, staging / "imports" / name)
            for name, content in files.items():
                write_durably(staging / name, content.encode())
            sync_folder(staging)
            staging.rename(real)
            sync_folder(real.parent)
        except OSError as error:
            raise RunDirectoryError(f"{path} cannot be made: {error.strerror}") from error
        return cls(path)

    def lock(self) -> None:
        """Keep other processes from writing this run, until ``unlock`` or this process ends.

        Raises:
            RunDirectoryError: another process has it; the message names its pid.
        """
        if self._lock is not None:
            return
        descriptor = os.open(self.path / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.read(descriptor, 32).decode().strip() or "unknown"
            os.close(descriptor)
            raise RunDirectoryError(f"{self.path} is in use by process {pid}; wait for it, or stop it first") from None
        os.ftruncate(descriptor, 0)
        os.write(descriptor, str(os.getpid()).encode())
        self._lock = descriptor

    def unlock(self) -> None:
        """Let other processes write this run."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def write(self, name: str, content: str) -> None:
        """Put a file in place by one rename; readers never see half of it."""
        staged = self.path / f".{name}.{os.getpid()}"
        staged.write_text(content)
        staged.replace(self.path / name)

    def overwrite(self, name: str, content: str) -> None:
        """Change a file in its place, which a full disk allows: its blocks are there already.

        Raises:
            OSError: not even that.
        """
        with (self.path / name).open("r+b") as file:
            file.write(content.encode())
            file.truncate()

    def status(self) -> dict[str, Any]:
        """What ``status.json`` says.

        Raises:
            RunDirectoryError: this is no run directory.
        """
        try:
            status: dict[str, Any] = json.loads((self.path / "status.json").read_bytes())
        except (OSError, ValueError) as error:
            raise RunDirectoryError(f"{self.path} is no run directory: status.json cannot be read ({error})") from None
        return status


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
