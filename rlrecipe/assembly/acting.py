"""Which algorithm acts in which space."""

from __future__ import annotations

from typing import Any

from rlrecipe.recipe.errors import ENV, Problem
from rlrecipe.recipe.options import Component
from rlrecipe.recipe.registry import search
from rlrecipe.recipe.traits import AlgorithmTraits


def space_problem(algorithm: Component, space: Any) -> Problem | None:
    """Why an algorithm cannot act in a space of this kind; None if it can."""
    kind = type(space).__name__
    acts_in = AlgorithmTraits.of(algorithm).acts_in
    if kind in acts_in:
        return None
    others = [each.name for each in search("algorithm") if kind in AlgorithmTraits.of(each).acts_in]
    kinds = " and ".join(acts_in)
    message = f"{algorithm.name} acts in {kinds} spaces, but the environment takes {space}"
    cure = f"use {', '.join(others)}" if others else "wrap the environment so that it takes Discrete or Box actions"
    return Problem("E301", ("algorithm",), message, cure, ENV)
