"""An encoder for each entry of a dict observation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated

from rlrecipe.errors import UnbuildableError
from rlrecipe.interfaces import Encoder, Entry
from rlrecipe.lazy import torch
from rlrecipe.networks.base import NetworkOptions, encoder_builder, width_of
from rlrecipe.networks.fed import inner, outer
from rlrecipe.recipe.asked import distribution_of, inputs_of
from rlrecipe.recipe.errors import Path, Problem
from rlrecipe.recipe.options import Options, option
from rlrecipe.recipe.registry import register
from rlrecipe.recipe.slots import Slot
from rlrecipe.recipe.traits import NetworkTraits

if TYPE_CHECKING:
    from rlrecipe.recipe.schema import Recipe


class PerKeyOptions(NetworkOptions):
    """Encode each entry of a dict observation by a network of its own; their features stand side by side."""

    keys: dict[str, Annotated[Options, Slot("network")]] = option(
        ...,
        "The encoder of each entry: conv, nature_cnn, mlp, one_hot; others are left out.",
        min_length=1,
    )


class PerKey:
    """Encoders by key, their features joined in the order of the alphabet, whatever order a recipe has."""

    def __init__(self, encoders: Mapping[str, Encoder]) -> None:
        self.encoders = dict(sorted(encoders.items()))
        self.features = sum(encoder.features for encoder in encoders.values())

    def init(self, generator: torch.Generator) -> dict[str, torch.Tensor]:
        """First parameters of each encoder, under its key."""
        tensors: dict[str, torch.Tensor] = {}
        for key, encoder in self.encoders.items():
            tensors |= outer(encoder.init(generator), key)
        return tensors

    def __call__(self, params: Mapping[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
        """Features ``[B, features]`` of rows ``[B, columns]``."""
        return torch.cat([encoder(inner(params, key), x) for key, encoder in self.encoders.items()], -1)


def check(recipe: Recipe) -> Iterable[Problem]:
    """What encoders of entries have no use for."""
    for slot, network in recipe.networks.items():
        yield from _unused(network, ("networks", slot))


def _unused(options: Options, path: Path) -> Iterable[Problem]:
    if not isinstance(options, PerKeyOptions):
        return
    for key, network in options.keys.items():
        place = (*path, "keys", key)
        if inputs_of(network) is not None:
            message = f"inside per_key an encoder reads the entry that it stands under, which is {key}"
            yield Problem("E302", (*place, "inputs"), message, "remove it; the key alone says what it reads")
        if distribution_of(network) is not None:
            message = f"the encoder of {key} gives features; the network behind it has the distribution"
            yield Problem("E302", (*place, "distribution"), message, "remove it, or move it to the network that acts")
        yield from _unused(network, place)


@register(
    "network",
    "per_key",
    check=check,
    traits=NetworkTraits(encodes=True, width=lambda options: max(map(width_of, options.keys.values()))),
)
def make_per_key(options: PerKeyOptions, entries: Mapping[str, Entry]) -> Encoder:
    """An encoder for each key.

    Raises:
        UnbuildableError: the observation has no such entry, or an encoder does not fit its own.
    """
    encoders = {}
    for key, network in options.keys.items():
        if key not in entries:
            message = f"the observation has no entry {key!r}; it has {', '.join(entries)}"
            raise UnbuildableError(("keys", key), message, f"name one of {', '.join(entries)}")
        build = encoder_builder(network)
        if build is None:
            message = f"{network.component.name} is no encoder"
            raise UnbuildableError(("keys", key), message, "use conv, nature_cnn, mlp or one_hot")
        try:
            encoders[key] = build(network, {key: entries[key]})
        except UnbuildableError as error:
            raise _within(key, entries[key], network, error) from None
    return PerKey(encoders)


def _within(key: str, entry: Entry, network: Options, error: UnbuildableError) -> UnbuildableError:
    """What an encoder says of the only entry that it is given; there is none to choose instead."""
    if error.path not in ((), ("inputs",)):
        return UnbuildableError(("keys", key, *error.path), str(error), error.cure)
    message = f"{network.component.name} reads an image, but {key} is {entry.shape}" if error.path else str(error)
    return UnbuildableError(("keys", key), message, f"use {'conv or nature_cnn' if entry.pixels else 'mlp or one_hot'}")
