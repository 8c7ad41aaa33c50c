"""What all algorithms share: defaults of their interface, and checks of the networks in their recipes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from rlrecipe.interfaces import Scalars, Target
from rlrecipe.lazy import torch
from rlrecipe.recipe.asked import distribution_of, inputs_of
from rlrecipe.recipe.errors import Problem
from rlrecipe.recipe.options import Options, option
from rlrecipe.recipe.traits import AlgorithmTraits, DistributionTraits, NetworkTraits
from rlrecipe.recipe.values import DISCOUNT

if TYPE_CHECKING:
    from rlrecipe.recipe.schema import Recipe


class DiscountedOptions(Options):
    """Options of algorithms that discount what lies ahead."""

    gamma: float = option(DISCOUNT, "Discount factor: nearer to 1 looks further ahead.", ge=0, le=1)


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
    name, traits = recipe.algorithm.component.name, AlgorithmTraits.of(recipe.algorithm)
    acting = traits.acts
    for slot, network in recipe.networks.items():
        yield from _check_place(slot, network)
        yield from _check_plain(recipe, slot, network) if traits.fragile is not None else ()
        if slot != acting and distribution_of(network) is not None:
            yield Problem(
                "E302",
                ("networks", slot, "distribution"),
                f"only the {acting} network has a distribution; {slot} gives values",
                f"remove networks.{slot}.distribution",
                (("algorithm",),),
            )
    yield from _check_distribution(recipe, acting)
    if "memory" in recipe.networks and not traits.sequences:
        message = f"{name} learns from single steps, and a memory only from several in a row"
        yield Problem("E302", ("networks", "memory"), message, "use ppo, or remove networks.memory", (("algorithm",),))


def _check_place(slot: str, network: Any) -> Iterable[Problem]:
    """Whether a network is of the kind that its slot takes."""
    component = network.component
    traits = NetworkTraits.of(network)
    if slot == "encoder" and not traits.encodes:
        yield Problem(
            "E302", ("networks", slot), f"{component.name} is no encoder", "use conv, nature_cnn, mlp or per_key"
        )
    if (slot == "memory") != traits.remembers:
        cure = "use lstm or gru" if slot == "memory" else f"write networks.memory: {component.name}"
        what = "is no memory" if slot == "memory" else f"is a memory, which stands before {slot}"
        yield Problem("E302", ("networks", slot), f"{component.name} {what}", cure)
    if slot == "memory" and inputs_of(network) is not None:
        yield Problem("E302", ("networks", slot, "inputs"), "a memory reads what the encoder gives, or everything",
                      "remove it, or give the encoder inputs")  # fmt: skip


def _check_plain(recipe: Recipe, slot: str, network: Any) -> Iterable[Problem]:
    """Only networks that read the whole observation themselves fit an algorithm that wraps them in others' modules."""
    fed = slot in ("encoder", "memory") or NetworkTraits.of(network).encodes is True
    if fed or inputs_of(network) is not None:
        path = ("networks", slot) if fed else ("networks", slot, "inputs")
        message = f"{recipe.algorithm.component.name} takes networks that read the whole observation themselves"
        yield Problem("E302", path, message, "remove it; flatten_observation makes one vector of a dict observation")


def _check_distribution(recipe: Recipe, acting: str) -> Iterable[Problem]:
    """Whether the acting network's distribution gives what the algorithm needs of it."""
    algorithm = recipe.algorithm.component
    distribution = distribution_of(recipe.networks.get(acting))
    if distribution is None:
        return
    traits, gives = AlgorithmTraits.of(algorithm), DistributionTraits.of(distribution).gives
    needs = traits.needs
    if needs is None or gives is None or needs in gives(distribution):
        return
    usual = " or ".join(json.dumps(each).replace('"', "") for each in traits.acts_in.values())
    message = f"{algorithm.name} needs {needs}, which {distribution.component.name} does not give"
    cure = f"remove networks.{acting}.distribution: {usual} is the default"
    yield Problem("E302", ("networks", acting, "distribution"), message, cure, (("algorithm",),))
