"""What every runner counts and reports."""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

STARTED = time.perf_counter()


class Options(NamedTuple):
    """What a runner is asked."""

    card: str
    seed: int
    threads: int
    out: Path


class Counts(NamedTuple):
    """What a library has counted in a run.

    Attributes:
        differs: in what its work differs from the card's, if it does.
        exempt: names of the counts that differ with it.
    """

    frames: int
    updates: int
    minibatch: int
    parameters: int
    differs: str | None = None
    exempt: tuple[str, ...] = ()


class Meter:
    """Times a run from the start of its process, and notes its progress.

    Args:
        frames: of the whole run; about fifty notes are taken.
    """

    def __init__(self, frames: int) -> None:
        self.every, self.next = max(1, frames // 50), 0
        self.progress: list[tuple[int, int, float]] = []
        self.episodes: list[tuple[int, float, float]] = []

    def frame(self, frames: int, updates: Callable[[], int]) -> None:
        """Note where the run is, now and then; ``updates`` is asked only then."""
        if frames >= self.next:
            self.progress.append((frames, updates(), self.seconds))
            self.next = frames + self.every

    def episode(self, frames: int, episode_return: float) -> None:
        """Note a finished training episode."""
        self.episodes.append((frames, self.seconds, episode_return))

    def end(self, frames: int, updates: int) -> None:
        """Note the end of a run, however near the last note is."""
        self.progress.append((frames, updates, self.seconds))

    @property
    def seconds(self) -> float:
        """Since the process started to run Python."""
        return round(time.perf_counter() - STARTED, 3)


def updates_per_second(progress: list[tuple[int, int, float]]) -> float | None:
    """Over the last four fifths of the updates, collecting included: what a long run's speed is."""
    if not progress:
        return None
    last = progress[-1]
    first = next(point for point in progress if point[1] >= last[1] / 5)
    return round((last[1] - first[1]) / (last[2] - first[2]), 1) if last[2] > first[2] else None


def seconds_to(threshold: float | None, episodes: list[tuple[int, float, float]], window: int = 20) -> float | None:
    """When the mean return of ``window`` training episodes first reached a threshold."""
    returns = [episode[2] for episode in episodes]
    for i in range(window, len(returns) + 1):
        if threshold is not None and sum(returns[i - window : i]) / window >= threshold:
            return episodes[i - 1][1]
    return None


def main(run: Callable[[Options, Meter], Counts], packages: tuple[str, ...], frames: Callable[[str], int]) -> None:
    """Parse, run on as many cores as threads, report.

    Args:
        run: trains a card, leaves weights in the folder, and returns what it counted.
        packages: whose versions are reported.
        frames: of a card.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("card")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True, help="folder for the weights")
    given = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        # Not every library takes a number of threads; all of them respect this.
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: given.threads])
    options, meter = Options(given.card, given.seed, given.threads, given.out), Meter(frames(given.card))
    options.out.mkdir(parents=True, exist_ok=True)
    counts = run(options, meter)
    meter.end(counts.frames, counts.updates)
    report = {
        **counts._asdict(),
        "progress": meter.progress,
        "episodes": meter.episodes,
        "versions": {name: version(name) for name in packages},
    }
    print(json.dumps(report))
