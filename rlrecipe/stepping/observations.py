"""Observations of several parts as rows of numbers: what networks, buffers and batches are made for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from rlrecipe.interfaces import Entry
from rlrecipe.stepping.packing import Packing

#: What an observation that is one array is called among entries.
WHOLE = "observation"
#: Kinds of spaces whose values are rows of numbers once they are flattened.
FLAT = (spaces.Dict, spaces.Tuple, spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)


class Rows(spaces.Box):
    """The rows that observations of another space become: entry after entry, discrete ones one-hot.

    Args:
        origin: the space of the observations themselves.
    """

    def __init__(self, origin: Any) -> None:
        self.origin = origin
        self.parts: dict[str, Any] = _parts(origin)
        self.entries: dict[str, Entry] = {}
        start = 0
        for key, part in self.parts.items():
            entry = _entry(part, start)
            self.entries[key], start = entry, entry.stop
        boxes = [spaces.flatten_space(part) for part in self.parts.values()]
        low, high = (
            np.concatenate([getattr(box, side) for box in boxes]).astype(np.float32) for side in ("low", "high")
        )
        super().__init__(low, high, (start,), np.float32)

    def row(self, observation: Any) -> np.ndarray:
        """One observation as a row ``[n]``."""
        if isinstance(observation, Mapping):
            values: Mapping[str, Any] = observation
        elif isinstance(self.origin, spaces.Tuple):
            values = {str(i): part for i, part in enumerate(observation)}
        else:
            values = {WHOLE: observation}
        rows = [np.asarray(spaces.flatten(part, values[key]), np.float32) for key, part in self.parts.items()]
        return np.concatenate(rows)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Rows) and bool(self.origin == other.origin)

    # As gymnasium's Box: equal spaces hold arrays, which have no hash.
    __hash__ = None  # type: ignore[assignment]


def _parts(space: Any) -> dict[str, Any]:
    if isinstance(space, spaces.Dict):
        return dict(space.spaces)
    if isinstance(space, spaces.Tuple):
        return {str(i): part for i, part in enumerate(space.spaces)}
    return {WHOLE: space}


def _entry(space: Any, start: int) -> Entry:
    if isinstance(space, spaces.Box):
        return Entry(start, tuple(space.shape), str(space.dtype), pixels=is_pixels(space))
    columns = int(spaces.flatdim(space))
    choices = int(space.n) if isinstance(space, spaces.Discrete) else None
    return Entry(start, (columns,), choices=choices)


def is_pixels(space: Any) -> bool:
    """Whether a space's values are images of bytes from 0 to 255."""
    if not isinstance(space, spaces.Box) or space.dtype != np.uint8 or len(space.shape) < 2:
        return False
    return bool(space.high.max() == 255)


def entries_of(space: Any) -> dict[str, Entry]:
    """The entries of an observation space that is one array."""
    return space.entries if isinstance(space, Rows) else {WHOLE: _entry(space, 0)}


class AsRows(gymnasium.ObservationWrapper):
    """An environment whose observations are rows of numbers."""

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        super().__init__(env)
        self.rows = Rows(env.observation_space)
        self.observation_space = self.rows

    def observation(self, observation: Any) -> np.ndarray:
        """The observation's row."""
        return self.rows.row(observation)


def as_rows(env: gymnasium.Env[Any, Any]) -> gymnasium.Env[Any, Any]:
    """The environment itself where it observes one array, or nothing that can be a row; else one that gives rows."""
    space = env.observation_space
    return AsRows(env) if isinstance(space, FLAT) and _numeric(space) else env


def _numeric(space: Any) -> bool:
    if isinstance(space, spaces.Dict | spaces.Tuple):
        return all(_numeric(part) for part in _parts(space).values())
    return isinstance(space, (spaces.Box, *FLAT))


def packing_of(space: Any, more: int = 0) -> Packing | None:
    """How rows that hold a picture beside other entries are kept; None of any other space.

    Args:
        space: of observations.
        more: numbers that follow an observation in its row, such as a memory's.
    """
    entries = list(entries_of(space).values()) if isinstance(space, Rows) else []
    if not any(entry.pixels for entry in entries):
        return None
    return Packing([*entries, Entry(entries[-1].stop, (more,))] if more else entries)


def dtype_of(space: Any) -> np.dtype[Any]:
    """How observations of a space are kept: images of bytes as they are, a quarter of the memory; else float32."""
    return np.dtype(np.uint8 if is_pixels(space) else np.float32)
