"""``rlrecipe`` as whole processes, as a user starts them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Ended:
    """How a process ended: its exit code (negative: the signal that killed it) and what it wrote."""

    code: int
    out: str
    err: str


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
        [sys.executable, "-m", "rlrecipe", *map(str, words)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), **(env or {})},
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        text=True,
    )
    return Ended(done.returncode, done.stdout, done.stderr)
