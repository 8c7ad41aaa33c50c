"""Pieces of a state: written once, linked by every later checkpoint, read when they are asked for."""

import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from rlrecipe.checkpoint.content import pack
from rlrecipe.checkpoint.pieces import encode
from rlrecipe.checkpoint.store import CheckpointStore, name_of
from rlrecipe.checkpoint.verified import DamagedCheckpoint, read_manifest, read_verified
from rlrecipe.state import Piece
from rlrecipe.system.files import write_durably

BACKENDS = ("safetensors", "torch", "dcp")


def piece(value: float, rows: int = 3) -> Piece:
    return Piece(lambda: {"reward": torch.full((rows,), value), "done": torch.zeros(rows, dtype=torch.bool)})


def save(store: CheckpointStore, frames: int, buffer: Any, backend: str = "safetensors") -> Path:
    name = name_of(frames, 0)
    state = {"update": {"parameters": {"policy.weight": torch.ones(2)}}, "buffer": buffer}
    store.save(name, pack(state, {}, {}, {"frames": frames, "previous": store.previous(name)}, backend))
    return store.folder / name


def files(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "manifest.json").read_bytes())["files"]
    return found


def inodes(folder: Path) -> dict[str, int]:
    return {file.name: file.stat().st_ino for file in folder.glob("buffer.*")}


@pytest.fixture
def store(tmp_path: Path) -> CheckpointStore:
    return CheckpointStore(tmp_path / "checkpoints")


# -- what is written


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_piece_is_a_file_and_comes_back(backend: str, store: CheckpointStore) -> None:
    given = piece(2.0)
    folder = save(store, 10, {"chunks": [piece(1.0), given], "size": 6}, backend)
    names = {"buffer.chunks.0.safetensors", "buffer.chunks.1.safetensors"}
    assert {file.name for file in folder.glob("buffer.*")} == names
    assert load_file(folder / "buffer.chunks.1.safetensors").keys() == {"reward", "done"}
    assert given.fact == files(folder)["buffer.chunks.1.safetensors"]
    state = store.load(folder.name).state()["buffer"]
    assert state["size"] == 6
    back = state["chunks"][1]
    assert isinstance(back, Piece)
    assert back.fact == given.fact
    assert back.tensors()["reward"].tolist() == [2.0, 2.0, 2.0]
    assert back.tensors()["done"].dtype == torch.bool


def test_equal_pieces_have_equal_bytes_and_no_metadata(store: CheckpointStore, tmp_path: Path) -> None:
    other = CheckpointStore(tmp_path / "other")
    one, two = (save(each, 10, [piece(1.0), piece(2.0)]) for each in (store, other))
    assert files(one) == files(two)
    assert (one / "manifest.json").read_bytes() == (two / "manifest.json").read_bytes()
    assert b"__metadata__" not in (one / "buffer.0.safetensors").read_bytes()


def test_views_and_strides_can_be_written(store: CheckpointStore) -> None:
    whole = torch.arange(12.0).reshape(3, 4)
    folder = save(store, 10, [Piece(lambda: {"rows": whole[1:], "turned": whole.t()})])
    back = store.load(folder.name).state()["buffer"][0].tensors()
    assert torch.equal(back["rows"], whole[1:])
    assert torch.equal(back["turned"], whole.t())


def test_keys_lead_nowhere_but_into_the_folder(store: CheckpointStore) -> None:
    given = {"..": {"/etc/x": piece(1.0)}, "a.b": piece(2.0), "a": {"b": piece(3.0)}, "å b": piece(4.0)}
    folder = save(store, 10, given)
    assert len(list(folder.iterdir())) == len(files(folder)) + 1
    state = store.load(folder.name).state()["buffer"]
    assert state[".."]["/etc/x"].tensors()["reward"][0] == 1.0
    assert [state["a.b"].tensors()["reward"][0], state["a"]["b"].tensors()["reward"][0]] == [2.0, 3.0]
    assert state["å b"].tensors()["reward"][0] == 4.0


def test_a_piece_may_not_take_another_files_name(store: CheckpointStore) -> None:
    with pytest.raises(TypeError, match=r"state at policy is a piece, but policy\.safetensors is another file"):
        pack({"policy": piece(1.0)}, {}, {}, {}, "safetensors")


