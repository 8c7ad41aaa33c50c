"""Rows in files that the system pages in and out."""

from __future__ import annotations

import errno
import math
import mmap
import shutil
import tempfile
from pathlib import Path
from typing import Annotated, Any

from rlrecipe.lazy import np
from rlrecipe.recipe.names import SCRATCH
from rlrecipe.recipe.options import option
from rlrecipe.recipe.registry import register
from rlrecipe.recipe.traits import StorageTraits
from rlrecipe.replay.storages.base import Storage, StorageOptions, check


class MemmapOptions(StorageOptions):
    """Files mapped into memory, for more rows than memory holds; they vanish when the run ends, however it ends."""

    scratch_dir: Annotated[str | None, SCRATCH] = option(
        None,
        "Folder in the system's temporary one, which null takes; TMPDIR in the environment moves it to a fast disk.",
    )


def folder_of(options: MemmapOptions) -> Path:
    """Where the files lie."""
    return Path(tempfile.gettempdir(), options.scratch_dir or "")


class Memmap:
    """Arrays over files without a name: nothing is left of them when the process is gone."""

    def __init__(self, options: MemmapOptions) -> None:
        self.max_size, self.folder = options.max_size, folder_of(options)
        self._bytes = 0

    def allocate(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
        """An array of zeros.

        Raises:
            OSError: there is no such folder, or its disk is too small for all arrays so far.
        """
        if not self.folder.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, "the replay buffer's scratch_dir is no folder", str(self.folder))
        # No file of no bytes can be mapped.
        size = max(1, math.prod(shape) * dtype.itemsize)
        self._bytes += size
        # The files are sparse. Without room for them a later write would end the process with SIGBUS.
        free = shutil.disk_usage(self.folder).free
        if self._bytes > free:
            message = f"the replay buffer needs {_mib(self._bytes)} or more on the disk of {self.folder}; {_mib(free)} "
            raise OSError(errno.ENOSPC, message + "are free: lower storage.max_size or choose another scratch_dir")
        with tempfile.TemporaryFile(dir=self.folder) as file:
            file.truncate(size)
            memory = mmap.mmap(file.fileno(), size)
        return np.ndarray(shape, dtype, buffer=memory)


def _mib(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"


@register("storage", "memmap", check=check, traits=StorageTraits(folder=folder_of))
def make_memmap(options: MemmapOptions) -> Storage:
    """Files mapped into memory."""
    return Memmap(options)
