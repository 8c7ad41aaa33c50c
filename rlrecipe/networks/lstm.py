"""Long short-term memory."""

from __future__ import annotations

from rlrecipe.interfaces import Memory, Named
from rlrecipe.lazy import torch
from rlrecipe.networks.base import NetworkOptions
from rlrecipe.networks.cells import Cell
from rlrecipe.recipe.options import option
from rlrecipe.recipe.registry import register
from rlrecipe.recipe.traits import NetworkTraits


class LSTMOptions(NetworkOptions):
    """A long short-term memory between encoder and networks; it starts empty in every episode."""

    hidden_size: int = option(64, "Numbers that it gives, and of each of its two states.", gt=0)


class LSTM(Cell):
    """torch's LSTMCell (Hochreiter & Schmidhuber, 1997; Gers et al., 2000): gates i, f, g, o; ``[h, c]`` is carried."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__(inputs, hidden, gates=4, states=2)

    def step(self, params: Named, read: torch.Tensor, carry: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Features ``[B, h]`` and ``[h, c]`` after the step."""
        h, c = carry.chunk(2, -1)
        i, f, g, o = (read + self.own(params, h)).chunk(4, -1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        return h, torch.cat([h, c], -1)


@register("network", "lstm", traits=NetworkTraits(remembers=True, width=lambda options: options.hidden_size))
def make_lstm(options: LSTMOptions, in_features: int) -> Memory:
    """An LSTM over ``in_features`` numbers a step."""
    return LSTM(in_features, options.hidden_size)
