"""An exact run is a record: any stretch of it can be done again, bit for bit."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rlrecipe import Options, register
from rlrecipe.errors import Refusal
from rlrecipe.learning.compiled import package
from rlrecipe.runs.reexecute import replay
from rlrecipe.runs.verify import verify
from tests import small


def test_a_finished_run_is_verified(finished_run: Path) -> None:
    found = verify(finished_run).stretches
    assert len(found) == 8
    assert [stretch.difference for stretch in found] == [None] * 8
    # One stretch begins where the one before ended.
    assert [stretch.end for stretch in found[:-1]] == [stretch.start for stretch in found[1:]]


def test_a_sample_spreads_over_the_run(finished_run: Path) -> None:
    every, found = verify(finished_run).stretches, verify(finished_run, 3).stretches
    assert [stretch.start for stretch in found] == [every[0].start, every[4].start, every[-1].start]


def test_halfcheetah_with_normalisation_is_verified(tmp_path: Path) -> None:
    small.train(small.HALFCHEETAH, tmp_path / "run")
    assert {stretch.difference for stretch in verify(tmp_path / "run", 3).stretches} == {None}


def test_a_stopped_and_resumed_run_is_verified(tmp_path: Path) -> None:
    small.train(small.STATEFUL, tmp_path / "run", "trainer.time_limit=150", "checkpoint.every=1e6")
    while small.go_on(tmp_path / "run").outcome.code == 75:
        pass
    assert {stretch.difference for stretch in verify(tmp_path / "run").stretches} == {None}


def test_a_changed_byte_is_named(finished_run: Path, tmp_path: Path) -> None:
    run = shutil.copytree(finished_run, tmp_path / "run")
    file = sorted((run / "checkpoints").glob("0*"))[2] / "state.safetensors"
    content = bytearray(file.read_bytes())
    content[-5] ^= 1
    file.write_bytes(content)
    found = [stretch.difference for stretch in verify(run).stretches]
    assert [difference is None for difference in found] == [True, False, False] + [True] * 5
    assert f"{file} does not match its digest" in str(found[1])


def test_a_changed_row_is_named_with_its_frame_and_key(finished_run: Path, tmp_path: Path) -> None:
    run = shutil.copytree(finished_run, tmp_path / "run")
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    changed = next(row for row in rows if "loss/value" in row)
    changed["loss/value"] += 1.0
    (run / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = [stretch.difference for stretch in verify(run).stretches if stretch.difference]
    assert len(found) == 1
    assert found[0].startswith(f"frame {changed['frames']}: loss/value in metrics.jsonl was ")


def test_a_machine_that_cannot_compile_as_the_run_did_proves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small.train(small.CARTPOLE, tmp_path / "run", "runtime.compile=on")
    assert {stretch.difference for stretch in verify(tmp_path / "run", 2).stretches} == {None}
    monkeypatch.setattr(package, "compiler", lambda: None)
    monkeypatch.setenv("RLRECIPE_CACHE", str(tmp_path / "cache"))
    found = [str(stretch.difference) for stretch in verify(tmp_path / "run", 2).stretches]
    assert len(found) == 2
    assert all(difference.startswith("it went otherwise here, which proves nothing: ") for difference in found)
    assert all("could not be compiled on this machine" in difference for difference in found)


class SecretOptions(Options):
    """Adds a secret random number to rewards."""


class Secret:
    category = "data"
    reads_mapping = True

    def register(self, trainer: Any, name: str) -> None:
        trainer.register_op("batch_process", self)

    def __call__(self, batch: Any) -> Any:
        batch["next", "reward"] += np.random.default_rng().random() * 1e-3
        return batch


def test_a_hook_that_secretly_draws_is_found_out(own_components: None, tmp_path: Path) -> None:
    @register("hook", "secret")
    def make_secret(options: SecretOptions) -> Secret:
        return Secret()

    small.train(small.changed(small.CARTPOLE, ("hooks",), ["secret"]), tmp_path / "run")
    found = [stretch.difference for stretch in verify(tmp_path / "run").stretches]
    assert all(difference is not None for difference in found)
    assert str(found[-1]).startswith("frame ")


def test_a_stretch_is_replayed_with_a_row_for_every_batch(finished_run: Path, tmp_path: Path) -> None:
    run = shutil.copytree(finished_run, tmp_path / "run")
    folder = replay(run, 130, 300, hooks=["nan_guard"])
    rows = [row for row in small.rows(folder) if "loss/value" in row]
    assert [row["frames"] for row in rows] == [192, 256, 320]
    episodes = small.rows(folder, "episodes.jsonl")
    recorded = [row for row in small.rows(run, "episodes.jsonl") if 128 < row["frames"] <= 320]
    assert episodes == recorded


def test_a_hook_that_could_change_what_is_replayed_is_refused(finished_run: Path, tmp_path: Path) -> None:
    run = shutil.copytree(finished_run, tmp_path / "run")
    with pytest.raises(Refusal, match="observer"):
        replay(run, 130, 300, hooks=[{"name": "early_stopping", "threshold": 1.0}])


def test_a_stretch_before_every_checkpoint_is_refused(tmp_path: Path) -> None:
    small.train(small.CARTPOLE, tmp_path / "run", "checkpoint.keep_last=1", "checkpoint.keep_best=false")
    with pytest.raises(Refusal, match="no checkpoint at or before frame 100"):
        replay(tmp_path / "run", 100, 200)
    assert verify(tmp_path / "run").proved == []


def test_observers_change_nothing(tmp_path: Path) -> None:
    small.train(small.CARTPOLE, tmp_path / "plain")
    small.train(small.CARTPOLE, tmp_path / "observed", "hooks=[nan_guard, {name: log_scalar, key: action}]")
    assert small.policy_bytes(tmp_path / "plain") == small.policy_bytes(tmp_path / "observed")
