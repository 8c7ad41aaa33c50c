"""``rlrecipe status``: how far a run is."""

from __future__ import annotations

import json as json_module
import os
import socket
from pathlib import Path
from typing import Annotated, Any

import typer

from rlrecipe.cli import common
from rlrecipe.recipe import shown
from rlrecipe.recipe.errors import printable
from rlrecipe.runs.directory import holder, look_through
from rlrecipe.system.files import MOST_TEXT, open_binary, read

#: How much of the end of metrics.jsonl is read to find its last row.
TAIL = 2**16


def status(run_dir: Path) -> dict[str, Any]:
    """What ``status.json`` says of a run, with its last row of metrics and its size in bytes.

    Raises:
        Stop: the folder is no run directory.
    """
    look_through(run_dir)
    try:
        told = json_module.loads(read(run_dir / "status.json", MOST_TEXT))
    except FileNotFoundError:
        what = "holds no status.json: expected a run directory" if run_dir.is_dir() else "does not exist"
        raise common.Stop(f"{run_dir} {what}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise common.Stop(f"{run_dir / 'status.json'} cannot be read: {error}") from None
    if not isinstance(told, dict):
        raise common.Stop(f"{run_dir / 'status.json'} holds no mapping: expected state and frames")
    row = last_row(run_dir / "metrics.jsonl")
    if told.get("state") == "running":
        # The file is written at checkpoints; the rows know better how far the run is.
        told["frames"] = max(whole(told.get("frames")), whole((row or {}).get("frames")))
        if told.get("host") == socket.gethostname() and not _at_work(run_dir):
            again = shown.command("resume", shown.place(run_dir))
            told["state"] = f"cut short: process {told.get('pid')} is gone; go on with {again}"
    return {**told, "metrics": row, "size_bytes": size(run_dir)}


def whole(value: Any) -> int:
    """A count that a file claims; 0 where it is none."""
    return value if isinstance(value, int) else 0


def _at_work(run_dir: Path) -> bool:
    """Whether a process has the run's lock. The number in ``status.json`` may be another process's by now."""
    try:
        return holder(run_dir) is not None
    except OSError:
        # A lock that cannot be asked proves nothing.
        return True


def last_row(file: Path) -> dict[str, Any] | None:
    """The last complete row of a file of JSON lines."""
    try:
        with open_binary(file, "r") as stream:
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - TAIL))
            lines = stream.read().split(b"\n")
    except OSError:
        return None
    # What follows the last newline is a row that is being written.
    for line in reversed(lines[:-1]):
        try:
            row = json_module.loads(line)
        except (ValueError, RecursionError):
            continue
        return row if isinstance(row, dict) else None
    return None


def size(folder: Path) -> int:
    """Bytes of all files in a folder; those that vanish meanwhile count nothing, one with many names counts once."""
    sizes: dict[tuple[int, int], int] = {}
    for where, _, names in os.walk(folder):
        for name in names:
            try:
                facts = (Path(where) / name).lstat()
            except OSError:
                continue
            sizes[facts.st_dev, facts.st_ino] = facts.st_size
    return sum(sizes.values())


def text(found: dict[str, Any]) -> str:
    """A status for a person."""
    found = {printable(key): printable(value) if isinstance(value, str) else value for key, value in found.items()}
    state = [f"{key}: {found[key]}" for key in ("state", "frames", "updates") if key in found]
    apart = ("state", "frames", "updates", "metrics", "size_bytes", "fork")
    rest = {key: found[key] for key in found if key not in apart}
    lines = [*state, *(f"{key}: {value}" for key, value in rest.items()), *_forked(found.get("fork"))]
    lines.append(f"size: {found['size_bytes'] / 2**20:.1f} MiB")
    row = found["metrics"]
    if row is None:
        lines.append("metrics: none yet")
    else:
        lines.append("last metrics:")
        lines.append(common.table([(printable(key), printable(_number(value))) for key, value in row.items()], "  "))
    return "\n".join(lines)


def _forked(fork: Any) -> list[str]:
    """Where a run that was forked comes from, and what was changed there."""
    if not isinstance(fork, dict):
        return []
    changes = fork.get("changes")
    lines = [f"  {key}: {_change(change)}" for key, change in changes.items()] if isinstance(changes, dict) else []
    return [f"forked from: {fork.get('parent')} at frame {fork.get('frame')}", *lines]


def _change(change: Any) -> str:
    return f"{change[0]} became {change[1]}" if isinstance(change, list) and len(change) == 2 else str(change)


def _number(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else "nan" if value is None else str(value)


def command(
    run_dir: Annotated[Path, typer.Argument(metavar="RUN_DIR", help="A run's folder.")],
    imports: common.Imports = None,
    trust_imports: common.TrustImports = False,
    json: common.Json = False,
) -> None:
    """Print a run's state, frames, last metrics and size."""
    # Accepted as by every command that takes a run; nothing of the run's code is needed here.
    del imports, trust_imports
    found = status(run_dir)
    if json:
        common.print_json(found)
    else:
        common.print_text(text(found))
