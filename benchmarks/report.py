"""Tables and pictures of what was measured.

``python -m benchmarks.report table``                                     the learning comparison
``python -m benchmarks.report curve RUN_DIR... --out docs/curve.png``     learning curves of rlrecipe
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.cards import CARDS
from benchmarks.intervals import Scores, estimate, estimate_difference, interquartile_mean
from benchmarks.learning import RESULTS, read_rows

HEADER = (
    "card",
    "library",
    "runs",
    "frames",
    "updates",
    "return: IQM [95 %]",
    "mean",
    "worst, best",
    "train s",
)


def markdown(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    header = list(header)
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _distinct(values: Iterable[Any]) -> str:
    """What the runs agree on; all of it where they do not."""
    return ", ".join(f"{value:,}" for value in sorted(set(values)))


def learning_table(rows: list[dict[str, Any]]) -> str:
    """One line per card and library; the return of a run is its evaluation's mean."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[row["card"], row["library"]].append(row)
    lines = []
    for (card, library), runs in sorted(groups.items()):
        returns = np.array([run["eval_return_mean"] for run in runs])
        lines.append(
            (
                card,
                library,
                str(len(runs)),
                _distinct(run["frames"] for run in runs),
                _distinct(run["updates"] for run in runs),
                str(estimate([returns])),
                f"{returns.mean():.1f}",
                f"{returns.min():.1f}, {returns.max():.1f}",
                f"{np.median([run['train_seconds'] for run in runs]):.1f}",
            )
        )
    return markdown(HEADER, lines)


def comparison_table(rows: list[dict[str, Any]], ours: str = "rlrecipe", peer: str = "sb3") -> str:
    """``ours`` minus ``peer`` for each card that both have run, and over all of these together.

    All together stands on the normalised scale: 0 acts at random, 1 is the zoo's published return.
    """
    returns: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        returns[row["library"]][row["card"]].append(row["eval_return_mean"])
    shared = sorted(set(returns[ours]) & set(returns[peer]))

    def raw(library: str, card: str) -> Scores:
        return np.array(returns[library][card])

    def normalised(library: str) -> list[Scores]:
        return [CARDS[card].normalised(raw(library, card)) for card in shared]

    lines = [(card, str(estimate_difference([raw(ours, card)], [raw(peer, card)]))) for card in shared]
    if shared:
        together = estimate_difference(normalised(ours), normalised(peer))
        lines.append((f"all {len(shared)}, normalised", str(together)))
    return markdown(("card", f"IQM of {ours} minus IQM of {peer} [95 %]"), lines)


def read_curve(run_dir: Path, key: str) -> tuple[Scores, Scores]:
    """Frames and values of one column of ``metrics.jsonl``, where it has a number."""
    points = []
    for line in (run_dir / "metrics.jsonl").read_text().splitlines():
        row = json.loads(line)
        if row.get(key) is not None:
            points.append((row["frames"], row[key]))
    both = np.array(points, dtype=np.float64).reshape(-1, 2)
    return both[:, 0], both[:, 1]


def recipe_name(run_dir: Path) -> str:
    """The recipe's name: what belongs together in one curve."""
    import yaml

    recipe = yaml.safe_load((run_dir / "resolved.yaml").read_text())
    return str(recipe.get("name", run_dir.name))


def plot_curves(groups: Mapping[str, list[Path]], out: Path) -> None:
    """Writes a PNG with a panel per recipe: each run thin, their interquartile mean thick.

    Raises:
        ValueError: no run of a recipe has logged an episode yet.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(
        1, len(groups), figsize=(5.5 * len(groups), 3.8), squeeze=False, layout="constrained"
    )
    for panel, (name, run_dirs) in zip(panels[0], groups.items(), strict=True):
        curves = [curve for run in run_dirs if len((curve := read_curve(run, "train/episode_return"))[0])]
        if not curves:
            raise ValueError(f"no run of {name} has logged train/episode_return")
        for frames, values in curves:
            panel.plot(frames, values, color="tab:blue", alpha=0.35, linewidth=0.9)
        if len(curves) > 1:
            # Only where every run has points: no value is made up beyond a curve's ends.
            grid = np.linspace(max(c[0][0] for c in curves), min(c[0][-1] for c in curves), 200)
            middle = interquartile_mean(np.stack([np.interp(grid, *c) for c in curves], axis=-1))
            panel.plot(grid, middle, color="tab:blue", linewidth=2.2, label=f"IQM of {len(curves)} runs")
        for number, run in enumerate(run_dirs):
            frames, values = read_curve(run, "eval/episode_return_mean")
            label = "evaluation" if number == 0 and len(frames) else None
            panel.plot(frames, values, "o", color="tab:orange", markersize=3, label=label)
        panel.set(title=name, xlabel="frames", ylabel="episode return")
        panel.grid(alpha=0.3)
        if panel.get_legend_handles_labels()[1]:
            panel.legend(loc="lower right")
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=120, metadata={"Software": None})
    pyplot.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    table = commands.add_parser("table", help="the learning comparison as Markdown")
    table.add_argument("--results", type=Path, default=RESULTS)
    curve = commands.add_parser("curve", help="learning curves as PNG")
    curve.add_argument("run_dirs", type=Path, nargs="+", metavar="RUN_DIR")
    curve.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    if options.command == "table":
        rows = read_rows(options.results)
        tables = [learning_table(rows)]
        if {"rlrecipe", "sb3"} <= {row["library"] for row in rows}:
            tables.append(comparison_table(rows))
        print("\n\n".join(tables))
        return
    groups: dict[str, list[Path]] = defaultdict(list)
    for run_dir in options.run_dirs:
        groups[recipe_name(run_dir)].append(run_dir)
    plot_curves(groups, options.out)


if __name__ == "__main__":
    main()
