"""Observations as other arrays: functions of a space, each with the function of what lies in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.wrappers import TransformObservation

Env = gymnasium.Env[Any, Any]
Space = spaces.Space[Any]
Change = Callable[[np.ndarray], np.ndarray]


def changed_boxes(env: Env, wanted: Callable[[spaces.Box], bool], change: Change) -> Env:
    """``env`` with every array that is ``wanted`` changed, those in a dict or tuple among them.

    Raises:
        ValueError: no array is wanted.
    """
    found: list[Space] = []

    def space_of(space: Space) -> Space:
        if isinstance(space, spaces.Dict):
            return spaces.Dict({key: space_of(part) for key, part in space.spaces.items()})
        if isinstance(space, spaces.Tuple):
            return spaces.Tuple([space_of(part) for part in space.spaces])
        if isinstance(space, spaces.Box) and wanted(space):
            found.append(space)
            low, high = change(space.low), change(space.high)
            return spaces.Box(low, high, dtype=low.dtype.type)
        return space

    def apply(space: Space, observation: Any) -> Any:
        if isinstance(space, spaces.Dict):
            return {key: apply(part, observation[key]) for key, part in space.spaces.items()}
        if isinstance(space, spaces.Tuple):
            return tuple(apply(part, one) for part, one in zip(space.spaces, observation, strict=True))
        return change(np.asarray(observation)) if any(space is one for one in found) else observation

    inner = env.observation_space
    outer = space_of(inner)
    if not found:
        raise ValueError(f"the environment observes nothing to change: {inner}")
    return TransformObservation(env, lambda observation: apply(inner, observation), outer)


def is_picture(space: spaces.Box) -> bool:
    """Whether an array is a picture as environments give it: ``(H, W)`` or ``(H, W, C)`` of bytes."""
    return space.dtype == np.uint8 and (len(space.shape) == 2 or (len(space.shape) == 3 and space.shape[2] <= 4))
