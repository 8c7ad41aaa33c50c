"""Whether a recipe's batches and replay buffer fit into what is free."""

from __future__ import annotations

import os
import shutil
import tempfile
from math import prod
from pathlib import Path
from typing import Any

import gymnasium

from rlrecipe.environments import Spaces
from rlrecipe.recipe.errors import Problem
from rlrecipe.recipe.schema import Recipe

#: Bytes of a number in a batch, and of a row's flags.
NUMBER, FLAGS = 4, 3
#: How much of what is free a cure asks for: other things need memory, too.
SHARE = 0.8


def memory_problems(recipe: Recipe, spaces: Spaces) -> list[Problem]:
    """Batches or a buffer that do not fit, with the arithmetic and a way out (E303)."""
    if not isinstance(spaces.observation, gymnasium.spaces.Box):
        return []
    row = row_bytes(spaces)
    return [*_batch(recipe, row), *_buffer(recipe, row)]


def row_bytes(spaces: Spaces) -> int:
    """Bytes of one transition: two observations, the action, the reward and flags."""
    discrete = isinstance(spaces.action, gymnasium.spaces.Discrete)
    action = 8 if discrete else NUMBER * prod(spaces.action.shape or (1,))
    return int(2 * NUMBER * prod(spaces.observation.shape) + action + NUMBER + FLAGS)


def _batch(recipe: Recipe, row: int) -> list[Problem]:
    frames, there = getattr(recipe.collector, "frames_per_batch", 0), free_memory()
    if frames * row <= there:
        return []
    message = f"a batch of {frames} frames x {row} bytes needs {_gib(frames * row)}; {_gib(there)} are free"
    cure = f"make collector.frames_per_batch {int(SHARE * there) // row} or less"
    return [Problem("E303", ("collector", "frames_per_batch"), message, cure)]


def _buffer(recipe: Recipe, row: int) -> list[Problem]:
    storage: Any = getattr(recipe.replay_buffer, "storage", None)
    size = getattr(storage, "max_size", None)
    if size is None:
        return []
    on_disk = hasattr(storage, "scratch_dir")
    there = free_disk(storage.scratch_dir) if on_disk else free_memory()
    # A run of fewer frames fills no more than these.
    rows = min(size, recipe.trainer.total_frames or size)
    if rows * row <= there:
        return []
    where = "on the disk of storage.scratch_dir" if on_disk else "of memory"
    message = f"a buffer of {rows} rows x {row} bytes needs {_gib(rows * row)}; {_gib(there)} {where} are free"
    fits = int(SHARE * there) // row
    cure = f"make max_size {fits} or less" + ("" if on_disk else ", or storage: {name: memmap}, which lies on disk")
    return [Problem("E303", ("replay_buffer", "storage", "max_size"), message, cure)]


def free_memory() -> int:
    """Bytes of memory that nobody uses, caches of files aside, which make room."""
    try:
        with Path("/proc/meminfo").open() as file:
            facts = dict(line.split(":", 1) for line in file)
        return int(facts["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def free_disk(folder: str | None) -> int:
    """Free bytes where scratch files go."""
    return shutil.disk_usage(folder or tempfile.gettempdir()).free


def _gib(size: float) -> str:
    return f"{size / 2**30:.1f} GiB"
