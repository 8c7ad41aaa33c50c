"""Checkpoints whose digests are sound and whose content is not: exit 5, or the checkpoint before it, named."""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load, save

from benchmarks.fuzz_checkpoints import own, seal
from rlrecipe.checkpoint.store import CheckpointStore
from rlrecipe.cli import main
from tests import small


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with three checkpoints, to be copied."""
    folder = tmp_path_factory.mktemp("stopped") / "run"
    recipe = {**small.CARTPOLE, "trainer": {"total_frames": 128}, "runtime": {"compile": "off"}}
    recipe["env"] = {**small.CARTPOLE["env"], "transforms": ["observation_norm"]}
    assert small.train(recipe, folder).outcome.code == 0
    return folder


@pytest.fixture
def run_dir(stopped: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(stopped, tmp_path / "run"))


def newest(run_dir: Path) -> Path:
    return sorted((run_dir / "checkpoints").glob("0*"))[-1]


def tree(file: str, *path: str | int, value: Any) -> Callable[[Path], None]:
    """Put a value somewhere in a JSON file of a checkpoint."""

    def change(folder: Path) -> None:
        content = inner = json.loads((folder / file).read_bytes())
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = value
        own(folder / file).write_text(json.dumps(content))

    return change


def whole(file: str, content: str) -> Callable[[Path], None]:
    """Put something else in place of all of a file."""

    def change(folder: Path) -> None:
        own(folder / file).write_text(content)

    return change


def tensor(file: str, part: str, change: Callable[[torch.Tensor], torch.Tensor | None]) -> Callable[[Path], None]:
    """Change the first tensor of a file whose name holds ``part``; None takes it away."""

    def changed(folder: Path) -> None:
        tensors = load((folder / file).read_bytes())
        name = next(name for name in sorted(tensors) if part in name)
        new = change(tensors.pop(name))
        own(folder / file).write_bytes(save({**tensors, **({} if new is None else {name: new.contiguous()})}))

    return changed


POLICY = "policy.safetensors"
#: What no trainer could have saved, and the word by which it is told.
CONTENTS: dict[str, tuple[Callable[[Path], None], str]] = {
    "a shape": (tensor(POLICY, "policy.0", lambda t: t[:-1]), "shape|policy.0"),
    "another dimension": (tensor(POLICY, "policy.0", lambda t: t[None]), "shape|policy.0"),
    "a missing tensor": (tensor(POLICY, "policy.0", lambda _: None), "policy.0"),
    "statistics of another shape": (tensor(POLICY, "norm", lambda t: t.reshape(-1)[:1]), "observation_norm"),
    "an observation of another shape": (
        tensor("state.safetensors", "collector.observation", lambda t: t[None]),
        "observation has the shape",
    ),
    "an environment that cannot go on": (
        tree("state.json", "collector", "envs", "states", 0, "2", "tau", value="x"),
        "environment 0 cannot go on from its saved state",
    ),
    "a mapping that is a list": (tree("state.json", "clock", value=[]), "clock is a list, expected a dict"),
    "a missing name": (tree("state.json", "clock", value={}), "clock.*missing"),
    "a count that is text": (tree("state.json", "clock", "frames", value="many"), "clock.frames is a str"),
    "a module that is missing": (tree("state.json", "unknown", value={}), "without a module"),
    "a generator of numpy.random's functions": (
        tree("state.json", "streams", value={"$generator": {"bit_generator": "test"}}),
        "'test' is no bit generator",
    ),
    "a type that is a function": (tree("state.json", "streams", value={"$dtype": "save"}), "'save' is no dtype"),
    "a state that is a number": (whole("state.json", "7"), "no modules|state"),
    "seconds that are text": (tree("session.json", "seconds", value="x"), "could not convert"),
    "a session that is a list": (whole("session.json", "[]"), "mappings"),
}  # fmt: skip


@pytest.mark.parametrize("case", CONTENTS)
def test_the_checkpoint_before_is_used_and_said(case: str, run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change, word = CONTENTS[case]
    folder = newest(run_dir)
    change(folder)
    seal(folder, json.loads((folder / "manifest.json").read_bytes()))
    assert main(["resume", str(run_dir), "-s", "trainer.total_frames=192"]) == 0
    said = capsys.readouterr().err
    assert any(folder.name in line and re.search(word, line) for line in said.splitlines()), said
    assert "going back to the checkpoint before it" in said
    assert (run_dir / "checkpoints/damaged" / folder.name).is_dir()
    assert json.loads((run_dir / "summary.json").read_text())["frames"] == 192


def test_where_no_checkpoint_can_be_taken_up_none_is_moved(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = CheckpointStore(run_dir / "checkpoints")
    names = store.names()
    for name in names:
        tree("state.json", "clock", value=[])(store.folder / name)
        seal(store.folder / name, json.loads((store.folder / name / "manifest.json").read_bytes()))
    assert main(["resume", str(run_dir), "-s", "trainer.total_frames=192"]) == 5
    assert "clock is a list" in capsys.readouterr().err
    assert store.names() == names


MANIFESTS: dict[str, Any] = {
    "files": [], "frames": "x", "updates": -1, "recipe": None, "exact": "very", "exact_reason": 5, "versions": [],
    "backend": "../os", "format": 10**30,
}  # fmt: skip
FACES: dict[str, Any] = {
    "a shape of 1e9": {"type": "Box", "shape": [10**9], "dtype": "float32", "low": ["0"], "high": ["1"]},
    "two dimensions of 1e9": {"type": "Box", "shape": [10**9] * 2, "dtype": "float32", "low": ["0"], "high": ["1"]},
    "more numbers than weights": {"type": "Box", "shape": [1 << 22], "dtype": "float32", "low": ["0"], "high": ["1"]},
    "a choice of 1e9": {"type": "Discrete", "n": 10**9, "start": 0},
    "a negative shape": {"type": "Box", "shape": [-1], "dtype": "float32", "low": ["0"], "high": ["1"]},
    "objects": {"type": "Box", "shape": [4], "dtype": "O", "low": ["0"], "high": ["1"]},
    "no space": {"type": "Anything"}, "no mapping": [], "another size": {"type": "Discrete", "n": 3, "start": 0},
}  # fmt: skip


@pytest.mark.parametrize("key", MANIFESTS)
def test_a_manifest_of_the_wrong_kind(key: str, run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = newest(run_dir)
    seal(folder, {**json.loads((folder / "manifest.json").read_bytes()), key: MANIFESTS[key]})
    assert main(["evaluate", str(folder), "-n", "1"]) == 5
    said = capsys.readouterr().err
    assert key in said
    assert "--debug" not in said


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("side", ["observation_space", "action_space"])
def test_a_space_of_the_wrong_kind(side: str, face: str, run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = newest(run_dir)
    tree("policy.json", side, value=FACES[face])(folder)
    seal(folder, json.loads((folder / "manifest.json").read_bytes()))
    assert main(["evaluate", str(folder), "-n", "1"]) == 5
    said = capsys.readouterr().err
    assert folder.name in said
    assert "--debug" not in said


@pytest.mark.parametrize("content", ["[]", "7", "{", "{}", '{"state": 5, "exact": "exact"}', "[" * 100_000])
def test_a_status_that_is_none(content: str, run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run_dir / "status.json").write_text(content)
    assert main(["resume", str(run_dir), "-s", "trainer.total_frames=192"]) == 5
    assert "status.json" in capsys.readouterr().err
    assert main(["status", str(run_dir), "--json"]) in (0, 2)
    assert "--debug" not in capsys.readouterr().err


@pytest.mark.parametrize("pointer", ["../../x", "", "x" * 10_000, "\udcff", "000000000064-0000000002/../../.."])
def test_a_pointer_that_leads_elsewhere_is_none(
    pointer: str, run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for which in ("latest", "best"):
        (run_dir / "checkpoints" / which).write_bytes(pointer.encode("utf-8", "surrogateescape"))
    assert main(["evaluate", str(run_dir), "-n", "1"]) == 0
    assert main(["evaluate", str(run_dir), "--best", "-n", "1"]) == 5
    assert "no best checkpoint" in capsys.readouterr().err


@pytest.mark.parametrize("file", ["state.json", "policy.safetensors", "manifest.json", "../../status.json"])
def test_a_file_of_holes_is_refused_before_it_is_read(
    file: str, run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = newest(run_dir)
    own(folder / file)
    os.truncate(folder / file, 1 << 36)
    manifest = json.loads((newest(run_dir) / "manifest.json").read_bytes()) if file in ("state.json", POLICY) else None
    if manifest is not None:
        manifest["files"][file] = {"sha256": hashlib.sha256(b"").hexdigest(), "bytes": 1 << 36}
        (folder / file).rename(folder / "aside")
        seal(folder, manifest)
        (folder / "aside").rename(folder / file)
    assert main(["resume", str(folder), "-s", "trainer.total_frames=192"]) == 5
    assert "bytes" in capsys.readouterr().err


def test_rows_that_are_none_are_told_before_anything_is_trained(
    run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = (run_dir / "metrics.jsonl").read_bytes()
    (run_dir / "metrics.jsonl").write_bytes(b"[" + lines[1:])
    assert main(["resume", str(run_dir), "-s", "trainer.total_frames=192"]) == 5
    assert "line 1 of" in capsys.readouterr().err


def test_networks_larger_than_what_is_kept_are_not_built(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = newest(run_dir)
    manifest = json.loads((folder / "manifest.json").read_bytes())
    manifest["recipe"]["networks"]["policy"]["num_cells"] = [10**6, 10**6]
    seal(folder, manifest)
    assert main(["evaluate", str(folder), "-n", "1"]) == 5
    assert re.search(r"networks have 1,000,0\d\d,\d+,\d+ parameters, and it holds \d", capsys.readouterr().err)


def test_imports_of_another_kind_are_told_as_those_of_a_recipe(
    run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = newest(run_dir)
    manifest = json.loads((folder / "manifest.json").read_bytes())
    manifest["recipe"]["imports"] = [[]]
    seal(folder, manifest)
    assert main(["evaluate", str(folder), "-n", "1"]) == 3
    assert "E102 at imports.0: expected a text" in capsys.readouterr().err


def test_an_action_space_that_starts_elsewhere_is_not_the_environments(
    run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = newest(run_dir)
    tree("policy.json", "action_space", "start", value=10**9)(folder)
    seal(folder, json.loads((folder / "manifest.json").read_bytes()))
    assert main(["evaluate", str(folder), "-n", "1"]) == 2
    assert "start=1000000000" in capsys.readouterr().err
