"""Spaces as JSON, so that a policy can be loaded where its environment is not installed."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces


def space_to_json(space: Any) -> dict[str, Any]:
    """A Box or Discrete space as JSON.

    Raises:
        TypeError: the space is of another kind.
    """
    if isinstance(space, spaces.Discrete):
        return {"type": "Discrete", "n": int(space.n), "start": int(space.start)}
    if isinstance(space, spaces.Box):
        bounds = {side: [repr(float(x)) for x in getattr(space, side).ravel()] for side in ("low", "high")}
        for side, values in bounds.items():
            # An image's bounds are one number, not a hundred thousand.
            if len(set(values)) == 1:
                bounds[side] = values[:1]
        return {"type": "Box", "shape": list(space.shape), "dtype": str(space.dtype), **bounds}
    raise TypeError(f"a policy's space is Box or Discrete, not {space}")


def space_from_json(data: dict[str, Any]) -> Any:
    """The space that ``space_to_json`` described."""
    if data["type"] == "Discrete":
        return spaces.Discrete(data["n"], start=data["start"])
    shape, dtype = tuple(data["shape"]), np.dtype(data["dtype"])
    bounds = [np.resize(np.array([float(x) for x in data[side]]), shape).astype(dtype) for side in ("low", "high")]
    return spaces.Box(bounds[0], bounds[1], shape, dtype.type)
