import errno
import gc
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from rlrecipe.recipe.registry import search
from rlrecipe.recipe.slots import Slot
from rlrecipe.replay.storages.base import Storage, check
from rlrecipe.replay.storages.memmap import Memmap, MemmapOptions

FLOAT = np.dtype(np.float32)


def make(name: str, **more: Any) -> Storage:
    options = Slot("storage").read({"name": name, **more})
    storage: Storage = options.component.build(options)
    return storage


@pytest.mark.parametrize("name", [component.name for component in search("storage")])
def test_an_array_of_zeros_that_can_be_written(name: str) -> None:
    storage = make(name, max_size=7)
    assert storage.max_size == 7
    one, other = storage.allocate((5, 2, 3), FLOAT), storage.allocate((4, 0), np.dtype(np.int64))
    assert (one.shape, one.dtype, one.sum(), other.shape) == ((5, 2, 3), FLOAT, 0, (4, 0))
    one[3:] = 2.5
    assert one.sum() == 2.5 * 12
    assert one.flags.c_contiguous
    # A subclass of arrays would make each access slower.
    assert type(one) is np.ndarray


def test_the_default_size() -> None:
    assert make("memory").max_size == make("memmap").max_size == 1_000_000


# -- memmap


def test_no_file_has_a_name(tmp_path: Path) -> None:
    array = make("memmap", scratch_dir=str(tmp_path)).allocate((1000, 10), FLOAT)
    array[:] = 1
    assert list(tmp_path.iterdir()) == []


def mapped_bytes(folder: Path) -> int:
    """Bytes of files of this process in a folder that no longer have a name."""
    return sum(
        int(line.split()[0].split("-")[1], 16) - int(line.split()[0].split("-")[0], 16)
        for line in Path("/proc/self/maps").read_text().splitlines()
        if str(folder) in line and line.endswith("(deleted)")
    )


def test_the_disk_is_given_back_with_the_array(tmp_path: Path) -> None:
    array = make("memmap", scratch_dir=str(tmp_path)).allocate((1 << 20,), FLOAT)
    assert mapped_bytes(tmp_path) == array.nbytes
    del array
    gc.collect()
    assert mapped_bytes(tmp_path) == 0


def test_nothing_is_left_of_a_killed_process(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys, numpy as np\n"
        "from rlrecipe.replay.storages.memmap import Memmap, MemmapOptions\n"
        "array = Memmap(MemmapOptions(scratch_dir=sys.argv[1])).allocate((1 << 20,), np.dtype(np.float32))\n"
        "array[:] = 1\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)])
    assert done.returncode == -9
    assert list(tmp_path.iterdir()) == []


def test_the_systems_temporary_folder_is_the_default() -> None:
    assert Memmap(MemmapOptions()).folder == Path(tempfile.gettempdir())


def test_files_take_what_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 200 GB, two pages."""
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=2**60))
    array = make("memmap", scratch_dir=str(tmp_path)).allocate((50_000_000_000,), FLOAT)
    array[[0, -1]] = 1
    assert array[[0, 1, -1]].tolist() == [1, 0, 1]


def test_a_disk_that_is_too_small_is_told_with_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=5 * 2**20))
    storage = make("memmap", scratch_dir=str(tmp_path))
    storage.allocate((2**20,), FLOAT)
    message = rf"needs 8\.0 MiB or more on the disk of {tmp_path}; 5\.0 MiB are free: lower storage\.max_size"
    with pytest.raises(OSError, match=message) as error:
        storage.allocate((2**20,), FLOAT)
    assert error.value.errno == errno.ENOSPC


def test_a_scratch_dir_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotADirectoryError, match=r"scratch_dir is no folder: .*nowhere"):
        make("memmap", scratch_dir=str(tmp_path / "nowhere")).allocate((1,), FLOAT)


# -- checks


@pytest.mark.parametrize(("size", "num_envs", "codes"), [(8, 8, []), (7, 8, ["E302"]), (1_000_000, 1, [])])
def test_a_storage_for_less_than_a_step_is_a_problem(size: int, num_envs: int, codes: list[str]) -> None:
    buffer = Slot("replay_buffer").read({"name": "uniform", "storage": {"name": "memory", "max_size": size}})
    env = Slot("env").read({"name": "gym", "env_name": "CartPole-v1", "num_envs": num_envs})
    recipe: Any = SimpleNamespace(replay_buffer=buffer, env=env)
    problems = list(check(recipe))
    assert [problem.code for problem in problems] == codes
    assert all(problem.suggestion == "make replay_buffer.storage.max_size 8 or more" for problem in problems)
