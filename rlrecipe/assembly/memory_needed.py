"""Whether a recipe's networks, batches and replay buffer fit into what is free."""

from __future__ import annotations

import os
import shutil
from math import prod

import gymnasium

from rlrecipe.assembly.collecting import batches_of_bytes
from rlrecipe.assembly.environments import Spaces
from rlrecipe.assembly.fitted import Fitted
from rlrecipe.machine import free_memory, tightest, total_memory
from rlrecipe.recipe.asked import buffer_size, frames_per_batch, storage_of
from rlrecipe.recipe.errors import ENV, Problem
from rlrecipe.recipe.schema import Recipe
from rlrecipe.recipe.traits import ReplayBufferTraits, StorageTraits
from rlrecipe.stepping.observations import dtype_of, packing_of

#: Bytes of a number in a batch, and of a row's flags.
NUMBER, FLAGS = 4, 3
#: Numbers for each parameter: itself, its gradient, and what optimizers of Adam's kind keep.
COPIES = 4
#: How much of what is free a cure asks for: other things need memory, too.
SHARE = 0.8
OPTION = "replay_buffer.storage.max_size"
#: What makes rows or batches large where nobody wrote how many there are.
OTHERS = (("replay_buffer", "storage"), ("replay_buffer",), ("env", "num_envs"), *ENV)


def memory_problems(fitted: Fitted) -> list[Problem]:
    """Networks, batches or a buffer that do not fit, with the arithmetic and a way out (E303)."""
    recipe, spaces = fitted.given, fitted.spaces
    if not isinstance(spaces.observation, gymnasium.spaces.Box):
        return []
    batch, buffer = row_bytes(spaces, packed=batches_of_bytes(recipe)), row_bytes(spaces)
    return [*_networks(fitted.parameters), *_batch(recipe, batch), *_buffer(recipe, buffer)]


def _networks(count: int) -> list[Problem]:
    there = free_memory()
    if COPIES * NUMBER * count <= there:
        return []
    message = (
        f"networks of {count} parameters, with gradients and averages of the optimizer, need "
        f"{_gib(COPIES * NUMBER * count)}; {_gib(there)} are free{_why()}"
    )
    return [Problem("E303", ("networks",), message, "make their layers smaller", OTHERS)]


def row_bytes(spaces: Spaces, *, packed: bool = True) -> int:
    """Bytes of one transition: two observations, the action, the reward and flags.

    Args:
        spaces: of the environment.
        packed: whether pictures beside other entries are bytes.
    """
    discrete = isinstance(spaces.action, gymnasium.spaces.Discrete)
    action = 8 if discrete else NUMBER * prod(spaces.action.shape or (1,))
    packing = packing_of(spaces.observation) if packed else None
    number = dtype_of(spaces.observation).itemsize
    observation = number * prod(spaces.observation.shape) if packing is None else packing.size
    return int(2 * observation + action + NUMBER + FLAGS)


def _batch(recipe: Recipe, row: int) -> list[Problem]:
    frames, there = frames_per_batch(recipe.collector) or 0, free_memory()
    if frames * row <= there:
        return []
    message = f"a batch of {frames} frames x {row} bytes needs {_gib(frames * row)}; {_gib(there)} are free{_why()}"
    cure = f"make collector.frames_per_batch {int(SHARE * there) // row} or less"
    return [Problem("E303", ("collector", "frames_per_batch"), message, cure, OTHERS)]


def _buffer(recipe: Recipe, row: int) -> list[Problem]:
    storage, size = storage_of(recipe.replay_buffer), buffer_size(recipe.replay_buffer)
    if storage is None or size is None:
        return []
    folder_of = StorageTraits.of(storage).folder
    on_disk = folder_of(storage) if folder_of else None
    if on_disk is not None and not on_disk.is_dir():
        message = f"there is no folder {on_disk} for the rows"
        return [Problem("E102", ("replay_buffer", "storage"), message, "make it, or name another one")]
    if on_disk is not None and not os.access(on_disk, os.W_OK | os.X_OK):
        message = f"the folder {on_disk} for the rows cannot be written"
        return [Problem("E102", ("replay_buffer", "storage"), message, "name another one as scratch_dir")]
    there = shutil.disk_usage(on_disk).free if on_disk else free_memory()
    # A run of fewer frames fills no more than these; but an index is there as a whole from the start.
    rows = min(size, recipe.trainer.total_frames or size)
    place, index = ("replay_buffer", "storage", "max_size"), index_bytes(recipe, size)
    if index > free_memory():
        message = f"the priorities of {size} rows need {_gib(index)} of memory; {_gib(free_memory())} are free{_why()}"
        # The index's bytes for each row are at most twice those of its last power of two.
        fits = min(rows, int(SHARE * free_memory() * size / index / 2))
        cure = f"make {OPTION} {max(1, fits)} or less, or use uniform"
        return [Problem("E303", place, message, cure, OTHERS)]
    where = "on the disk of storage.scratch_dir are free" if on_disk else f"of memory are free{_why()}"
    largest = total_memory()
    if rows * row <= there and (on_disk or size * row <= largest):
        return []
    message = f"a buffer of {rows} rows x {row} bytes needs {_gib(rows * row)}; {_gib(there)} {where}"
    if rows * row <= there:
        message = f"{size} rows x {row} bytes are {_gib(size * row)}, and there are {_gib(largest)} in all{_why()}"
    fits = int(SHARE * there) // row
    cure = f"make {OPTION} {fits} or less" + ("" if on_disk else ", or storage: {name: memmap}, which lies on disk")
    return [Problem("E303", place, message, cure, OTHERS)]


def index_bytes(recipe: Recipe, size: int) -> int:
    """Bytes that a buffer of ``size`` rows takes besides them, from the start."""
    assert recipe.replay_buffer is not None, "a recipe without a buffer has none"
    count = ReplayBufferTraits.of(recipe.replay_buffer).index_bytes
    return count(size) if count else 0


def _why() -> str:
    """Who allows no more memory, if that is not the machine."""
    return f" ({where})" if (where := tightest()) else ""


def _gib(size: float) -> str:
    return f"{size / 2**30:.1f} GiB"
