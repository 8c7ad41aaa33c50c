"""``rlrecipe run``: train a recipe."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rlrecipe.cli import common
from rlrecipe.recipe.shown import command as command_line
from rlrecipe.recipe.shown import counted, number, place

if TYPE_CHECKING:
    from rlrecipe.runs.training import Result


def command(
    recipe: common.Recipe,
    overrides: common.Overrides = None,
    run_dir: Annotated[
        Path | None, typer.Option("--run-dir", metavar="DIR", help="Where; default runs/<name>/<time>-<id>.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Short for -s seed=N.")] = None,
    go_on: Annotated[bool, typer.Option("--continue", help="Go on with the run in --run-dir if there is one.")] = False,
    init_from: Annotated[
        Path | None,
        typer.Option("--init-from", metavar="CKPT", help="Start from the weights of this run or checkpoint."),
    ] = None,
    imports: common.Imports = None,
    trust_imports: common.TrustImports = False,
    profile: Annotated[
        bool, typer.Option("--profile", help="Show at the end where the time went; the run has it as profile.json.")
    ] = False,
    json: common.Json = False,
) -> None:
    """Train a recipe to the end, or to the next stop."""
    if go_on and run_dir is None:
        raise common.Stop("--continue goes on with the run in a folder; name it with --run-dir DIR")
    if seed is not None:
        overrides = [*(overrides or []), f"seed={seed}"]
    from rlrecipe.runs.waiting import choose

    # Before anything imports torch.
    choose()
    from rlrecipe.runs.progress import Display
    from rlrecipe.runs.start import run

    watch = None
    if profile:
        from rlrecipe.runs.profile import Profile

        watch = Profile()
        watch.go_on("start")
    result = run(
        recipe,
        overrides or (),
        run_dir=run_dir,
        go_on=go_on,
        init_from=init_from,
        imports=imports or (),
        trust_imports=trust_imports,
        display=Display(common.settings.quiet, verbose=common.settings.verbose),
        profile=watch,
    )
    finish(result)


def _return(facts: Mapping[str, Any]) -> str:
    """The final policy's return."""
    if facts["eval_return_mean"] is None:
        return "not evaluated (evaluation.episodes is 0)"
    mean, std, episodes = (facts[f"eval_{name}"] for name in ("return_mean", "return_std", "episodes"))
    deviation = f" +- {number(std, mean)}" if episodes > 1 else ""
    return f"return {number(mean, std)}{deviation} over {counted(episodes, 'episode')} of the final policy"


def finish(result: Result) -> None:
    """Print what a session came to and what can be done next; end with its exit code."""
    outcome, folder = result.outcome, result.run_dir
    trust = ["--trust-imports"] if result.imports else []
    resume = [place(folder), *trust]
    if common.settings.json:
        forked = {"fork": dict(result.fork)} if result.fork else {}
        told = {"run_dir": str(folder), "state": outcome.state, "reason": outcome.reason, **forked}
        common.print_json({**told, **outcome.summary})
    elif outcome.state == "finished" and outcome.summary:
        facts = outcome.summary
        common.print_text(
            f"{outcome.reason}: {counted(facts['frames'], 'frame')}, {counted(facts['updates'], 'update')} in "
            f"{facts['wall_seconds']:.1f} s\n"
            f"{_return(facts)}\n\n"
            f"  {command_line('evaluate', *resume)}\n"
            f"  {command_line('resume', *resume, '-s', *result.longer)}\n"
        )
    elif outcome.state == "stopped":
        common.complain(f"{outcome.reason}; go on with\n\n  {command_line('resume', *resume)}\n")
    if outcome.state == "failed":
        if common.settings.debug and outcome.error is not None:
            raise outcome.error
        common.complain(f"{outcome.reason} (see {folder / 'run.log'})")
    if outcome.code:
        raise typer.Exit(outcome.code)
