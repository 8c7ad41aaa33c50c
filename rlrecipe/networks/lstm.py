"""Long short-term memory."""

from __future__ import annotations

from collections.abc import Mapping

from rlrecipe.interfaces import Memory
from rlrecipe.lazy import torch
from rlrecipe.networks.base import NetworkOptions
from rlrecipe.networks.gru import cell
from rlrecipe.recipe.options import option
from rlrecipe.recipe.registry import register


class LSTMOptions(NetworkOptions):
    """A long short-term memory between encoder and networks; it starts empty in every episode."""

    hidden_size: int = option(64, "Numbers that it gives, and of each of its two states.", gt=0)


class LSTM:
    """torch's LSTMCell (Hochreiter & Schmidhuber, 1997; Gers et al., 2000): gates i, f, g, o; ``[h, c]`` is carried."""

    def __init__(self, inputs: int, hidden: int) -> None:
        self.inputs, self.features, self.carry = inputs, hidden, 2 * hidden

    def init(self, generator: torch.Generator) -> dict[str, torch.Tensor]:
        """As torch's LSTMCell: even between -1/sqrt(h) and 1/sqrt(h)."""
        return cell(self.inputs, self.features, 4, generator)

    def read(self, params: Mapping[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
        """The inputs' share of the gates ``[..., 4h]``."""
        return torch.nn.functional.linear(x, params["weight_ih"], params["bias_ih"])

    def step(
        self, params: Mapping[str, torch.Tensor], read: torch.Tensor, carry: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Features ``[B, h]`` and ``[h, c]`` after the step."""
        h, c = carry.chunk(2, -1)
        gates = read + torch.nn.functional.linear(h, params["weight_hh"], params["bias_hh"])
        i, f, g, o = gates.chunk(4, -1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        return h, torch.cat([h, c], -1)


@register("network", "lstm", remembers=True)
def make_lstm(options: LSTMOptions, in_features: int) -> Memory:
    """An LSTM over ``in_features`` numbers a step."""
    return LSTM(in_features, options.hidden_size)