# -- what a second checkpoint costs


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_did_not_change_is_linked_and_not_encoded(backend: str, store: CheckpointStore) -> None:
    asked: list[int] = []

    def counted(value: int) -> Piece:
        def tensors() -> dict[str, torch.Tensor]:
            asked.append(value)
            return {"reward": torch.full((3,), float(value))}

        return Piece(tensors)

    buffer = [counted(0), counted(1)]
    first = save(store, 10, buffer, backend)
    second = save(store, 20, [*buffer[:1], counted(2)], backend)
    assert asked == [0, 1, 2]
    one, two = inodes(first), inodes(second)
    assert one["buffer.0.safetensors"] == two["buffer.0.safetensors"]
    assert one["buffer.1.safetensors"] != two["buffer.1.safetensors"]
    assert (second / "buffer.0.safetensors").stat().st_nlink == 2
    assert (second / "buffer.1.safetensors").stat().st_nlink == 1


def test_bytes_of_a_save_grow_with_what_is_new(store: CheckpointStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A buffer of 256 chunks; a hundredth of its rows is new, over a chunk's border."""
    written = [0]

    def counted(path: Path, content: bytes) -> None:
        written[0] += len(content)
        write_durably(path, content)

    monkeypatch.setattr("rlrecipe.checkpoint.store.write_durably", counted)
    buffer = [piece(float(i), rows=4000) for i in range(256)]
    save(store, 10, buffer)
    first, written[0] = written[0], 0
    save(store, 20, [*(piece(-1.0, rows=4000) for _ in range(4)), *buffer[4:]])
    assert first > 5_000_000
    assert written[0] < 0.03 * first


def test_a_piece_that_moved_is_linked_under_its_new_name(store: CheckpointStore) -> None:
    buffer = [piece(0.0), piece(1.0), piece(2.0)]
    first, second = save(store, 10, buffer), save(store, 20, buffer[1:])
    assert inodes(second)["buffer.0.safetensors"] == inodes(first)["buffer.1.safetensors"]
    assert store.load(second.name).state()["buffer"][0].tensors()["reward"][0] == 1.0


def test_a_checkpoint_of_the_same_frame_is_linked_to_the_one_that_it_replaces(store: CheckpointStore) -> None:
    buffer = [piece(0.0)]
    before = inodes(save(store, 10, buffer))
    assert inodes(save(store, 10, buffer)) == before
    assert store.load(store.names()[0])


@pytest.mark.parametrize("own", [False, True], ids=["the piece as read", "a piece of the owner's with its fact"])
def test_what_was_read_is_linked_by_the_next_save(own: bool, store: CheckpointStore) -> None:
    first = save(store, 10, [piece(1.0)])
    (read,) = store.load(first.name).state()["buffer"]
    tensors = read.tensors()
    second = save(store, 20, [Piece(lambda: tensors, read.fact) if own else read])
    assert inodes(second) == inodes(first)


def test_manifests_are_read_once_a_save_and_only_as_far_as_needed(
    store: CheckpointStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, buffer = piece(99.0), [piece(float(i)) for i in range(20)]
    save(store, 10, [*buffer, old])
    save(store, 20, buffer)
    save(store, 30, buffer)
    read: list[str] = []

    def counted(folder: Path) -> dict[str, Any]:
        read.append(folder.name)
        return read_manifest(folder)

    monkeypatch.setattr("rlrecipe.checkpoint.pieces.read_manifest", counted)
    save(store, 40, buffer)
    assert [int(name.split("-")[0]) for name in read] == [30]
    read.clear()
    save(store, 50, [*buffer, old])
    assert [int(name.split("-")[0]) for name in read] == [40, 30, 20, 10]


def test_one_piece_is_encoded_at_a_time(store: CheckpointStore, monkeypatch: pytest.MonkeyPatch) -> None:
    alive, most = [0], [0]

    class Encoded(bytes):
        def __new__(cls, content: bytes) -> "Encoded":
            alive[0] += 1
            most[0] = max(alive[0], most[0])
            return super().__new__(cls, content)

        def __del__(self) -> None:
            alive[0] -= 1

    monkeypatch.setattr("rlrecipe.checkpoint.store.encode", lambda given: Encoded(encode(given)))
    save(store, 10, [piece(float(i)) for i in range(8)])
    assert (alive, most) == ([0], [1])


# -- where links are not possible


def no_links(*arguments: Any, **more: Any) -> None:
    raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))


