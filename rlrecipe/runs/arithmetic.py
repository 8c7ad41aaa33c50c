"""How a run computes with the smallest of numbers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rlrecipe.lazy import torch


@contextmanager
def flushing_denormals() -> Iterator[None]:
    """Numbers below 1.2e-38 count as zero, in this thread and those that it starts.

    The gradient of a dead unit is zero, so Adam's averages of it shrink into that range and stay there,
    where a step of the optimizer takes over twenty times as long. Afterwards this thread computes as usual;
    those that it started keep the flag, and those that torch had started before never take it: where a caller
    has used several threads of torch before, they compute with denormals.
    """
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
