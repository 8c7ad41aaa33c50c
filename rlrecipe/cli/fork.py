"""``rlrecipe fork``: a new run from the state of another one, with some options changed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rlrecipe.cli import common
from rlrecipe.cli.run import finish


def command(
    path: Annotated[Path, typer.Argument(metavar="RUN_DIR_OR_CHECKPOINT", help="A run, or one of its checkpoints.")],
    at: Annotated[
        int | None,
        typer.Option("--at", metavar="FRAME", min=0, help="Take the newest checkpoint at or before this frame."),
    ] = None,
    overrides: common.Overrides = None,
    run_dir: Annotated[
        Path | None, typer.Option("--run-dir", metavar="DIR", help="Where; default runs/<name>/<time>-<id>.")
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option("--seed", help="Short for -s seed=N: random streams begin anew, and episodes with them."),
    ] = None,
    horizon: Annotated[
        bool, typer.Option("--horizon", help="Let schedules reach to the new end of a longer run.")
    ] = False,
    imports: common.Imports = None,
    trust_imports: common.TrustImports = False,
    json: common.Json = False,
) -> None:
    """Go on from a run's checkpoint in a new run, with all of it and any option changed that the state still fits."""
    if seed is not None:
        overrides = [*(overrides or []), f"seed={seed}"]
    from rlrecipe.runs.waiting import choose

    # Before anything imports torch.
    choose()
    from rlrecipe.runs.fork import fork
    from rlrecipe.runs.progress import Display

    result = fork(
        path,
        overrides or (),
        at=at,
        run_dir=run_dir,
        horizon=horizon,
        imports=imports or (),
        trust_imports=trust_imports,
        display=Display(common.settings.quiet, verbose=common.settings.verbose),
    )
    finish(result)
