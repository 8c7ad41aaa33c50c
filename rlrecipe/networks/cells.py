"""What memories of one cell have in common."""

from __future__ import annotations

import math

from rlrecipe.interfaces import Named
from rlrecipe.lazy import torch


class Cell:
    """One of torch's recurrent cells, under torch's names of its parameters.

    Attributes:
        features: numbers that it gives a step.
        carry: numbers that it remembers.
    """

    def __init__(self, inputs: int, hidden: int, gates: int, states: int) -> None:
        self.inputs, self.gates = inputs, gates
        self.features, self.carry = hidden, states * hidden

    def init(self, generator: torch.Generator) -> dict[str, torch.Tensor]:
        """As torch's cells: even between -1/sqrt(h) and 1/sqrt(h)."""
        hidden, rows = self.features, self.gates * self.features
        bound = 1 / math.sqrt(hidden)
        shapes = {"weight_ih": (rows, self.inputs), "weight_hh": (rows, hidden), "bias_ih": (rows,), "bias_hh": (rows,)}
        return {name: torch.empty(shape).uniform_(-bound, bound, generator=generator) for name, shape in shapes.items()}

    def read(self, params: Named, x: torch.Tensor) -> torch.Tensor:
        """The inputs' share of the gates ``[..., gates * h]``."""
        return torch.nn.functional.linear(x, params["weight_ih"], params["bias_ih"])

    def own(self, params: Named, h: torch.Tensor) -> torch.Tensor:
        """The share of what it gave before ``[B, gates * h]``."""
        return torch.nn.functional.linear(h, params["weight_hh"], params["bias_hh"])
