"""Gated recurrent unit."""

from __future__ import annotations

from rlrecipe.interfaces import Memory, Named
from rlrecipe.lazy import torch
from rlrecipe.networks.base import NetworkOptions
from rlrecipe.networks.cells import Cell
from rlrecipe.recipe.options import option
from rlrecipe.recipe.registry import register
from rlrecipe.recipe.traits import NetworkTraits


class GRUOptions(NetworkOptions):
    """A gated recurrent unit between encoder and networks; it starts empty in every episode."""

    hidden_size: int = option(64, "Numbers that it gives and remembers.", gt=0)


class GRU(Cell):
    """torch's GRUCell (Cho et al., 2014): gates r, z, n; its features are what it remembers."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__(inputs, hidden, gates=3, states=1)

    def step(self, params: Named, read: torch.Tensor, carry: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Features ``[B, h]``, twice: they are what is remembered."""
        (r, z, n), (own_r, own_z, own_n) = read.chunk(3, -1), self.own(params, carry).chunk(3, -1)
        update = (z + own_z).sigmoid()
        new = (n + (r + own_r).sigmoid() * own_n).tanh()
        h = new + update * (carry - new)
        return h, h


@register("network", "gru", traits=NetworkTraits(remembers=True, width=lambda options: options.hidden_size))
def make_gru(options: GRUOptions, in_features: int) -> Memory:
    """A GRU over ``in_features`` numbers a step."""
    return GRU(in_features, options.hidden_size)
