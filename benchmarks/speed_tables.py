"""The speed comparison as Markdown and pictures, from its lines of results."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.contenders import Contender
from benchmarks.intervals import Estimate, Scores, estimate, median
from benchmarks.tables import markdown
from benchmarks.work import SPEED

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
)


def newest(rows: list[Row], card: str) -> list[Row]:
    """Lines of a card's newest session of each library, in rounds that count, of processes that did the work."""
    mine = [row for row in rows if row["card"] == card and row["round"] and "undone" not in row and "peak_mb" in row]
    last = {row["library"]: row["session"] for row in sorted(mine, key=lambda row: row["session"])}
    return [row for row in mine if row["session"] == last[row["library"]]]


def contender(row: Row) -> Contender:
    """Who made a line."""
    return Contender(row["library"], row["threads"], row["cold"])


def column(rows: list[Row], who: Contender, name: str = "wall_seconds") -> Scores:
    """One figure of a contender's rounds, in their order."""
    mine = sorted((row for row in rows if contender(row) == who), key=lambda row: int(row["round"]))
    return np.array([row[name] for row in mine if row[name] is not None], dtype=np.float64)


def ratio(rows: list[Row], ours: Contender, peer: Contender) -> Estimate:
    """How many times faster ``ours`` is: the median of the rounds' ratios, bootstrapped over rounds.

    With few rounds the interval is hardly narrower than their range, and rightly so.
    """
    mine, its = column(rows, ours), column(rows, peer)
    rounds = min(len(mine), len(its))
    return estimate([its[:rounds] / mine[:rounds]], median)


def best(rows: list[Row]) -> list[Contender]:
    """rlrecipe, then each peer at its better number of threads, the fastest first."""
    found = sorted({contender(row) for row in rows}, key=lambda who: float(median(column(rows, who))))
    chosen: dict[tuple[str, bool], Contender] = {}
    for who in found:
        chosen.setdefault((who.library, who.cold), who)
    return sorted(chosen.values(), key=lambda who: who.library != "rlrecipe")


def table(rows: list[Row], card: str) -> str:
    """The newest session of a card."""
    mine = newest(rows, card)
    lines = []
    for who in best(mine):
        seconds = column(mine, who)
        differs = next((row["differs"] for row in mine if contender(row) == who), None)
        faster = "" if who.library == "rlrecipe" else str(ratio(mine, Contender("rlrecipe", 0), who))
        lines.append(
            (
                f"{who}{' (other work: ' + differs + ')' if differs else ''}",
                str(len(seconds)),
                f"{median(seconds):.2f}",
                f"{seconds.min():.2f}, {seconds.max():.2f}",
                _median(column(mine, who, "updates_per_second")),
                _median(column(mine, who, "peak_mb")),
                _median(column(mine, who, "seconds_to_threshold")),
                faster,
            )
        )
    return markdown(HEADER, lines)


def _median(values: Scores) -> str:
    return f"{median(values):.4g}" if len(values) else "-"


def page(rows: list[Row]) -> str:
    """The page of all cards."""
    lines = ["# Speed", "", INTRODUCTION]
    for card, speed in SPEED.items():
        mine = newest(rows, card)
        if not mine:
            continue
        counts = speed.counts
        lines += [
            "",
            f"## {card}",
            "",
            f"{speed.card.env_id}: {counts['frames']:,} frames, {counts['updates']:,} updates of "
            f"{counts['minibatch']} rows, {counts['parameters']:,} parameters, float32; {speed.work.source}. "
            f"Machine: {mine[-1]['machine']}.",
            "",
            table(rows, card),
        ]
        undone = {row["library"]: row["undone"] for row in rows if row["card"] == card and "undone" in row}
        lines += ["", *(f"- {library} is not here: {reason}" for library, reason in undone.items())]
    return "\n".join(lines).rstrip() + "\n"


INTRODUCTION = """\
Whole processes, from their start to their weights on disk, on the same work: each library's own counts of frames,
updates, rows of an update and learned numbers are compared with the card's. Rounds are interleaved (rlrecipe, then each
peer with 1 and with 2 threads), a peer stands at the better of its thread numbers, ratios are medians over rounds with
95 % bootstrap intervals. "cold" is rlrecipe with an empty cache: it compiles its updates first. "updates/s" is of the
last four fifths of a run, collecting included. Made by `make bench`; every process is a line of
`benchmarks/results/speed.jsonl`."""
