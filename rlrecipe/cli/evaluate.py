"""``rlrecipe evaluate``: run episodes with a trained policy."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from rlrecipe.cli import common


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
    from rlrecipe.runs.policy import load_policy

    changes = _changes(env or [])
    policy = load_policy(path, best=best, imports=imports or (), trust_imports=trust_imports)
    report = evaluate(policy, episodes, seed=seed, deterministic=not stochastic, changes=changes, video=video)
    if common.settings.json:
        common.print_json(report)
        return
    low, high = report["return_ci95"]
    common.print_text(
        f"return {report['return_mean']:.2f} +- {report['return_std']:.2f} over {episodes} episodes "
        f"(95 % interval of the mean {low:.2f} to {high:.2f}), length {report['length_mean']:.1f}, "
        f"seed {report['seed']}, checkpoint {report['checkpoint']}"
    )
