"""What explorations of continuous actions share."""

from __future__ import annotations

from typing import Any

from rlrecipe.lazy import gymnasium


def fits(space: gymnasium.Space[Any]) -> str | None:
    """Why noise cannot be added to the actions of a space, or None."""
    if isinstance(space, gymnasium.spaces.Box):
        return None
    return f"noise is added to Box actions, not to those of {space}; use egreedy"
