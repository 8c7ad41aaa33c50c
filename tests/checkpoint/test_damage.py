"""Every way to damage every file of a checkpoint, in every format."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from rlrecipe.checkpoint.content import pack
from rlrecipe.checkpoint.store import CheckpointStore, NoCheckpoint
from rlrecipe.checkpoint.verified import DamagedCheckpoint, DamagedPiece
from rlrecipe.state import Piece
from tests.checkpoint.shelf import flip, goes_back_to

BACKENDS = {
    "safetensors": ("policy.safetensors", "state.safetensors"),
    "torch": ("checkpoint.pt",),
    "dcp": ("model-00001-of-00001.safetensors", "model.safetensors.index.json"),
}
COMMON = ("state.json", "policy.json", "session.json", "manifest.json")
CASES = [(backend, file) for backend, own in BACKENDS.items() for file in (*own, *COMMON)]


def cut(file: Path, size: int) -> None:
    file.write_bytes(file.read_bytes()[:size])


DAMAGES: dict[str, Callable[[Path], None]] = {
    "one bit": flip,
    "half": lambda file: cut(file, file.stat().st_size // 2),
    "emptied": lambda file: cut(file, 0),
    "deleted": lambda file: file.unlink(),
}


def saved(folder: Path, backend: str) -> CheckpointStore:
    store = CheckpointStore(folder)
    for frames in (10, 20):
        state = {
            "update": {"parameters": {"policy.weight": torch.full((4,), float(frames))}, "count": torch.tensor(3.0)},
            "norm": {"statistics": {"mean": torch.zeros(2, dtype=torch.float64)}, "flags": torch.tensor([True, False])},
        }
        name = f"{frames:012d}-{0:010d}"
        store.save(
            name, pack(state, {"statistics": ["norm"]}, {"seconds": 1.5}, {"frames": frames, "previous": None}, backend)
        )
    return store


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_format_gives_back_what_it_was_given(backend: str, tmp_path: Path) -> None:
    checkpoint = saved(tmp_path, backend).newest()
    assert checkpoint is not None
    assert checkpoint.manifest["backend"] == backend
    state = checkpoint.state()
    assert torch.equal(state["update"]["parameters"]["policy.weight"], torch.full((4,), 20.0))
    assert state["update"]["count"].shape == ()
    assert state["norm"]["statistics"]["mean"].dtype == torch.float64
    assert state["norm"]["flags"].tolist() == [True, False]
    assert set(BACKENDS[backend]) | set(COMMON) == {file.name for file in checkpoint.folder.iterdir()}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize(("backend", "file"), CASES)
def test_damage_is_named_moved_aside_and_the_checkpoint_before_used(
    backend: str, file: str, damage: str, tmp_path: Path
) -> None:
    store = saved(tmp_path, backend)
    first, second = store.names()
    DAMAGES[damage](tmp_path / second / file)
    with pytest.raises(DamagedCheckpoint, match=file):
        store.load(second)
    goes_back_to(store, first, file)
    assert (tmp_path / "damaged" / second).is_dir()
    assert (tmp_path / "latest").read_text().strip() == first
    DAMAGES[damage](tmp_path / first / file)
    with pytest.raises(NoCheckpoint) as refusal:
        store.newest()
    assert refusal.value.exit_code == 5


# -- pieces, which several checkpoints share

SHARED, OWN = "buffer.0.safetensors", "buffer.1.safetensors"


def piece(value: float) -> Piece:
    return Piece(lambda: {"rows": torch.full((16,), value)})


def saved_with_pieces(folder: Path, backend: str = "safetensors") -> CheckpointStore:
    """Two checkpoints with a piece of each one's own and one that they share."""
    store, shared = CheckpointStore(folder / "run/checkpoints"), piece(0.0)
    for frames in (10, 20):
        state = {"update": {"parameters": {"w": torch.ones(1)}}, "buffer": [shared, piece(float(frames))]}
        name = f"{frames:012d}-{0:010d}"
        store.save(name, pack(state, {}, {}, {"frames": frames, "previous": None}, backend))
    assert (store.folder / store.names()[0] / SHARED).stat().st_nlink == 2
    return store


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("backend", BACKENDS)
def test_after_damage_in_a_piece_of_its_own_the_checkpoint_before_is_used(
    backend: str, damage: str, tmp_path: Path
) -> None:
    store = saved_with_pieces(tmp_path, backend)
    first, second = store.names()
    DAMAGES[damage](store.folder / second / OWN)
    with pytest.raises(DamagedPiece, match=OWN):
        store.load(second)
    found = goes_back_to(store, first, OWN)
    assert found.state()["buffer"][1].tensors()["rows"][0] == 10.0
    assert store.names() == [first]
    assert (store.folder / "damaged" / second / SHARED).is_file()


