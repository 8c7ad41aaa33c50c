from pathlib import Path

import pytest

from rlrecipe.checkpoint.store import CheckpointStore
from rlrecipe.recipe.errors import RecipeError
from rlrecipe.recipe.load import load
from rlrecipe.recipe.schema import CheckpointOptions
from tests import small


@pytest.mark.parametrize("backend", ["torch", "dcp"])
def test_a_run_in_another_format_is_resumed_without_a_hint(backend: str, tmp_path: Path) -> None:
    expected = small.train(small.STATEFUL, tmp_path / "safetensors").summary
    small.train(small.STATEFUL, tmp_path / "run", f"checkpoint.backend={backend}", "trainer.time_limit=200")
    result = small.go_on(tmp_path / "run", "trainer.time_limit=null")
    assert {**result.summary, **_clock(expected)} == expected
    assert small.rows(tmp_path / "run") == small.rows(tmp_path / "safetensors")
    store = CheckpointStore(tmp_path / "run/checkpoints")
    assert {store.load(name).manifest["backend"] for name in store.names()} == {backend}


def _clock(summary: dict[str, object]) -> dict[str, object]:
    return {key: summary[key] for key in ("wall_seconds", "frames_per_second")}


def test_the_format_may_change_when_a_run_goes_on(tmp_path: Path) -> None:
    small.train(small.CARTPOLE, tmp_path / "run", "checkpoint.backend=torch", "trainer.time_limit=200")
    assert small.go_on(tmp_path / "run", "checkpoint.backend=safetensors", "trainer.time_limit=null").outcome.code == 0
    store = CheckpointStore(tmp_path / "run/checkpoints")
    assert {store.load(name).manifest["backend"] for name in store.names()} == {"torch", "safetensors"}


def test_the_environment_sets_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CKPT_BACKEND", "dcp")
    assert load(small.CARTPOLE).recipe.checkpoint.backend == "dcp"
    assert load(small.CARTPOLE, ["checkpoint.backend=torch"]).recipe.checkpoint.backend == "torch"
    assert load(small.CARTPOLE, ["checkpoint.backend=null"]).recipe.checkpoint.backend == "dcp"
    assert load(small.CARTPOLE, ["checkpoint.backend=null"], environ={}).recipe.checkpoint.backend == "safetensors"


def test_the_schema_does_not_read_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CKPT_BACKEND", "dcp")
    assert CheckpointOptions().backend == "safetensors"


def test_torchsnapshot_is_answered_with_what_replaces_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RecipeError) as given:
        load(small.CARTPOLE, ["checkpoint.backend=torchsnapshot"])
    (problem,) = given.value.problems
    assert (problem.code, problem.path) == ("E102", "checkpoint.backend")
    assert "dcp" in problem.text()
    monkeypatch.setenv("CKPT_BACKEND", "torchsnapshot")
    with pytest.raises(RecipeError, match="dcp"):
        load(small.CARTPOLE)


def test_anchors_stay_beside_the_newest(tmp_path: Path) -> None:
    small.train(small.CARTPOLE, tmp_path / "run", "checkpoint.keep_last=1", "checkpoint.keep_every=128",
                "checkpoint.keep_best=false")  # fmt: skip
    frames = [int(name.split("-")[0]) for name in CheckpointStore(tmp_path / "run/checkpoints").names()]
    assert frames == [128, 256, 384, 512]
