"""``--init-from`` with any normalisers: what both runs have is taken, what one has alone is said."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rlrecipe.checkpoint.store import CheckpointStore
from rlrecipe.errors import Refusal
from tests import small
from tests.cli.command import Commands

SHORT = {**small.CARTPOLE, "trainer": {"total_frames": 128, "log_interval": 64}}
#: The first batch only, of which nothing is learned.
FROZEN = ("optimizer={name: sgd, lr: 0}", "trainer.total_frames=64")


@pytest.fixture
def first(tmp_path: Path) -> Path:
    small.train(_normalised("observation_norm", "reward_norm"), tmp_path / "first")
    return tmp_path / "first"


def _normalised(*transforms: str) -> dict[str, Any]:
    return small.changed(SHORT, ("env", "transforms"), list(transforms))


def _statistics(run_dir: Path, transform: str) -> dict[str, Any]:
    checkpoint = CheckpointStore(run_dir / "checkpoints").newest()
    assert checkpoint is not None
    return dict(checkpoint.statistics(transform))


def test_both_normalisers_go_on_from_their_statistics(first: Path, tmp_path: Path) -> None:
    small.train(_normalised("observation_norm", "reward_norm"), tmp_path / "second", *FROZEN, init_from=first)
    for transform, rows in (("observation_norm", 66), ("reward_norm", 64)):
        before, after = _statistics(first, transform), _statistics(tmp_path / "second", transform)
        assert float(after["count"]) == pytest.approx(float(before["count"]) + rows)
        assert np.shape(after["mean"]) == np.shape(before["mean"])
        assert not np.allclose(after["mean"], 0)


@pytest.mark.parametrize(
    ("transforms", "said"),
    [
        (["observation_norm"], "the statistics of reward_norm in {} are left behind: this recipe has no reward_norm"),
        (["reward_norm"], "the statistics of observation_norm in {} are left behind"),
        (["observation_norm", "reward_norm", "reward_norm"], "{} has no statistics for reward_norm.1"),
    ],
)
def test_a_normaliser_of_one_side_only_is_said(
    rlrecipe: Commands, first: Path, transforms: list[str], said: str
) -> None:
    file = rlrecipe.recipe(_normalised(*transforms))
    answer = rlrecipe("run", file, "--run-dir", "second", "--init-from", first, "-s", FROZEN[1])
    assert answer.code == 0, answer.err
    assert said.format(max((first / "checkpoints").glob("0*"))) in answer.err
    assert answer.err.count("warning:") == 1


def test_a_new_normaliser_begins_anew(rlrecipe: Commands) -> None:
    rlrecipe("run", rlrecipe.recipe(SHORT), "--run-dir", "plain")
    file = rlrecipe.recipe(_normalised("observation_norm"))
    answer = rlrecipe("run", file, "--run-dir", "second", "--init-from", "plain", "-s", FROZEN[1])
    assert answer.code == 0, answer.err
    assert "has no statistics for observation_norm: they begin anew" in answer.err


def test_an_off_policy_run_takes_reward_statistics(tmp_path: Path) -> None:
    recipe = small.changed(small.DQN, ("env", "transforms"), ["reward_norm", "observation_norm"])
    for name, more in (("first", {}), ("second", {"init_from": tmp_path / "first"})):
        small.train(recipe, tmp_path / name, "trainer.total_frames=128", **more)
    counts = [float(_statistics(tmp_path / name, "reward_norm")["count"]) for name in ("first", "second")]
    assert counts[1] == pytest.approx(2 * counts[0], abs=1)


@pytest.mark.parametrize(
    ("change", "misfits"),
    [
        ("networks.policy.num_cells=[16]", ["policy.0.weight is [8, 4] there and [16, 4] here"]),
        (
            "networks.policy.num_cells=[8, 8]",
            ["policy.2.weight [2, 8] is not there", "policy.1.weight is [2, 8] there"],
        ),
    ],
)
def test_every_name_that_does_not_fit_is_named(first: Path, tmp_path: Path, change: str, misfits: list[str]) -> None:
    with pytest.raises(Refusal) as refused:
        small.train(_normalised("observation_norm"), tmp_path / "second", change, init_from=first)
    assert all(misfit in str(refused.value) for misfit in misfits)
    assert "the same networks" in str(refused.value)
    assert not (tmp_path / "second").exists()


def test_statistics_of_another_observation_are_named(first: Path, tmp_path: Path) -> None:
    recipe = {**_normalised("observation_norm"), "algorithm": "ppo", "collector": {"frames_per_batch": 128}}
    recipe["env"] = {"env_name": "Acrobot-v1", "num_envs": 2, "transforms": ["observation_norm"]}
    with pytest.raises(Refusal, match=r"the statistics of observation_norm: mean is \[4\] there and \[6\] here"):
        small.train(recipe, tmp_path / "second", init_from=first)


def test_the_provenance_names_what_it_began_with(first: Path, tmp_path: Path) -> None:
    small.train(_normalised("observation_norm"), tmp_path / "second", *FROZEN, init_from=first)
    told = json.loads((tmp_path / "second/provenance.json").read_text())["init_from"]
    store = CheckpointStore(first / "checkpoints")
    newest = store.load(store.names()[-1])
    assert told == {"checkpoint": str(newest.folder), "digest": newest.manifest["digest"]}