@pytest.mark.parametrize("damage", [damage for damage in DAMAGES if damage != "deleted"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_damage_in_a_shared_piece_is_told_with_its_cure_and_nothing_is_moved(
    backend: str, damage: str, tmp_path: Path
) -> None:
    store = saved_with_pieces(tmp_path, backend)
    first, second = store.names()
    DAMAGES[damage](store.folder / first / SHARED)
    said: list[str] = []
    with pytest.raises(NoCheckpoint) as refusal:
        store.newest(said.append)
    for expected in (
        f"every checkpoint in {store.folder} is damaged",
        f"{store.folder / first / SHARED} does not match its digest",
        f"{store.folder / second / SHARED} does not match its digest",
        f"\n  rlrecipe resume {tmp_path / 'run'} --without-buffer",
    ):
        assert expected in str(refusal.value)
    assert refusal.value.exit_code == 5
    assert said == []
    assert store.names() == [first, second]
    assert not (store.folder / "damaged").exists()
    assert store.pointer("latest") == second
    found = store.newest(said.append, pieces=False)
    assert found is not None
    assert found.folder.name == second
    assert found.state()["buffer"] == [None, None]
    assert said == []


def test_a_piece_that_is_gone_is_gone_from_one_checkpoint_only(tmp_path: Path) -> None:
    store = saved_with_pieces(tmp_path)
    first, second = store.names()
    (store.folder / second / SHARED).unlink()
    found = store.newest()
    assert found is not None
    assert found.folder.name == first
    (store.folder / first / SHARED).unlink()
    with pytest.raises(NoCheckpoint, match=rf"{SHARED} cannot be read: No such file"):
        store.newest()
    assert store.names() == [first]


def test_without_pieces_the_newest_that_is_sound_apart_from_them_is_used(tmp_path: Path) -> None:
    store = saved_with_pieces(tmp_path)
    first, second = store.names()
    flip(store.folder / first / SHARED)
    flip(store.folder / second / "state.json")
    with pytest.raises(NoCheckpoint, match="--without-buffer"):
        store.newest()
    assert store.names() == [first, second]
    said: list[str] = []
    found = store.newest(said.append, pieces=False)
    assert found is not None
    assert found.folder.name == first
    assert "state.json" in said[0]
    assert (store.folder / "damaged" / second).is_dir()


def test_where_no_checkpoint_is_sound_apart_from_pieces_the_cure_is_another(tmp_path: Path) -> None:
    store = saved_with_pieces(tmp_path)
    for name in store.names():
        flip(store.folder / name / "policy.safetensors")
    flip(store.folder / name / SHARED)
    with pytest.raises(NoCheckpoint, match="put one back from a copy, or start a new run") as refusal:
        store.newest()
    assert "--without-buffer" not in str(refusal.value)


def test_a_piece_may_not_be_a_link_to_another_file(tmp_path: Path) -> None:
    store = saved_with_pieces(tmp_path)
    file = store.folder / store.names()[1] / OWN
    file.rename(tmp_path / "elsewhere")
    file.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DamagedPiece, match="names a file outside its folder"):
        store.load(store.names()[1])
