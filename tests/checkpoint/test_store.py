import hashlib
import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from rlrecipe.checkpoint.content import pack
from rlrecipe.checkpoint.store import CheckpointStore, NoCheckpoint, name_of
from rlrecipe.checkpoint.verified import DamagedCheckpoint, canonical, digest
from tests.checkpoint.shelf import flip, goes_back_to

STATE: dict[str, Any] = {
    "update": {"parameters": {"policy.0.weight": torch.arange(6.0).reshape(2, 3)}, "optimizer": {"step": 1}},
    "observation_norm": {"statistics": {"mean": np.zeros(3), "count": np.array(2.0)}, "other": 3},
    "streams": {"action.0": np.random.default_rng(0).bit_generator.state},
}
POLICY: dict[str, Any] = {
    "observation_space": {},
    "statistics": ["observation_norm"],
    "transforms": ["observation_norm"],
}


def facts(frames: int) -> dict[str, Any]:
    return {
        "frames": frames,
        "updates": frames // 10,
        "recipe": {"seed": 0},
        "exact": "exact",
        "exact_reason": "said so",
        "versions": {"torch": "1"},
    }


@pytest.fixture
def store(tmp_path: Path) -> CheckpointStore:
    return CheckpointStore(tmp_path / "checkpoints")


def save(store: CheckpointStore, *frames: int, keep_last: int = 100) -> list[str]:
    names = [name_of(one, one // 10) for one in frames]
    for one, name in zip(frames, names, strict=True):
        stated = {**facts(one), "previous": store.previous(name)}
        store.save(name, pack(STATE, POLICY, {"seconds": 1.0}, stated, "safetensors"))
        store.prune(keep_last)
    return names


def manifest(store: CheckpointStore, name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((store.folder / name / "manifest.json").read_text())
    return content


# -- what is written


def test_the_manifest_says_what_is_in_the_checkpoint(store: CheckpointStore) -> None:
    (name,) = save(store, 2048)
    content = manifest(store, name)
    assert set(content) == {
        *("format", "backend", "frames", "updates", "recipe", "exact", "exact_reason", "versions"),
        *("files", "digest", "previous"),
    }  # fmt: skip
    assert content["format"] == 1
    assert {key: content[key] for key in facts(2048)} == facts(2048)
    files = {path.name for path in (store.folder / name).iterdir()}
    assert files == {*content["files"], "manifest.json"}
    for file, stated in content["files"].items():
        actual = (store.folder / name / file).read_bytes()
        assert stated == {"sha256": hashlib.sha256(actual).hexdigest(), "bytes": len(actual)}
    claimed = content.pop("digest")
    assert digest(canonical(content)) == claimed


def test_names_hold_twelve_digits_of_frames_and_ten_of_updates(store: CheckpointStore) -> None:
    assert save(store, 2048) == ["000000002048-0000000204"]
    assert name_of(10**12 - 1, 10**10 - 1) == "999999999999-9999999999"


def test_nothing_but_json_and_safetensors_is_written(finished_run: Path) -> None:
    """Each file is read by its own format's reader, none of which unpickles."""
    for file in (finished_run / "checkpoints").rglob("*"):
        if file.is_dir():
            continue
        content = file.read_bytes()
        if file.suffix == ".json":
            json.loads(content)
        elif file.suffix == ".safetensors":
            load_file(file)
        else:
            assert file.name in ("latest", "best"), file
            assert (file.parent / content.decode().removesuffix("\n") / "manifest.json").is_file()


def test_the_policy_file_names_tensors_and_statistics_and_has_no_metadata(store: CheckpointStore) -> None:
    (name,) = save(store, 2048)
    file = store.folder / name / "policy.safetensors"
    tensors = load_file(file)
    assert set(tensors) == {"policy.0.weight", "observation_norm.mean", "observation_norm.count"}
    assert torch.equal(tensors["policy.0.weight"], STATE["update"]["parameters"]["policy.0.weight"])
    assert tensors["observation_norm.mean"].dtype == torch.float64
    content = file.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    assert "__metadata__" not in json.loads(content[8 : 8 + length])


def test_the_policy_file_of_a_run_holds_every_network(finished_run: Path) -> None:
    latest = (finished_run / "checkpoints/latest").read_text().strip()
    tensors = load_file(finished_run / "checkpoints" / latest / "policy.safetensors")
    layers = [f"{i}.{kind}" for i in (0, 1) for kind in ("weight", "bias")]
    assert set(tensors) == {f"{slot}.{layer}" for slot in ("policy", "value") for layer in layers}


def test_equal_states_give_equal_bytes(tmp_path: Path) -> None:
    one, other = CheckpointStore(tmp_path / "one"), CheckpointStore(tmp_path / "other")
    (name,) = save(one, 10)
    save(other, 10)
    for file in (one.folder / name).iterdir():
        assert file.read_bytes() == (other.folder / name / file.name).read_bytes(), file.name


def test_a_state_comes_back(store: CheckpointStore) -> None:
    (name,) = save(store, 10)
    checkpoint = store.load(name)
    state = checkpoint.state()
    assert torch.equal(state["update"]["parameters"]["policy.0.weight"], checkpoint.parameters["policy.0.weight"])
    assert state["streams"] == STATE["streams"]
    assert checkpoint.statistics("observation_norm")["count"] == 2.0
    assert checkpoint.statistics("reward_norm") == {}


def test_each_checkpoint_names_the_digest_of_the_one_before(store: CheckpointStore) -> None:
    names = save(store, 10, 20, 30)
    before = [None] + [manifest(store, name)["digest"] for name in names[:-1]]
    assert [manifest(store, name)["previous"] for name in names] == before


def test_a_checkpoint_saved_again_keeps_the_one_before(store: CheckpointStore) -> None:
    """A best checkpoint is written at the evaluation and again by what follows at the same batch."""
    first, second = save(store, 10, 20)
    save(store, 20)
    assert manifest(store, second)["previous"] == manifest(store, first)["digest"]
    assert store.names() == [first, second]


def test_the_chain_of_a_run_is_whole(finished_run: Path) -> None:
    store = CheckpointStore(finished_run / "checkpoints")
    manifests = [store.load(name).manifest for name in store.names()]
    # One at the start, and one after each of eight batches.
    assert len(manifests) == 9
    assert [m["previous"] for m in manifests] == [None] + [m["digest"] for m in manifests[:-1]]


# -- which are kept


def test_latest_and_best_are_plain_text_with_a_bare_name(store: CheckpointStore) -> None:
    names = save(store, 10, 20)
    store.point("best", names[0])
    assert (store.folder / "latest").read_text() == names[1] + "\n"
    assert (store.folder / "best").read_text() == names[0] + "\n"
    assert (store.pointer("latest"), store.pointer("best")) == (names[1], names[0])


def test_only_the_newest_and_the_best_stay(store: CheckpointStore) -> None:
    (best,) = save(store, 10)
    store.point("best", best)
    names = save(store, 20, 30, 40, 50, keep_last=2)
    assert store.names() == [best, *names[-2:]]


def test_a_pointer_to_nothing_is_none(store: CheckpointStore) -> None:
    assert store.pointer("latest") is None
    (name,) = save(store, 10)
    shutil.rmtree(store.folder / name)
    assert store.pointer("latest") is None


def test_what_a_killed_writer_left_is_no_checkpoint_and_goes(store: CheckpointStore) -> None:
    staging = store.folder / ".staging-000000000005-0000000000-1"
    staging.mkdir(parents=True)
    (staging / "manifest.json").write_text("{}")
    assert store.names() == []
    store.sweep()
    assert not staging.exists()


# -- damage


DAMAGES: dict[str, Callable[[Path], object]] = {
    "a byte of the policy": lambda folder: flip(folder / "policy.safetensors"),
    "a byte of the state": lambda folder: flip(folder / "state.safetensors"),
    "a byte of the tree": lambda folder: flip(folder / "state.json"),
    "a byte of the manifest": lambda folder: flip(folder / "manifest.json"),
    "a cut file": lambda folder: (folder / "state.safetensors").write_bytes(b""),
    "a missing file": lambda folder: (folder / "policy.json").unlink(),
    "an empty manifest": lambda folder: (folder / "manifest.json").write_bytes(b""),
    "a manifest of a list": lambda folder: (folder / "manifest.json").write_text("[]"),
}


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_damaged_checkpoint_is_moved_aside_and_the_one_before_used(kind: str, store: CheckpointStore) -> None:
    sound, damaged = save(store, 10, 20)
    DAMAGES[kind](store.folder / damaged)
    with pytest.raises(DamagedCheckpoint, match=damaged):
        store.load(damaged)
    goes_back_to(store, sound, damaged)
    assert (store.folder / "damaged" / damaged).is_dir()
    assert store.names() == [sound]


def test_a_file_that_does_not_match_is_named(store: CheckpointStore) -> None:
    (name,) = save(store, 10)
    flip(store.folder / name / "state.safetensors")
    with pytest.raises(DamagedCheckpoint, match=r"state\.safetensors does not match its digest"):
        store.load(name)


def test_a_manifest_may_not_name_files_outside_its_folder(store: CheckpointStore, tmp_path: Path) -> None:
    (name,) = save(store, 10)
    (tmp_path / "secret").write_bytes(b"x")
    content = manifest(store, name)
    content["files"]["../../secret"] = {"sha256": digest(b"x"), "bytes": 1}
    del content["digest"]
    content["digest"] = digest(canonical(content))
    (store.folder / name / "manifest.json").write_bytes(canonical(content))
    with pytest.raises(DamagedCheckpoint, match="outside its folder"):
        store.load(name)


def test_when_all_are_damaged_there_is_no_checkpoint(store: CheckpointStore) -> None:
    for name in save(store, 10, 20):
        flip(store.folder / name / "policy.safetensors")
    with pytest.raises(NoCheckpoint, match="every checkpoint"):
        store.newest()
    assert NoCheckpoint.exit_code == DamagedCheckpoint.exit_code == 5


def test_without_any_checkpoint_newest_is_none(store: CheckpointStore) -> None:
    assert store.newest() is None


def test_newer_checkpoints_are_set_aside(store: CheckpointStore) -> None:
    names = save(store, 10, 20, 30)
    store.set_aside_after(names[0])
    assert store.names() == names[:1]
    assert sorted(path.name for path in (store.folder / "superseded").iterdir()) == names[1:]
