"""What all algorithms share: defaults of their interface, and checks of the networks in their recipes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from rlrecipe.interfaces import Scalars, Target
from rlrecipe.lazy import torch
from rlrecipe.recipe.errors import Problem

if TYPE_CHECKING:
    from rlrecipe.recipe.schema import Recipe


class Plain:
    """An algorithm without target networks, scheduled numbers or parameters of its own."""

    coefficients: Mapping[str, Any] = {}
    targets: tuple[str, ...] = ()
    target: Target | None = None

    def init(self) -> dict[str, dict[str, torch.Tensor]]:
        """No parameters of its own."""
        return {}

    def stop(self, metrics: Scalars) -> bool | torch.Tensor:
        """Never ends a batch's updates early."""
        return False


def flat(observation: torch.Tensor) -> torch.Tensor:
    """Observations as rows of numbers ``[B, n]``."""
    return observation.reshape(len(observation), -1)


def check_networks(recipe: Recipe) -> Iterable[Problem]:
    """What in the networks an algorithm of this version has no use for."""
    name, traits = recipe.algorithm.component.name, recipe.algorithm.component.traits
    acting = traits.get("acts", "policy")
    for slot, network in recipe.networks.items():
        if getattr(network, "inputs", None) is not None:
            yield Problem(
                "E302",
                ("networks", slot, "inputs"),
                f"this version of {name} reads the whole observation",
                "remove inputs, and flatten a dict observation with the transform flatten_observation",
            )
        if slot != acting and getattr(network, "distribution", None) is not None:
            yield Problem(
                "E302",
                ("networks", slot, "distribution"),
                f"only the {acting} network has a distribution; {slot} gives values",
                f"remove networks.{slot}.distribution",
            )
    yield from _check_distribution(recipe, acting)
    for slot in ("encoder", "memory"):
        if slot in recipe.networks:
            yield Problem("E302", ("networks", slot), f"this version of {name} has no {slot} before its networks",
                          f"remove networks.{slot}")  # fmt: skip


def _check_distribution(recipe: Recipe, acting: str) -> Iterable[Problem]:
    """Whether the acting network's distribution gives what the algorithm needs of it."""
    algorithm = recipe.algorithm.component
    distribution = getattr(recipe.networks.get(acting), "distribution", None)
    if distribution is None:
        return
    needs, gives = algorithm.traits.get("needs"), distribution.component.traits.get("gives")
    if needs is None or gives is None or needs in gives(distribution):
        return
    usual = " or ".join(json.dumps(each).replace('"', "") for each in algorithm.traits["acts_in"].values())
    message = f"{algorithm.name} needs {needs}, which {distribution.component.name} does not give"
    yield Problem("E302", ("networks", acting, "distribution"), message, f"remove it: {usual} is the default")
