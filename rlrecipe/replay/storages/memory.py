"""Rows in main memory."""

from __future__ import annotations

from typing import Any

from rlrecipe.lazy import np
from rlrecipe.recipe.registry import register
from rlrecipe.replay.storages.base import Storage, StorageOptions, check


class MemoryOptions(StorageOptions):
    """Main memory, taken as rows come in: fastest, for what fits."""


class Memory:
    """Arrays of zeros; the system gives each page at its first write."""

    def __init__(self, options: MemoryOptions) -> None:
        self.max_size = options.max_size

    def allocate(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
        """An array of zeros."""
        return np.zeros(shape, dtype)


@register("storage", "memory", check=check)
def make_memory(options: MemoryOptions) -> Storage:
    """Main memory."""
    return Memory(options)
