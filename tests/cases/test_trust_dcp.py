"""``checkpoint.backend: dcp``: the same run has the same bytes, and an untouched one is verified."""

from pathlib import Path

import pytest
import torch

from rlrecipe.checkpoint.backends import backend, dcp
from rlrecipe.checkpoint.store import CheckpointStore
from rlrecipe.runs.verify import verify
from tests import small


def _digests(run_dir: Path) -> list[dict[str, str]]:
    """Of every file but the one that holds seconds, of every checkpoint."""
    store = CheckpointStore(run_dir / "checkpoints")
    found = [store.load(name).manifest["files"] for name in store.names()]
    return [{file: fact["sha256"] for file, fact in files.items() if file != "session.json"} for files in found]


@pytest.mark.parametrize("name", ["dcp"])
def test_the_same_run_gives_the_same_bytes_and_is_verified(name: str, tmp_path: Path) -> None:
    recipe = {**small.DQN, "checkpoint": {"every": 256, "keep_last": 9, "backend": name}}
    for folder in ("one", "other"):
        small.train(recipe, tmp_path / folder)
    assert _digests(tmp_path / "one") == _digests(tmp_path / "other")
    assert {stretch.difference for stretch in verify(tmp_path / "one").stretches} == {None}


@pytest.mark.parametrize("name", ["dcp", "safetensors", "torch"])
def test_equal_tensors_have_equal_bytes(name: str) -> None:
    policy = {"0.weight": torch.arange(6.0).view(2, 3), "scale": torch.tensor(1.5, dtype=torch.float64)}
    rest = {f"a.\N{GREEK SMALL LETTER ALPHA}{i}": torch.arange(i) for i in range(5)}
    files = [backend(name).encode(policy, rest) for _ in range(8)]
    assert all(content == files[0] for content in files)
    back = backend(name).decode(files[0])
    for given, read in zip((policy, rest), back, strict=True):
        assert given.keys() == read.keys()
        assert all(torch.equal(given[key], read[key]) for key in given)


def test_what_was_written_in_any_order_is_still_read(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = {"0.weight": torch.arange(6.0)}
    monkeypatch.setattr(dcp, "_ordered", lambda content: content)
    assert torch.equal(dcp.decode(dcp.encode(policy, {}))[0]["0.weight"], policy["0.weight"])
