"""Pictures of the speed comparison."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmarks.contenders import OURS, PEERS
from benchmarks.pictures import draw, pyplot, save, smoothed
from benchmarks.speed_tables import Row, best, contender, faster

#: Matplotlib's own, in order: a new peer gets the next one.
COLOURS = {library: f"C{i}" for i, library in enumerate((OURS.library, *PEERS))}


def plot_ratios(cards: Mapping[str, list[Row]], out: Path) -> None:
    """Writes a PNG: of each card and library how many times longer it takes than rlrecipe, with its interval.

    Args:
        cards: lines of one session of each library by card.
        out: the file.
    """
    lines = [(card, who, ratio) for card, rows in cards.items() for who, ratio in faster(rows).items()]
    figure, panel = pyplot().subplots(figsize=(9.0, 0.8 + 0.27 * len(lines)), layout="constrained")
    for i, (_, who, ratio) in enumerate(lines):
        colour = COLOURS[who.library]
        panel.plot([ratio.low, ratio.high], [i, i], color=colour, linewidth=3, solid_capstyle="butt", alpha=0.5)
        panel.plot(ratio.value, i, "o", color=colour, markersize=6)
        panel.annotate(
            f"{ratio.value:.1f}", (ratio.high, i), (5, 0), textcoords="offset points", va="center", fontsize="small"
        )
    panel.axvline(1.0, color="black", linewidth=1)
    panel.set_yticks(range(len(lines)), [f"{card}  {who}" for card, who, _ in lines])
    panel.set_ylim(len(lines) - 0.4, -0.6)
    panel.set_xlim(0.0, 1.1 * max([1.0, *(ratio.high for *_, ratio in lines)]))
    panel.set(xlabel="times rlrecipe's wall time, whole processes (median and 95 % interval)")
    panel.grid(axis="x", alpha=0.3)
    save(figure, out)


def plot_returns(rows: list[Row], out: Path) -> None:
    """Writes a PNG: returns of training episodes against seconds since the start of the process.

    Args:
        rows: lines of one card, those of the better number of threads are shown.
        out: the file.
    """
    figure, panel = pyplot().subplots(figsize=(9.0, 3.6), layout="constrained")
    for who in best(rows):
        curves = [np.array(row["curve"], np.float64) for row in rows if contender(row) == who and row["curve"]]
        pairs = [(curve[:, 1], smoothed(curve[:, 0], curve[:, 2])) for curve in curves if len(curve) > 1]
        if pairs and not who.cold:
            draw(panel, pairs, COLOURS[who.library], f"{who}, {len(pairs)} runs")
    panel.set(xlabel="seconds since the process started", ylabel="return of training episodes")
    panel.set_xlim(left=0)
    panel.grid(alpha=0.3)
    panel.legend(loc="best", fontsize="small")
    save(figure, out)
