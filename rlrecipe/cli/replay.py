"""``rlrecipe replay``: do a stretch of a run again, with more logging."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rlrecipe.cli import common


def _range(text: str) -> tuple[int, int]:
    first, colon, last = text.replace("_", "").partition(":")
    try:
        frames = int(first or 0), int(last)
    except ValueError:
        frames = (0, 0)
    if not colon or not 0 <= frames[0] < frames[1]:
        raise common.Stop(f"--frames takes two numbers such as 50000:60000, the first one smaller, not {text!r}")
    return frames


def command(
    run_dir: Annotated[Path, typer.Argument(metavar="RUN_DIR", help="A run with a checkpoint before A.")],
    frames: Annotated[str, typer.Option("--frames", metavar="A:B", help="The stretch, in frames.")],
    hook: Annotated[list[str] | None, typer.Option("--hook", metavar="NAME", help="Add an observer hook.")] = None,
    video: Annotated[bool, typer.Option("--video", help="Also film the policy at the end of the stretch.")] = False,
    imports: common.Imports = None,
    trust_imports: common.TrustImports = False,
    json: common.Json = False,
) -> None:
    """Do a stretch of a run again, bit for bit, with a row for every batch and hooks of your choice."""
    first, last = _range(frames)
    from rlrecipe.runs.reexecute import replay

    with common.stoppable():
        folder = replay(
            run_dir, first, last, hooks=hook or (), video=video, imports=imports or (), trust_imports=trust_imports
        )
    files = sorted(file.name for file in folder.iterdir())
    if json:
        common.print_json({"format": 1, "kind": "replay", "folder": str(folder), "files": files})
        return
    common.print_text(f"{folder}\n" + "\n".join(f"  {file}" for file in files))
