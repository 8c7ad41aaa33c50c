"""The learning comparison as Markdown: what each side reached on each card, and what follows from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from benchmarks.cards import CARDS, Card
from benchmarks.intervals import Scores, estimate, estimate_difference, interquartile_mean
from benchmarks.learning import newest

Row = dict[str, Any]
#: The runs of each card and library, by seed.
Groups = Mapping[tuple[str, str], list[Row]]
PEER, OURS = "sb3", "rlrecipe"
MARGIN = 0.05
HEADER = (
    "card",
    "library",
    "seeds",
    "frames",
    "updates",
    "return: IQM [95 %]",
    "train s",
    "difference [95 %]",
    "verdict",
)


def markdown(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    header = list(header)
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def grouped(rows: Iterable[Row]) -> Groups:
    """The newest run of every task of a known card, those of a card and library together."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for task, row in sorted(newest(rows).items()):
        if task.card in CARDS:
            groups.setdefault((task.card, task.library), []).append(row)
    return groups


def returns_of(runs: Iterable[Row]) -> Scores:
    """``[runs]``: a run's return is the mean of its evaluation's episodes."""
    return np.array([run["eval_return_mean"] for run in runs], dtype=np.float64)


class Verdict(NamedTuple):
    """What the issue's rule says of one card; ``difference`` and its interval are ours minus theirs."""

    difference: str
    words: str


def verdict(ours: Scores, theirs: Scores, random_return: float) -> Verdict:
    """The rule: no lower than theirs by more than 5 % of (theirs - random), or an interval with zero in it."""
    difference = estimate_difference([ours], [theirs])
    # A peer below random leaves no margin, rather than asking for more than it has.
    margin = max(0.0, MARGIN * (float(interquartile_mean(theirs)) - random_return))
    if difference.value >= -margin:
        words = "no lower by more than 5 %"
    elif difference.low <= 0.0 <= difference.high:
        words = "interval contains zero"
    else:
        words = "**lower**"
    return Verdict(str(difference), words)


def judged(card: Card, groups: Groups) -> Verdict:
    """The verdict on one card, or why there is none yet."""
    sides = {library: groups.get((card.name, library), []) for library in card.libraries}
    if card.work is None:
        return Verdict("", "no counterpart")
    if absent := [library for library, runs in sides.items() if not runs]:
        return Verdict("", f"no runs of {absent[0]} yet")
    found = verdict(returns_of(sides[OURS]), returns_of(sides[PEER]), card.random_return)
    words = [found.words]
    if any(len(runs) < card.seeds for runs in sides.values()):
        words.append("so far")
    if _work_of(sides[OURS]) != _work_of(sides[PEER]):
        words.append("work differs")
    return found._replace(words=", ".join(words))


def _work_of(runs: Iterable[Row]) -> set[tuple[int, int]]:
    return {(run["frames"], run["updates"]) for run in runs}


def _distinct(values: Iterable[int]) -> str:
    """What the runs agree on; all of it where they do not."""
    return ", ".join(f"{value:,}" for value in sorted(set(values)))


def results_table(groups: Groups) -> str:
    """A line per card and library that has runs; the verdict stands on the line of ours, or of the only one."""
    lines = []
    for card in CARDS.values():
        present = [library for library in (PEER, OURS) if (card.name, library) in groups]
        for library in present:
            runs = groups[card.name, library]
            found = judged(card, groups) if library == present[-1] else Verdict("", "")
            lines.append(
                (
                    card.name,
                    library,
                    str(len(runs)) if len(runs) >= card.seeds else f"{len(runs)} of {card.seeds}",
                    _distinct(run["frames"] for run in runs),
                    _distinct(run["updates"] for run in runs),
                    str(estimate([returns_of(runs)])),
                    f"{np.median([run['train_seconds'] * run.get('core_share', 1.0) for run in runs]):.1f}",
                    *found,
                )
            )
    return markdown(HEADER, lines)


def together(groups: Groups) -> str:
    """One sentence on all cards that both have run, normalised; empty if there is none."""
    shared = [card for card in CARDS.values() if all((card.name, side) in groups for side in (PEER, OURS))]
    if not shared:
        return ""
    ours, theirs = ([card.normalised(returns_of(groups[card.name, side])) for card in shared] for side in (OURS, PEER))
    return (
        f"All cards that both have run ({len(shared)}) together, on a scale where random is 0 and the published return "
        f"is 1: rlrecipe {estimate(ours)}, stable-baselines3 {estimate(theirs)}, "
        f"difference {estimate_difference(ours, theirs)}."
    )
