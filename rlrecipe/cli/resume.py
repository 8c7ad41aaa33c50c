"""``rlrecipe resume``: go on with a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rlrecipe.cli import common
from rlrecipe.cli.run import finish


def command(
    path: Annotated[Path, typer.Argument(metavar="RUN_DIR_OR_CHECKPOINT", help="A run, or one of its checkpoints.")],
    overrides: common.Overrides = None,
    horizon: Annotated[
        bool, typer.Option("--horizon", help="Let schedules reach to the new end of a longer run.")
    ] = False,
    without_buffer: Annotated[
        bool,
        typer.Option("--without-buffer", help="Leave out the content of the replay buffer; the level is continue."),
    ] = False,
    imports: common.Imports = None,
    trust_imports: common.TrustImports = False,
    json: common.Json = False,
) -> None:
    """Go on from the newest checkpoint; a finished run is left as it is."""
    from rlrecipe.runs.waiting import choose

    # Before anything imports torch.
    choose()
    from rlrecipe.runs.progress import Display
    from rlrecipe.runs.start import resume

    result = resume(
        path,
        overrides or (),
        horizon=horizon,
        without_buffer=without_buffer,
        imports=imports or (),
        trust_imports=trust_imports,
        display=Display(common.settings.quiet, verbose=common.settings.verbose),
    )
    finish(result)
