"""``rlrecipe`` as whole processes, as a user starts them."""

from __future__ import annotations

import atexit
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO

from tests import forks

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Ended:
    """How a process ended: its exit code (negative: the signal that killed it) and what it wrote."""

    code: int
    out: str
    err: str


@cache
def program() -> Path:
    """A file named ``rlrecipe`` to be run in place of the installed one, by one of these tests.

    It is forked from a process that has imported torch (``tests/forks.py``).
    """
    folder = tempfile.TemporaryDirectory(prefix="forks")
    socket, file = Path(folder.name) / "socket", Path(folder.name) / "rlrecipe"
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.forks", str(socket)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert server.stdin is not None
    assert server.stdout is not None
    assert server.stdout.readline() == b"ready\n"
    words = shlex.join([sys.executable, "-S", "-E", str(Path(forks.__file__).resolve())])
    file.write_text(f'#!/bin/sh\n{forks.VARIABLE}={shlex.quote(str(socket))} exec {words} "$@"\n', encoding="utf-8")
    file.chmod(0o755)

    def end(pipe: IO[bytes] = server.stdin) -> None:
        pipe.close()
        server.wait()
        folder.cleanup()

    atexit.register(end)
    return file


def environment(**changed: str) -> dict[str, str]:
    """This process's environment, in which ``rlrecipe`` is these tests' own, with changes."""
    path = f"{program().parent}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), **changed}


def rlrecipe(
    *words: str | Path,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: str | None = None,
) -> Ended:
    """Run one command of the command line to its end, in a process of its own.

    Args:
        words: the command line after ``rlrecipe``.
        cwd: the folder it runs in.
        env: what differs in its environment.
        stdin: text for its standard input; none by default.
    """
    done = subprocess.run(
        [program(), *map(str, words)],
        cwd=cwd,
        env=environment(**(env or {})),
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        text=True,
    )
    return Ended(done.returncode, done.stdout, done.stderr)
