"""Where a run comes from: command, versions, code, machine."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from rlrecipe.assembly.resolve import Compiling
from rlrecipe.machine import cores, cpu_model
from rlrecipe.recipe.secrets import masked_arguments
from rlrecipe.system.files import MOST_TEXT, read

PACKAGES = ("rlrecipe", "torch", "numpy", "gymnasium", "mujoco", "box2d", "pydantic", "safetensors")


@cache
def _versions() -> dict[str, str]:
    """As ``versions``; read once, since it costs more than the rest of a small checkpoint."""
    found = {"processor": cpu_model() or platform.processor(), "python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = _version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def _version(package: str) -> str:
    """The version of an installed package, by its first lines: parsing all of torch's takes as long as a checkpoint.

    Raises:
        PackageNotFoundError: it is not installed.
    """
    installed = metadata.distribution(package)
    for line in (installed.read_text("METADATA") or "").partition("\n\n")[0].splitlines():
        if line.startswith("Version: "):
            return line.removeprefix("Version: ").strip()
    return installed.version


def versions(threads: int | None = None) -> dict[str, str]:
    """Processor, Python and the installed packages that a run's numbers depend on.

    Args:
        threads: of the run: with them, how many of them have a core here. Libraries may use no more.
    """
    return {**_versions(), **({} if threads is None else {"threads": str(min(threads, cores()))})}


def provenance(seed: int, imported: list[dict[str, Any]], compiling: Compiling, **origin: Any) -> dict[str, Any]:
    """Content of ``provenance.json``; ``origin`` says what the run began with, if with anything.

    It holds nothing of the environment variables: they hold secrets.
    """
    return {
        "argv": masked_arguments(sys.argv),
        "versions": versions(),
        "git": _git(Path.cwd()),
        "hardware": {"machine": platform.machine(), "cpus": os.cpu_count()},
        "platform": platform.platform(),
        "seed": seed,
        "imports": imported,
        "compiling": compiling._asdict(),
        **origin,
    }


def compiling_of(run_dir: Path) -> Compiling | None:
    """What a run said of compiling when it began; None of one that does not keep it."""
    try:
        told = json.loads(read(run_dir / "provenance.json", MOST_TEXT))["compiling"]
        return Compiling(str(told["compile"]), str(told["reason"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _git(folder: Path) -> dict[str, Any] | None:
    def ask(*arguments: str) -> str:
        command = ["git", "-C", str(folder), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=5).stdout.strip()

    try:
        return {
            "commit": ask("rev-parse", "HEAD"),
            "dirty": bool(ask("status", "--porcelain", "--untracked-files=no")),
        }
    except (OSError, subprocess.SubprocessError):
        return None
