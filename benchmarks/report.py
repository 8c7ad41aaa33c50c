"""What was measured, to look at.

``python -m benchmarks.report page``                                      docs/results.md and its pictures
``python -m benchmarks.report curve RUN_DIR... --out docs/curve.png``     learning curves of rlrecipe
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.cards import CARDS
from benchmarks.curves import Point
from benchmarks.learning import RESULTS, read_rows
from benchmarks.pictures import NAMES, SHARE, plot_card, plot_curves
from benchmarks.tables import Groups, Row, grouped, results_table, together

PAGE = Path(__file__).parents[1] / "docs" / "results.md"

HEAD = """<!-- Made by `make results-report`; not edited by hand. -->
# Results

`make results` does the runs that are missing, one line each in `benchmarks/results/learning.jsonl`, and makes this
page from them; `make results-report` only makes the page. The queue can be stopped at any moment and goes on."""

RULES = """## How to read it

- A run's return is the mean over episodes of its final policy without exploration, from the same start states for
  both libraries: {episodes}.
- IQM is the interquartile mean over seeds (a quarter of them, rounded down, dropped at each end); brackets hold the
  95 % percentile bootstrap interval over seeds (20 000 draws, as in rliable). With three seeds nothing is dropped, and
  an interval can hardly be wider than the range of the three: it is too narrow rather than too wide.
- The difference is rlrecipe's IQM minus stable-baselines3's. The verdict is "no lower by more than 5 %" if the
  difference is at least -5 % of (theirs - random), else "interval contains zero" if the difference's interval does,
  else "lower". Random returns: {random}.
- Both sides do the same work, with stable-baselines3's defaults where a recipe says nothing; updates are steps of the
  critic's optimizer, or of the only one. Both take whole batches. "work differs" stands where the counts do not agree.
- Seconds are wall seconds of training times the share of them in which the process had a core (processor seconds
  over wall seconds, at most 1); "train s" is their median. stable-baselines3 has one thread. They are no measure of
  speed: `make bench-speed` is.{load}"""


def _listed(words: Iterable[Any]) -> str:
    """Distinct values in the order of their first appearance."""
    return ", ".join(dict.fromkeys(str(word) for word in words)) or "not recorded"


def origins(rows: list[Row]) -> str:
    """Packages and machines of the runs, as their lines tell."""
    packages = sorted({name for row in rows for name in row.get("versions", {})})
    versions = "; ".join(
        f"{name} {_listed(row['versions'][name] for row in rows if name in row.get('versions', {}))}"
        for name in packages
    )
    machines = _listed(row["machine"] for row in rows if "machine" in row)
    return f"{len(rows)} runs. Versions: {versions}. Machine: {machines}, no GPU used."


def rules(rows: list[Row]) -> str:
    """How to read the table, with the numbers that it rests on."""
    episodes = _listed(f"{card.eval_episodes} on {card.env_id}" for card in CARDS.values())
    random = _listed(f"{card.env_id} {card.random_return:g}" for card in CARDS.values())
    loads = [row["load_before"] for row in rows if "load_before" in row]
    median = np.median(loads or [0.0])
    busy = f"\n- The machine did other work beside: its load before a run was {median:.1f} in the median."
    return RULES.format(episodes=episodes, random=random, load=busy if loads else "")


def curves_of(runs: Iterable[Row]) -> list[list[Point]]:
    """The curves that were kept, with the seconds that the run would have taken alone."""
    return [
        [Point(frames, seconds * run.get("core_share", 1.0), value) for frames, seconds, value in run["curve"]]
        for run in runs
        if run.get("curve")
    ]


def curves_section(groups: Groups, folder: Path) -> str:
    """Draws the picture of every card that has curves and returns the section that shows them."""
    parts = [
        "## Curves",
        f"Returns of training episodes, with exploration, averaged over the {SHARE:.0%} of the run before. "
        "Thin: a seed. Thick: the interquartile mean over seeds.",
    ]
    for card in CARDS.values():
        kept = {side: curves for side in NAMES if (curves := curves_of(groups.get((card.name, side), [])))}
        if not kept:
            continue
        picture = folder / f"{card.name.replace('/', '-')}.png"
        plot_card(kept, picture)
        sides = " and ".join(f"{NAMES[side]} ({len(curves)} seeds)" for side, curves in kept.items())
        alt = f"Learning curves on {card.env_id} against frames and seconds: {sides}."
        parts += [f"### {card.name}", f"![{alt}]({folder.name}/{picture.name})"]
    return "\n\n".join(parts)


def unfinished(groups: Groups) -> str:
    """The runs that the queue still has to do; empty if it is done."""
    lines = []
    for card in CARDS.values():
        for side in card.libraries:
            count = card.seeds - len(groups.get((card.name, side), []))
            if count > 0:
                lines.append(f"- `{card.name}`, {NAMES[side]}: {count} of {card.seeds}")
    return "\n".join(["## Still to run", "", *lines]) if lines else ""


def write_page(results: Path, page: Path) -> None:
    """Makes ``page`` and, in a folder of its name beside it, its pictures."""
    groups = grouped(read_rows(results))
    rows = [row for runs in groups.values() for row in runs]
    sections = [HEAD, origins(rows), results_table(groups), together(groups), rules(rows), unfinished(groups)]
    sections.append(curves_section(groups, page.with_suffix("")))
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text("\n\n".join(section for section in sections if section) + "\n")


def recipe_name(run_dir: Path) -> str:
    """The recipe's name: what belongs together in one curve."""
    import yaml

    recipe = yaml.safe_load((run_dir / "resolved.yaml").read_text())
    return str(recipe.get("name", run_dir.name))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    page = commands.add_parser("page", help="the learning comparison as Markdown with pictures")
    page.add_argument("--results", type=Path, default=RESULTS)
    page.add_argument("--out", type=Path, default=PAGE)
    curve = commands.add_parser("curve", help="learning curves as PNG")
    curve.add_argument("run_dirs", type=Path, nargs="+", metavar="RUN_DIR")
    curve.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    if options.command == "page":
        write_page(options.results, options.out)
        return
    groups: dict[str, list[Path]] = defaultdict(list)
    for run_dir in options.run_dirs:
        groups[recipe_name(run_dir)].append(run_dir)
    plot_curves(groups, options.out)


if __name__ == "__main__":
    main()
