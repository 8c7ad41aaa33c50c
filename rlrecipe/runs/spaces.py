"""Spaces as JSON, so that a policy can be loaded where its environment is not installed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from gymnasium import spaces

from rlrecipe.stepping.observations import Rows

#: Numbers of a space: more than any picture has.
MOST = 1 << 24


def space_to_json(space: Any) -> dict[str, Any]:
    """A space of arrays and choices, or of several of them, as JSON.

    Raises:
        TypeError: the space is of another kind.
    """
    if isinstance(space, Rows):
        return {"type": "Rows", "origin": space_to_json(space.origin)}
    if isinstance(space, spaces.Dict):
        # A list: JSON's mappings are sorted when they are written, and the order of entries is that of the columns.
        return {"type": "Dict", "spaces": [[key, space_to_json(part)] for key, part in space.spaces.items()]}
    if isinstance(space, spaces.Tuple):
        return {"type": "Tuple", "spaces": [space_to_json(part) for part in space.spaces]}
    if isinstance(space, spaces.Discrete):
        return {"type": "Discrete", "n": int(space.n), "start": int(space.start)}
    if isinstance(space, spaces.MultiDiscrete):
        return {"type": "MultiDiscrete", "nvec": space.nvec.tolist(), "start": space.start.tolist()}
    if isinstance(space, spaces.MultiBinary):
        return {"type": "MultiBinary", "n": space.n if isinstance(space.n, int) else list(space.n)}
    if isinstance(space, spaces.Box):
        bounds = {side: [repr(float(x)) for x in getattr(space, side).ravel()] for side in ("low", "high")}
        for side, values in bounds.items():
            # An image's bounds are one number, not a hundred thousand.
            if len(set(values)) == 1:
                bounds[side] = values[:1]
        return {"type": "Box", "shape": list(space.shape), "dtype": str(space.dtype), **bounds}
    raise TypeError(f"a policy's space is one of arrays and choices, not {space}")


def space_from_json(data: Any) -> Any:
    """The space that ``space_to_json`` described.

    Raises:
        ValueError: it describes none, or one of more numbers than any policy sees.
        TypeError, KeyError: a part of it is of another kind, or missing.
    """
    kind = data["type"]
    if kind == "Rows":
        return Rows(space_from_json(data["origin"]))
    if kind == "Dict":
        # Pairs: a mapping would be sorted by its keys.
        return spaces.Dict([(key, space_from_json(part)) for key, part in data["spaces"]])
    if kind == "Tuple":
        return spaces.Tuple([space_from_json(part) for part in data["spaces"]])
    if kind == "Discrete":
        return spaces.Discrete(_counts(data["n"])[0], start=_whole(data["start"]))
    if kind == "MultiDiscrete":
        return spaces.MultiDiscrete(np.array(data["nvec"], np.int64), start=np.array(data["start"], np.int64))
    if kind == "MultiBinary":
        counts = _counts(data["n"])
        return spaces.MultiBinary(counts if isinstance(data["n"], list) else counts[0])
    if kind != "Box":
        raise ValueError(f"{kind!r} is no space of a policy")
    shape, dtype = tuple(_counts(data["shape"])), np.dtype(str(data["dtype"]))
    if dtype.kind not in "biuf":
        raise ValueError(f"a Box of {dtype} holds no numbers")
    bounds = [np.array([float(x) for x in data[side]]) for side in ("low", "high")]
    if any(len(side) not in (1, math.prod(shape)) for side in bounds):
        raise ValueError(f"a Box of shape {shape} has {len(bounds[0])} and {len(bounds[1])} bounds")
    low, high = (np.resize(side, shape).astype(dtype) for side in bounds)
    return spaces.Box(low, high, shape, dtype.type)


def _whole(value: Any) -> int:
    if type(value) is not int or abs(value) >= 1 << 62:
        raise ValueError(f"{value!r} is no whole number of a space")
    return value


def _counts(value: Any) -> list[int]:
    """One count or several, of no more together than ``MOST``."""
    counts = [_whole(each) for each in (value if isinstance(value, list) else [value])]
    if any(count < 0 for count in counts) or math.prod(counts) > MOST or max(counts, default=0) > MOST:
        raise ValueError(f"{counts} are no counts of a space, which has at most {MOST:,} numbers")
    return counts
