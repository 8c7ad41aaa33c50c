"""Policies and values once more, in plain torch: what traces are checked against."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional


def mlp(parameters: Mapping[str, Tensor], slot: str, x: Tensor) -> Tensor:
    """A network of two tanh layers."""
    for layer in range(3):
        x = functional.linear(x, parameters[f"{slot}.{layer}.weight"], parameters[f"{slot}.{layer}.bias"])
        x = torch.tanh(x) if layer < 2 else x
    return x


def log_prob_and_entropy(
    parameters: Mapping[str, Tensor], observations: Tensor, actions: Tensor, discrete: bool
) -> tuple[Tensor, Tensor]:
    """Of a categorical policy, or of a normal one with a deviation for all states."""
    head = mlp(parameters, "policy", observations)
    if discrete:
        every = functional.log_softmax(head, -1)
        return every.gather(-1, actions[:, None]).squeeze(-1), -(every.exp() * every).sum(-1)
    log_std = parameters["policy.log_std"]
    distance = (actions - head) / log_std.exp()
    log_density = -0.5 * distance.square() - log_std - 0.5 * math.log(2 * math.pi)
    return log_density.sum(-1), (log_std + 0.5 * math.log(2 * math.pi * math.e)).sum()
