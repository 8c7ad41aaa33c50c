"""Spaces as JSON, so that a policy can be loaded where its environment is not installed."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces

from rlrecipe.observations import Rows


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


def space_from_json(data: dict[str, Any]) -> Any:
    """The space that ``space_to_json`` described."""
    kind = data["type"]
    if kind == "Rows":
        return Rows(space_from_json(data["origin"]))
    if kind == "Dict":
        # Pairs: a mapping would be sorted by its keys.
        return spaces.Dict([(key, space_from_json(part)) for key, part in data["spaces"]])
    if kind == "Tuple":
        return spaces.Tuple([space_from_json(part) for part in data["spaces"]])
    if kind == "Discrete":
        return spaces.Discrete(data["n"], start=data["start"])
    if kind == "MultiDiscrete":
        return spaces.MultiDiscrete(np.array(data["nvec"]), start=np.array(data["start"]))
    if kind == "MultiBinary":
        return spaces.MultiBinary(data["n"])
    shape, dtype = tuple(data["shape"]), np.dtype(data["dtype"])
    bounds = [np.resize(np.array([float(x) for x in data[side]]), shape).astype(dtype) for side in ("low", "high")]
    return spaces.Box(bounds[0], bounds[1], shape, dtype.type)
