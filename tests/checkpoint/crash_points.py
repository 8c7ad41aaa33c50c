"""A process that ends at every point of a save in turn, and looks at what is left each time.

Run by ``test_crash.py`` as a process of its own: it forks a child for each point, which is only safe
where no other thread lives.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from rlrecipe.checkpoint import store
from rlrecipe.checkpoint.content import Contents, pack
from rlrecipe.checkpoint.store import CheckpointStore, name_of
from rlrecipe.state import Piece
from rlrecipe.system import files

CRASHED = 77
PRIMITIVES = ("fsync", "rename", "replace", "mkdir", "unlink", "rmdir", "link")


def piece(value: float) -> Piece:
    return Piece(lambda: {"rows": torch.full((3,), value)})


#: In every checkpoint of this process and of those that it forks.
SHARED = [piece(0.0), piece(1.0)]


def contents(frames: int, value: float) -> Contents:
    state = {
        "update": {"parameters": {"policy.weight": torch.full((3,), value)}},
        "clock": {"frames": frames},
        "buffer": {"chunks": [*SHARED, piece(value)]},
    }
    facts = {"frames": frames, "updates": 0, "previous": None}
    return pack(state, {}, {}, facts, "safetensors")


def crash_at(point: int) -> None:
    """End this process before or after the n-th primitive, or in the middle of a write."""
    passed = [0]

    def here() -> None:
        if passed[0] == point:
            os._exit(CRASHED)
        passed[0] += 1

    def around(primitive: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **more: Any) -> Any:
            here()
            result = primitive(*arguments, **more)
            here()
            return result

        return wrapped

    write = files.write_durably

    def write_in_two(path: Path, content: bytes) -> None:
        here()
        write(path, content[: len(content) // 2])
        here()
        write(path, content)
        here()

    for name in PRIMITIVES:
        setattr(os, name, around(getattr(os, name)))
    files.write_durably = write_in_two
    vars(store)["write_durably"] = write_in_two


def save(folder: Path, frames: int, value: float) -> None:
    checkpoints = CheckpointStore(folder)
    name = name_of(frames, 0)
    checkpoints.save(name, contents(frames, value))
    checkpoints.point("best", name)
    checkpoints.prune(2)


def after_crash(folder: Path) -> tuple[int, float]:
    """Frames and value of what a new process would go on from; nothing may be damaged or lost."""
    checkpoints = CheckpointStore(folder)
    checkpoints.sweep()
    said: list[str] = []
    checkpoint = checkpoints.newest(said.append)
    assert checkpoint is not None, "no checkpoint is left"
    assert not said, said
    assert not list(folder.glob(".*")), "something half done is left"
    chunks = [float(chunk.tensors()["rows"][0]) for chunk in checkpoint.state()["buffer"]["chunks"]]
    assert chunks == [0.0, 1.0, float(checkpoint.parameters["policy.weight"][0])]
    best = checkpoints.pointer("best")
    assert best is None or checkpoints.load(best)
    return checkpoint.manifest["frames"], float(checkpoint.parameters["policy.weight"][0])


def listed(folder: Path) -> list[str]:
    return CheckpointStore(folder).names()


def enumerate_points(base: Path, frames: int) -> int:
    """Crash a save at ``frames`` at every point; returns how many there are."""
    for point in range(1000):
        folder = base / f"{frames}-{point}"
        for old in (10, 20):
            save(folder, old, float(old))
        assert len({(folder / name / "buffer.chunks.0.safetensors").stat().st_ino for name in listed(folder)}) == 1
        child = os.fork()
        if child == 0:
            crash_at(point)
            save(folder, frames, 99.0)
            os._exit(0)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        found = after_crash(folder)
        if code == 0:
            assert found == (frames, 99.0), found
            return point
        assert code == CRASHED, code
        assert found in ((20, 20.0), (frames, 99.0)), (point, found)
        # And the run goes on from there.
        save(folder, 40, 40.0)
        assert after_crash(folder) == (40, 40.0)
        shutil.rmtree(folder)
    raise AssertionError("a save has no end")


if __name__ == "__main__":
    base = Path(sys.argv[1])
    # A process that ends loses nothing that it has written; only a machine that stops does. It takes minutes.
    vars(os)["fsync"] = lambda descriptor: None
    # A new checkpoint; and one of the same frame again, as a resumed run may write it.
    print(*(enumerate_points(base, frames) for frames in (30, 20)))
