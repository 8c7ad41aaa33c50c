"""An encoder for each entry of a dict observation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from rlrecipe.errors import UnbuildableError
from rlrecipe.interfaces import Encoder, Entry
from rlrecipe.lazy import torch
from rlrecipe.networks.base import NetworkOptions, encoder_builder, width_of
from rlrecipe.networks.fed import inner, outer
from rlrecipe.recipe.options import Options, Slot, option
from rlrecipe.recipe.registry import register


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


@register("network", "per_key", encodes=True, width=lambda options: max(map(width_of, options.keys.values())))
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
            raise UnbuildableError(("keys", key, *error.path), str(error), error.cure) from None
    return PerKey(encoders)
