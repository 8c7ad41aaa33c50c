"""Two runs that need the same package at once: one makes it."""

import fcntl
import os
import threading
from pathlib import Path

import pytest

from rlrecipe.errors import StoppedError
from rlrecipe.learning.compiled.turns import turn


def test_the_second_waits_for_the_first(tmp_path: Path) -> None:
    order, said, inside, done = list[str](), list[str](), threading.Event(), threading.Event()

    def first() -> None:
        with turn(tmp_path, ["b", "a"]):
            inside.set()
            assert done.wait(10)
            order.append("first")

    def hear(line: str) -> None:
        said.append(line)
        done.set()

    thread = threading.Thread(target=first)
    thread.start()
    assert inside.wait(10)
    # It says that it waits, which lets the first one end.
    with turn(tmp_path, ["c", "a"], say=hear):
        order.append("second")
    thread.join()
    assert order == ["first", "second"]
    assert said == ["another run is compiling the same update: waiting for it"]


def test_waiting_can_be_stopped_and_has_an_end(tmp_path: Path) -> None:
    held = os.open(tmp_path / ".a.lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(held, fcntl.LOCK_EX)
    with pytest.raises(StoppedError, match="another run was compiling"), turn(tmp_path, ["a"], lambda: True):
        pass
    # Whatever became of the other one.
    with turn(tmp_path, ["a"], longest=0.0):
        pass
    os.close(held)
    with turn(tmp_path, ["a"], lambda: pytest.fail("nobody is waited for")):
        pass


def test_a_link_in_the_place_of_a_lock_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / ".a.lock").symlink_to(tmp_path / "elsewhere")
    with turn(tmp_path, ["a"]):
        assert not (tmp_path / "elsewhere").exists()
