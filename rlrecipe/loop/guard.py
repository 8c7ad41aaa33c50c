"""The numerical guard: a run ends at the first number that is not finite, and says which."""

from __future__ import annotations

import math

import numpy as np
import torch

from rlrecipe.errors import Diverged
from rlrecipe.interfaces import Batch, Scalars
from rlrecipe.learning.parameters import Parameters
from rlrecipe.learning.update import finite

CURE = "lower optimizer.lr, set trainer.clip_norm, or check the environment's observations and rewards"


def check_batch(batch: Batch) -> None:
    """Look at what was collected, before anything is learned from it.

    A NaN or an infinity anywhere makes a sum one; a sum of finite numbers that overflows is looked at again.

    Raises:
        Diverged: an entry is not finite.
    """
    numbers = [tensor.numpy() for tensor in batch.values() if tensor.is_floating_point()]
    # In numpy: a sum of the few numbers of one step takes a third of torch's time.
    with np.errstate(all="ignore"):
        if all(math.isfinite(np.add.reduce(each, None)) for each in numbers):
            return
    wrong = [_dotted(key) for key, tensor in batch.items() if not _finite(tensor)]
    if wrong:
        raise diverged(f"in the collected batch: {', '.join(wrong)}")


def check_gradient(gradient: torch.Tensor, metrics: Scalars, parameters: Parameters) -> None:
    """Look at an update's gradient part by part, if it is not finite.

    Raises:
        Diverged: a loss or a part of the gradient is not finite.
    """
    if finite(gradient):
        return
    losses = [f"loss/{name}" for name, value in metrics.items() if not _finite(value)]
    parts = [
        f"gradient of {part.slot}.{part.name}"
        for part, view in zip(parameters.parts, parameters.views(gradient), strict=True)
        if not _finite(view)
    ]
    raise diverged(", ".join(losses + parts) or "the sum of the gradient")


def diverged(what: str) -> Diverged:
    """The error of a run in which ``what`` is not finite."""
    space = " " if what.startswith("in ") else ": "
    return Diverged(f"not finite{space}{what}; {CURE}")


def _finite(tensor: torch.Tensor) -> bool:
    return not tensor.is_floating_point() or bool(torch.isfinite(tensor).all())


def _dotted(key: str | tuple[str, ...]) -> str:
    return key if isinstance(key, str) else ".".join(key)