def turn_into_a_link(source: Path) -> None:
    source.symlink_to(source.rename(source.with_name("elsewhere")))


BROKEN: dict[str, Callable[[Path, pytest.MonkeyPatch], object]] = {
    "no links": lambda source, patch: patch.setattr(os, "link", no_links),
    "cut": lambda source, patch: source.write_bytes(source.read_bytes()[:-1]),
    "deleted": lambda source, patch: source.unlink(),
    "a link elsewhere": lambda source, patch: turn_into_a_link(source),
    "a damaged manifest": lambda source, patch: (source.parent / "manifest.json").write_bytes(b""),
    "all gone": lambda source, patch: shutil.rmtree(source.parent),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_what_cannot_be_linked_is_written_again(
    broken: str, store: CheckpointStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = piece(1.0)
    source = save(store, 10, [given]) / "buffer.0.safetensors"
    fact = given.fact
    BROKEN[broken](source, monkeypatch)
    second = save(store, 20, [given])
    assert (second / "buffer.0.safetensors").stat().st_nlink == 1
    assert files(second)["buffer.0.safetensors"] == given.fact == fact
    assert store.load(second.name)


def test_pruning_the_first_leaves_later_ones_readable(store: CheckpointStore) -> None:
    buffer = [piece(float(i)) for i in range(3)]
    first = save(store, 10, buffer)
    second = save(store, 20, [*buffer, piece(3.0)])
    store.prune(1)
    assert not first.exists()
    assert (second / "buffer.0.safetensors").stat().st_nlink == 1
    back = store.load(second.name).state()["buffer"]
    assert [float(one.tensors()["reward"][0]) for one in back] == [0.0, 1.0, 2.0, 3.0]
    # And the third takes them from the second.
    assert inodes(save(store, 30, buffer)).items() < inodes(second).items()


# -- saves that fail


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "no space"), ValueError("not a tensor"), KeyboardInterrupt()])
def test_a_save_that_fails_leaves_nothing_behind(error: BaseException, store: CheckpointStore) -> None:
    def fails() -> Any:
        raise error

    good = piece(1.0)
    first = save(store, 10, [good])
    with pytest.raises(type(error)):
        save(store, 20, [good, piece(2.0), Piece(fails)])
    assert sorted(path.name for path in store.folder.iterdir()) == [first.name, "latest"]
    assert (first / "buffer.0.safetensors").stat().st_nlink == 1
    assert store.load(save(store, 20, [good]).name)


# -- reading


def test_pieces_are_read_when_they_are_asked_for(store: CheckpointStore, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = save(store, 10, [piece(1.0), piece(2.0)])
    read: list[str] = []

    def counted(folder: Path, file: str, fact: Any) -> bytes:
        read.append(file)
        return read_verified(folder, file, fact)

    monkeypatch.setattr("rlrecipe.checkpoint.pieces.read_verified", counted)
    buffer = store.load(folder.name).state()["buffer"]
    assert read == []
    buffer[1].tensors()
    assert read == ["buffer.1.safetensors"]


def test_a_piece_that_changed_since_it_was_verified_is_not_used(store: CheckpointStore) -> None:
    folder = save(store, 10, [piece(1.0)])
    (read,) = store.load(folder.name).state()["buffer"]
    file = folder / "buffer.0.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(DamagedCheckpoint, match=r"buffer\.0\.safetensors does not match its digest"):
        read.tensors()
    shutil.rmtree(folder)
    with pytest.raises(DamagedCheckpoint, match=r"buffer\.0\.safetensors cannot be read: No such file"):
        read.tensors()


def test_without_pieces_there_is_none_in_their_place(store: CheckpointStore) -> None:
    folder = save(store, 10, {"chunks": [piece(1.0), piece(2.0)], "size": 2})
    checkpoint = store.load(folder.name, pieces=False)
    assert checkpoint.state()["buffer"] == {"chunks": [None, None], "size": 2}
    assert checkpoint.pieces == {"buffer.chunks.0": None, "buffer.chunks.1": None}
    assert checkpoint.parameters["policy.weight"].tolist() == [1.0, 1.0]
