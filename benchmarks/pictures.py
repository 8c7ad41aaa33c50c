"""Learning curves as PNG: of run directories, and of the lines of the learning comparison."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.curves import Point
from benchmarks.intervals import Scores, interquartile_mean

#: Where something happened and what the return was there: two arrays of the same length.
Curve = tuple[Scores, Scores]
COLOURS = {"rlrecipe": "tab:blue", "sb3": "tab:orange"}
NAMES = {"rlrecipe": "rlrecipe", "sb3": "stable-baselines3"}
#: Over what part of a run its returns are averaged in a card's picture.
SHARE = 0.05
AXES = (("frames", "frames"), ("seconds", "seconds of training, less waiting for a core"))


def pyplot() -> Any:
    """Matplotlib without a screen."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as drawing

    return drawing


def save(figure: Any, out: Path) -> None:
    """A small file; the same curves give the same bytes with the same matplotlib."""
    from PIL import Image

    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=100, metadata={"Software": None})
    pyplot().close(figure)
    out.parent.mkdir(parents=True, exist_ok=True)
    # 64 colours show all of two hues on white, in a third of the bytes.
    Image.open(drawn).convert("RGB").quantize(64).save(out, optimize=True)


def middle_of(curves: Sequence[Curve], points: int = 200) -> Curve:
    """Interquartile mean over curves, only where every one has points: nothing is made up beyond an end."""
    grid = np.linspace(max(c[0][0] for c in curves), min(c[0][-1] for c in curves), points)
    return grid, interquartile_mean(np.stack([np.interp(grid, *c) for c in curves], axis=-1))


def smoothed(frames: Scores, values: Scores, share: float = SHARE) -> Scores:
    """Each value's mean with those before it, as far back as ``share`` of the run's frames."""
    before = np.searchsorted(frames, frames - share * frames[-1], side="right")
    sums = np.concatenate([[0.0], np.cumsum(values)])
    after = np.arange(1, len(values) + 1)
    return np.asarray((sums[after] - sums[before]) / (after - before))


def draw(panel: Any, curves: Sequence[Curve], colour: str, label: str) -> None:
    """Each curve thin, and their interquartile mean thick if there are several."""
    alone = len(curves) == 1
    for curve in curves:
        panel.plot(*curve, color=colour, alpha=0.3, linewidth=0.8, label=label if alone else None)
    if not alone:
        panel.plot(*middle_of(curves), color=colour, linewidth=2.2, label=label)


def read_curve(run_dir: Path, key: str) -> Curve:
    """Frames and values of one column of ``metrics.jsonl``, where it has a number."""
    points = []
    for line in (run_dir / "metrics.jsonl").read_text().splitlines():
        row = json.loads(line)
        if row.get(key) is not None:
            points.append((row["frames"], row[key]))
    both = np.array(points, dtype=np.float64).reshape(-1, 2)
    return both[:, 0], both[:, 1]


def plot_curves(groups: Mapping[str, list[Path]], out: Path) -> None:
    """Writes a PNG with a panel per recipe: each run directory thin, their interquartile mean thick.

    Raises:
        ValueError: no run of a recipe has logged an episode yet.
    """
    figure, panels = pyplot().subplots(
        1, len(groups), figsize=(5.5 * len(groups), 3.8), squeeze=False, layout="constrained"
    )
    for panel, (name, run_dirs) in zip(panels[0], groups.items(), strict=True):
        curves = [curve for run in run_dirs if len((curve := read_curve(run, "train/episode_return"))[0])]
        if not curves:
            raise ValueError(f"no run of {name} has logged train/episode_return")
        draw(panel, curves, "tab:blue", "one run" if len(curves) == 1 else f"IQM of {len(curves)} runs")
        for number, run in enumerate(run_dirs):
            frames, values = read_curve(run, "eval/episode_return_mean")
            label = "evaluation" if number == 0 and len(frames) else None
            panel.plot(frames, values, "o", color="tab:orange", markersize=3, label=label)
        panel.set(title=name, xlabel="frames", ylabel="episode return")
        panel.grid(alpha=0.3)
        panel.legend(loc="lower right")
    save(figure, out)


def plot_card(runs: Mapping[str, Sequence[Sequence[Point]]], out: Path) -> None:
    """Writes a PNG of one card: returns against frames and against seconds, the libraries over each other.

    Args:
        runs: the curves of each library, one a seed, with a point at least.
        out: the file.
    """
    figure, panels = pyplot().subplots(1, len(AXES), figsize=(9.0, 3.2), sharey=True, layout="constrained")
    for panel, (field, label) in zip(panels, AXES, strict=True):
        column = Point._fields.index(field)
        for library, curves in runs.items():
            arrays = [np.array(curve, dtype=np.float64) for curve in curves]
            pairs = [(array[:, column], smoothed(array[:, 0], array[:, -1])) for array in arrays]
            draw(panel, pairs, COLOURS[library], f"{NAMES[library]}, {len(pairs)} seed{'s' * (len(pairs) > 1)}")
        panel.set(xlabel=label)
        panel.set_xlim(left=0)
        panel.locator_params(axis="x", nbins=5)
        panel.xaxis.set_major_formatter("{x:,.0f}")
        panel.grid(alpha=0.3)
    panels[0].set(ylabel="return of training episodes")
    panels[0].legend(loc="best", fontsize="small")
    save(figure, out)
