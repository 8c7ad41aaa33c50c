"""Gives memory that torch keeps on the GPU back to it."""

from __future__ import annotations

from typing import Any

from rlrecipe.hooks.base import Hook
from rlrecipe.interfaces import State
from rlrecipe.lazy import torch
from rlrecipe.recipe.options import Options, option
from rlrecipe.recipe.registry import register


class ClearCudaCacheOptions(Options):
    """Give GPU memory that torch keeps for later back, every so many batches; without a GPU nothing happens."""

    interval: int = option(..., "Batches between two times.", gt=0)


class ClearCudaCache(Hook, options=ClearCudaCacheOptions, point="pre_optim_steps"):
    """Empties the cache of torch's CUDA allocator before updates."""

    category = "operation"
    observer = True

    def __init__(self, *values: Any, **named: Any) -> None:
        super().__init__(*values, **named)
        self.count = 0

    def __call__(self) -> None:
        """Count a batch, and clear the cache when it is time."""
        self.count += 1
        if self.count % self.options.interval == 0:
            # Without a GPU this does nothing.
            torch.cuda.empty_cache()

    def state_dict(self) -> State:
        """Batches so far."""
        return {"count": self.count}

    def load_state_dict(self, state: State) -> None:
        """Go on counting."""
        self.count = state["count"]


@register("hook", "clear_cuda_cache")
def make_clear_cuda_cache(options: ClearCudaCacheOptions) -> ClearCudaCache:
    """A clearing of the cache."""
    return ClearCudaCache.of(options)
