"""The speed comparison as Markdown tables, from its lines of results."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np

from benchmarks.contenders import OURS, Contender
from benchmarks.intervals import Estimate, Scores, estimate, median
from benchmarks.tables import markdown

Row = dict[str, Any]
HEADER = (
    "process",
    "rounds",
    "median s",
    "fastest, slowest",
    "updates/s",
    "peak MB",
    "to threshold s",
    "rlrecipe is faster by",
    "rlrecipe, cold, by",
)
FIGURES = ("updates_per_second", "peak_mb", "seconds_to_threshold")
#: Rounds of a session that was not cut short.
WHOLE = 5


def newest(rows: list[Row], card: str) -> list[Row]:
    """Each library's lines of its newest whole session, and rlrecipe's of the same sessions; rounds that count."""
    mine = [row for row in rows if row["card"] == card and row["round"] and "undone" not in row and "peak_mb" in row]
    rounds = defaultdict[tuple[str, str], set[int]](set)
    for row in mine:
        rounds[row["library"], row["session"]].add(row["round"])
    # The last of each library stays.
    last = dict(sorted(rounds, key=lambda one: (min(len(rounds[one]), WHOLE), one[1])))
    shown = {*last.items(), *((OURS.library, session) for session in last.values())}
    return [row for row in mine if (row["library"], row["session"]) in shown]


def contender(row: Row) -> Contender:
    """Who made a line."""
    return Contender(row["library"], row["threads"], row["cold"])


def column(rows: list[Row], who: Contender, name: str = "wall_seconds") -> Scores:
    """One figure of a contender's rounds in its newest session, in their order; NaN where there is none."""
    mine = sorted((row for row in rows if contender(row) == who), key=lambda row: (row["session"], row["round"]))
    return np.array([row[name] for row in mine if row["session"] == mine[-1]["session"]], dtype=np.float64)


def ratio(rows: list[Row], ours: Contender, peer: Contender) -> Estimate | None:
    """How many times faster ``ours`` is: the median of the rounds' ratios, bootstrapped over rounds.

    With few rounds the interval is hardly narrower than their range, and rightly so. None without a round of both.
    """
    its = {(row["session"], row["round"]): row["wall_seconds"] for row in rows if contender(row) == peer}
    mine = {(row["session"], row["round"]): row["wall_seconds"] for row in rows if contender(row) == ours}
    ratios = np.array([its[both] / mine[both] for both in its if both in mine])
    return estimate([ratios], median) if len(ratios) else None


def best(rows: list[Row]) -> list[Contender]:
    """rlrecipe, then each peer at its better number of threads, the fastest first."""
    found = sorted({contender(row) for row in rows}, key=lambda who: float(median(column(rows, who))))
    chosen: dict[tuple[str, bool], Contender] = {}
    for who in found:
        chosen.setdefault((who.library, who.cold), who)
    return sorted(chosen.values(), key=lambda who: who.library != OURS.library)


def faster(rows: list[Row], ours: Contender = OURS) -> dict[Contender, Estimate]:
    """How many times faster rlrecipe is than each peer; of lines of one card."""
    found = {who: ratio(rows, ours, who) for who in best(rows) if who.library != ours.library}
    return {who: estimated for who, estimated in found.items() if estimated is not None}


def table(rows: list[Row], card: str) -> str:
    """The newest session of a card."""
    mine, lines = newest(rows, card), []
    warm, cold = faster(mine), faster(mine, OURS._replace(cold=True))
    for who in best(mine):
        seconds = column(mine, who)
        differs = next((row["differs"] for row in mine if contender(row) == who), None)
        lines.append(
            (
                f"{who}{' (other work: ' + differs + ')' if differs else ''}",
                str(len(seconds)),
                f"{median(seconds):.2f}",
                f"{seconds.min():.2f}, {seconds.max():.2f}",
                *(_median(column(mine, who, name)) for name in FIGURES),
                *(str(ratios.get(who, "")) for ratios in (warm, cold)),
            )
        )
    return markdown(HEADER, lines)


def _median(values: Scores) -> str:
    """The median, and of how many rounds where not all have the figure."""
    known = values[~np.isnan(values)]
    if not len(known):
        return "-"
    return f"{median(known):.4g}" + (f" ({len(known)} of {len(values)})" if len(known) < len(values) else "")
