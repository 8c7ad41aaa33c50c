"""``rlrecipe evaluate``: run episodes with a trained policy."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from rlrecipe.cli import common
from rlrecipe.recipe.shown import counted, number


def _changes(pairs: list[str]) -> dict[str, Any]:
    from rlrecipe.recipe.errors import RecipeError
    from rlrecipe.recipe.merge import EMPTY, merge
    from rlrecipe.recipe.overrides import override

    layers, problems = [], []
    for pair in pairs:
        node, wrong = override(pair)
        layers += [node] if node is not None else []
        problems += wrong
    if problems:
        raise RecipeError(problems)
    return merge(layers, EMPTY)[0].data() if layers else {}


def command(
    path: Annotated[Path, typer.Argument(metavar="RUN_DIR_OR_CHECKPOINT", help="A run, or one of its checkpoints.")],
    best: Annotated[bool, typer.Option("--best", help="The run's best checkpoint, not its newest.")] = False,
    episodes: Annotated[int, typer.Option("-n", "--episodes", min=1, help="How many episodes.")] = 10,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Of the episodes; default the run's.")] = None,
    stochastic: Annotated[bool, typer.Option("--stochastic", help="Draw actions, as training does.")] = False,
    env: Annotated[
        list[str] | None, typer.Option("--env", metavar="KEY=VALUE", help="Change an option of env.")
    ] = None,
    video: Annotated[Path | None, typer.Option("--video", metavar="FILE.mp4", help="The first episode as mp4.")] = None,
    imports: common.Imports = None,
    trust_imports: common.TrustImports = False,
    json: common.Json = False,
) -> None:
    """Run whole episodes with raw rewards, frozen statistics and fixed seeds."""
    from rlrecipe.runs.evaluate import evaluate
    from rlrecipe.runs.load_policy import load_policy

    changes = _changes(env or [])
    policy = load_policy(path, best=best, imports=imports or (), trust_imports=trust_imports)
    with common.stoppable() as signals:
        report = evaluate(
            policy,
            episodes,
            seed=seed,
            deterministic=not stochastic,
            changes=changes,
            video=video,
            interrupted=lambda: signals.received is not None,
            say=lambda line: common.complain(f"warning: {line}"),
        )
    if common.settings.json:
        common.print_json(report)
        return
    common.print_text(text(report))


def text(report: dict[str, Any]) -> str:
    """A report for a person; one episode has no deviation and no interval."""
    mean, std, interval = report["return_mean"], report["return_std"], report["return_ci95"]
    length = number(report["length_mean"], decimals=1)
    deviation = f" +- {number(std, mean)}" if report["episodes"] > 1 else ""
    if interval is not None:
        low, high = (number(end, mean) for end in interval)
        length = f"(95 % interval of the mean {low} to {high}), length {length}"
    else:
        length = f"of length {length}"
    return (
        f"return {number(mean, std)}{deviation} over {counted(report['episodes'], 'episode')} {length}, "
        f"seed {report['seed']}, checkpoint {report['checkpoint']}"
    )
