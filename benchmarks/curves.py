"""A run's learning curve: episodes of training, thinned to a few points that fit into its line of results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

POINTS = 200


class Point(NamedTuple):
    """Mean return of the episodes that ended in one window, at the window's last frame."""

    frames: int
    seconds: float
    episode_return: float


def core_share(cpu_seconds: float, wall_seconds: float) -> float:
    """The part of its wall seconds in which a process had a core; 1 for one with several threads on idle cores.

    Wall seconds times this is what they are on a machine that does nothing beside.
    """
    return round(min(1.0, cpu_seconds / wall_seconds), 3)


def thinned(points: Sequence[tuple[int, float, float]], total_frames: int, windows: int = POINTS) -> list[Point]:
    """At most ``windows`` points of equally many frames each; windows without an episode leave none.

    Args:
        points: frames, seconds since training began, return; in the order of time.
        total_frames: frames of the run.
        windows: into how many the run is cut.
    """
    width = max(1.0, total_frames / windows)
    groups: dict[int, list[tuple[int, float, float]]] = {}
    for point in points:
        # The last frame of a window belongs to it.
        groups.setdefault(int(-(-point[0] // width)), []).append(point)
    return [
        Point(int(group[-1][0]), round(float(group[-1][1]), 3), round(float(np.mean([p[2] for p in group])), 4))
        for group in groups.values()
    ]
