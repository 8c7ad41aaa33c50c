"""Every way to damage every file of a checkpoint, in every format."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from rlrecipe.checkpoint.content import DamagedCheckpoint, pack
from rlrecipe.checkpoint.store import CheckpointStore, NoCheckpoint

BACKENDS = {
    "safetensors": ("policy.safetensors", "state.safetensors"),
    "torch": ("checkpoint.pt",),
    "dcp": ("model-00001-of-00001.safetensors", "model.safetensors.index.json"),
}
COMMON = ("state.json", "policy.json", "session.json", "manifest.json")
CASES = [(backend, file) for backend, own in BACKENDS.items() for file in (*own, *COMMON)]


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


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
    said: list[str] = []
    found = store.newest(said.append)
    assert found is not None
    assert found.folder.name == first
    assert len(said) == 1
    assert file in said[0]
    assert (tmp_path / "damaged" / second).is_dir()
    assert (tmp_path / "latest").read_text().strip() == first
    DAMAGES[damage](tmp_path / first / file)
    with pytest.raises(NoCheckpoint) as refusal:
        store.newest()
    assert refusal.value.exit_code == 5
