"""A trainer of one number, whose every update can be told beforehand."""

from __future__ import annotations

from typing import Any

import torch
from tensordict import TensorDict

from rlrecipe.trainers.trainer import Trainer


def batch(rows: int = 8) -> TensorDict:
    return TensorDict({"x": torch.arange(float(rows)), ("next", "reward"): torch.ones(rows, 1)}, [rows])


def simple(batches: int = 3, **options: Any) -> Trainer:
    """A loss of one number that goes to the mean of ``x``, over batches that are all the same."""
    weight = torch.nn.Parameter(torch.zeros(()))

    def loss(data: Any) -> dict[str, torch.Tensor]:
        return {"loss_square": (data["x"] - weight).square().mean(), "weight": weight.detach().clone()}

    options.setdefault("optimizer", torch.optim.SGD([weight], lr=0.1))
    options.setdefault("total_frames", 8 * batches)
    trainer: Any = Trainer(collector=[batch() for _ in range(batches)], loss_module=loss, **options)
    trainer.weight = weight
    made: Trainer = trainer
    return made


def moved(weight: float, steps: int) -> float:
    for _ in range(steps):
        weight -= 0.1 * 2 * (weight - 3.5)
    return weight
