"""Gated recurrent unit."""

from __future__ import annotations

import math
from collections.abc import Mapping

from rlrecipe.interfaces import Memory
from rlrecipe.lazy import torch
from rlrecipe.networks.base import NetworkOptions
from rlrecipe.recipe.options import option
from rlrecipe.recipe.registry import register


class GRUOptions(NetworkOptions):
    """A gated recurrent unit between encoder and networks; it starts empty in every episode."""

    hidden_size: int = option(64, "Numbers that it gives and remembers.", gt=0)


class GRU:
    """torch's GRUCell (Cho et al., 2014): gates r, z, n; its features are what it remembers."""

    def __init__(self, inputs: int, hidden: int) -> None:
        self.inputs, self.features, self.carry = inputs, hidden, hidden

    def init(self, generator: torch.Generator) -> dict[str, torch.Tensor]:
        """As torch's GRUCell: even between -1/sqrt(h) and 1/sqrt(h)."""
        return cell(self.inputs, self.features, 3, generator)

    def read(self, params: Mapping[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
        """The inputs' share of the gates ``[..., 3h]``."""
        return torch.nn.functional.linear(x, params["weight_ih"], params["bias_ih"])

    def step(
        self, params: Mapping[str, torch.Tensor], read: torch.Tensor, carry: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Features ``[B, h]``, twice: they are what is remembered."""
        own = torch.nn.functional.linear(carry, params["weight_hh"], params["bias_hh"])
        (r, z, n), (own_r, own_z, own_n) = read.chunk(3, -1), own.chunk(3, -1)
        update = (z + own_z).sigmoid()
        new = (n + (r + own_r).sigmoid() * own_n).tanh()
        h = new + update * (carry - new)
        return h, h


def cell(inputs: int, hidden: int, gates: int, generator: torch.Generator) -> dict[str, torch.Tensor]:
    """First parameters of a cell with so many gates, under torch's names."""
    bound, rows = 1 / math.sqrt(hidden), gates * hidden
    shapes = {"weight_ih": (rows, inputs), "weight_hh": (rows, hidden), "bias_ih": (rows,), "bias_hh": (rows,)}
    return {name: torch.empty(shape).uniform_(-bound, bound, generator=generator) for name, shape in shapes.items()}


@register("network", "gru", remembers=True)
def make_gru(options: GRUOptions, in_features: int) -> Memory:
    """A GRU over ``in_features`` numbers a step."""
    return GRU(in_features, options.hidden_size)
