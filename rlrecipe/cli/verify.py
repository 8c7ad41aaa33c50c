"""``rlrecipe verify``: prove that a run is what its recipe computes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rlrecipe.cli import common


def command(
    run_dir: Annotated[Path, typer.Argument(metavar="RUN_DIR", help="A run with two checkpoints or more.")],
    sample: Annotated[int | None, typer.Option("--sample", min=1, help="How many stretches; default all.")] = None,
    imports: common.Imports = None,
    trust_imports: common.TrustImports = False,
    json: common.Json = False,
) -> None:
    """Do stretches between neighbouring checkpoints again and compare the digests of what they lead to."""
    from rlrecipe.runs.reexecute import verify

    found = []
    with common.stoppable() as signals:
        for stretch in verify(run_dir, sample, imports=imports or (), trust_imports=trust_imports):
            if signals.received is not None:
                # What was cut short proves nothing.
                break
            found.append(stretch)
            common.note(f"{stretch.start} .. {stretch.end}: {stretch.difference or 'the same'}")
    differ = [stretch for stretch in found if stretch.difference is not None]
    if json:
        common.print_json({"verified": not differ, "stretches": [vars(stretch) for stretch in found]})
    elif differ:
        common.complain(f"{len(differ)} of {len(found)} stretches differ")
    else:
        common.print_text(f"{len(found)} stretches are the same, digest for digest")
    if differ:
        raise typer.Exit(1)
