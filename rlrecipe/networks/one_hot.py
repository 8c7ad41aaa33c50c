"""Discrete entries and vectors as they are: choices one-hot, arrays flat."""

from __future__ import annotations

from collections.abc import Mapping

from rlrecipe.interfaces import Encoder, Entry
from rlrecipe.lazy import torch
from rlrecipe.networks.base import NetworkOptions
from rlrecipe.recipe.registry import register
from rlrecipe.recipe.traits import NetworkTraits


class OneHotOptions(NetworkOptions):
    """Take an entry's numbers as they are: of a discrete one a one in the place of its value, of a vector itself."""


class OneHot:
    """The columns of some entries; rows hold discrete ones one-hot already."""

    def __init__(self, entries: Mapping[str, Entry]) -> None:
        self.spans = [(entry.start, entry.stop) for entry in entries.values()]
        self.features = sum(stop - start for start, stop in self.spans)

    def init(self, generator: torch.Generator) -> dict[str, torch.Tensor]:
        """Nothing is learned."""
        return {}

    def __call__(self, params: Mapping[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
        """Features ``[B, features]`` of rows ``[B, columns]``."""
        return torch.cat([x[:, start:stop] for start, stop in self.spans], -1)


@register("network", "one_hot", traits=NetworkTraits(encodes=True, width=lambda options: 0))
def make_one_hot(options: OneHotOptions, entries: Mapping[str, Entry]) -> Encoder:
    """The entries' own numbers."""
    return OneHot(entries)
