"""What every storage has: its options, and the interface that a replay buffer sees."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Protocol

from rlrecipe.lazy import np
from rlrecipe.recipe.asked import buffer_size, num_envs
from rlrecipe.recipe.errors import Problem
from rlrecipe.recipe.options import Options, option

if TYPE_CHECKING:
    from rlrecipe.recipe.schema import Recipe


class StorageOptions(Options):
    """Base of every storage's options."""

    max_size: int = option(1_000_000, "Rows kept, over all environments; the oldest make room for new ones.", gt=0)


class Storage(Protocol):
    """Gives arrays of zeros that cost memory, or disk, only where they are written."""

    max_size: int

    def allocate(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
        """An array of zeros that stays for the whole run."""


def check(recipe: Recipe) -> Iterable[Problem]:
    """What in a recipe cannot go with a storage's size."""
    size, n = buffer_size(recipe.replay_buffer), num_envs(recipe.env)
    if size is not None and size < n:
        yield Problem(
            "E302",
            ("replay_buffer", "storage", "max_size"),
            f"{size} rows cannot hold one step of {n} environments",
            f"make replay_buffer.storage.max_size {n} or more",
            (("env", "num_envs"),),
        )
