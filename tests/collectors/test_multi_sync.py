import dataclasses
import os
import re
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rlrecipe.builders import make_loss, sync_sync_collector
from rlrecipe.collectors.workers import WorkerError
from rlrecipe.runs.verify import verify
from tests import small
from tests.collectors import multi

NORMALISED = small.changed(
    small.changed(multi.MULTI_SYNC, ("env", "transforms"), ["observation_norm", "reward_norm"]),
    ("env", "env_name"),
    "Pendulum-v1",
)
STALE = {
    **small.TD3,
    "env": {"env_name": "Pendulum-v1", "num_envs": 3, "transforms": ["observation_norm"]},
    "exploration": {"name": "ornstein_uhlenbeck", "sigma": {"name": "linear", "start": 0.5, "end": 0.1}},
    "collector": {**multi.MULTI_SYNC["collector"], "init_random_frames": 96, "update_weights_interval": 3},
    "trainer": {"total_frames": 384, "log_interval": 96, "updates_per_frame": 0.15},
    "checkpoint": {"every": 96, "keep_last": 100},
}


def as_sync(recipe: Any) -> Any:
    return {**recipe, "collector": {key: value for key, value in recipe["collector"].items()
                                    if key not in ("name", "num_workers", "update_weights_interval")}}  # fmt: skip


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_a_run_is_that_of_the_sync_collector(workers: int, tmp_path: Path) -> None:
    small.train(as_sync(multi.MULTI_SYNC), tmp_path / "sync")
    small.train(multi.MULTI_SYNC, tmp_path / "multi", f"collector.num_workers={workers}")
    assert small.outcome_of(tmp_path / "multi") == small.outcome_of(tmp_path / "sync")


def test_off_policy_exploration_and_random_actions_are_those_of_the_sync_collector(tmp_path: Path) -> None:
    recipe = {**small.DQN, "collector": {**multi.MULTI_ASYNC["collector"], "name": "multi_sync"}}
    small.train(as_sync(recipe), tmp_path / "sync")
    small.train(recipe, tmp_path / "multi")
    assert small.outcome_of(tmp_path / "multi") == small.outcome_of(tmp_path / "sync")


@pytest.mark.parametrize("recipe", [NORMALISED, STALE], ids=["normalised", "stale"])
def test_the_same_recipe_and_seed_give_the_same_bytes_twice(recipe: Any, tmp_path: Path) -> None:
    for name in ("one", "other"):
        assert small.train(recipe, tmp_path / name).outcome.code == 0
    assert small.outcome_of(tmp_path / "one") == small.outcome_of(tmp_path / "other")


@pytest.mark.parametrize("recipe", [NORMALISED, STALE], ids=["normalised", "stale"])
def test_a_run_killed_anywhere_ends_as_the_one_that_was_not(recipe: Any, tmp_path: Path) -> None:
    whole, killed = small.snapshots(recipe, tmp_path)
    expected = small.outcome_of(whole)
    assert expected["summary"]["exact"] == "exact"
    assert len(killed) == 8
    for run_dir in killed:
        assert small.go_on(run_dir).outcome.code == 0
        assert small.outcome_of(run_dir) == expected, run_dir.name


def test_a_run_is_verified(tmp_path: Path) -> None:
    small.train(NORMALISED, tmp_path / "run")
    stretches = verify(tmp_path / "run").stretches
    assert len(stretches) == 4
    assert [stretch.difference for stretch in stretches] == [None] * 4


def test_statistics_are_one_and_stand_still_within_a_batch() -> None:
    one: Any = small.build(NORMALISED).trainer.collector
    other: Any = small.build(as_sync(NORMALISED)).trainer.collector
    first, second = one.collect(), other.collect()
    moments, same = one.transforms[0].moments, other.transforms[0].moments
    # The first batch is acted with the statistics of before any frame: as they are, but for the bound.
    radius = first["observation"][..., 0] ** 2 + first["observation"][..., 1] ** 2
    np.testing.assert_allclose(radius, 1.0, atol=1e-5)
    assert int(moments.count) == int(same.count) == 96 + 3
    assert first["next", "reward"].shape == second["next", "reward"].shape
    before = moments.mean.copy(), moments.var.copy()
    shown = one.collect()["observation"].numpy()
    raw = one.arrays["following"][:-1]
    expected = np.clip((raw - before[0]) / np.sqrt(before[1] + 1e-8), -10, 10)
    np.testing.assert_allclose(shown[1:], expected, atol=1e-5)
    one.close()
    other.close()


def test_rewards_are_scaled_as_by_the_sync_collector() -> None:
    recipe = small.changed(NORMALISED, ("env", "transforms"), ["reward_norm"])
    one, other = small.build(recipe).trainer.collector, small.build(as_sync(recipe)).trainer.collector
    for _ in range(2):
        a, b = one.collect(), other.collect()
        for key, value in a.items():
            np.testing.assert_allclose(value, b[key], rtol=2e-5, atol=1e-6)
    one.close()


def test_a_batch_is_the_same_memory_each_time_and_shared() -> None:
    policy = make_loss("ppo", env="CartPole-v1").policy
    collector: Any = sync_sync_collector({"env_name": "CartPole-v1", "num_envs": 2}, policy, frames_per_batch=8)
    batch = collector.collect()
    assert batch["observation"].shape == (4, 2, 4)
    assert batch["observation"].data_ptr() == collector.collect()["observation"].data_ptr()
    assert multi.open_files()
    before = multi.pids(collector)
    collector.close()
    del batch
    assert not any(multi.alive(pid) for pid in before)
    assert not multi.open_files()


def test_weights_are_sent_when_somebody_asks_for_it() -> None:
    built = small.build(STALE)
    collector: Any = built.trainer.collector
    sent = []
    for step in range(4):
        built.trainer.update.parameters.flat.fill_(float(step))
        if step == 2:
            collector.update_policy_weights_()
        collector.collect()
        sent.append(float(collector.arrays["weights"][0, 0]))
    collector.close()
    assert sent == [0.0, 0.0, 2.0, 2.0]


def test_a_killed_worker_ends_the_run_which_can_be_resumed(tmp_path: Path) -> None:
    small.train(multi.MULTI_SYNC, tmp_path / "whole")
    session = small.open_session(multi.MULTI_SYNC, tmp_path / "run")
    collector: Any = session.trainer.collector
    seen: list[int] = []

    def kill() -> None:
        if session.clock.frames == 192:
            seen.extend(multi.pids(collector))
            os.kill(seen[1], signal.SIGKILL)

    session.trainer.boundaries.append(kill)
    outcome = session.train()
    assert (outcome.code, outcome.state) == (1, "failed")
    assert outcome.reason == (
        f"WorkerError: worker 1 (environments 1 to 2, process {seen[1]}) was ended by SIGKILL; the system does that "
        "when memory runs out"
    )
    assert not any(multi.alive(pid) for pid in seen)
    session.run.unlock()
    assert small.go_on(tmp_path / "run").outcome.code == 0
    assert small.outcome_of(tmp_path / "run") == small.outcome_of(tmp_path / "whole")


def test_an_environment_that_fails_in_a_worker_says_so_itself(own_components: None, tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    flag.touch()
    env = {"name": "troubled", "num_envs": 2, "fails_at": 80, "fails_while": str(flag)}
    recipe = {**multi.MULTI_SYNC, "env": env, "evaluation": {"every": None, "episodes": 1}}
    recipe["collector"] = {**recipe["collector"], "frames_per_batch": 64}
    result = small.train(recipe, tmp_path / "run", imports=[str(multi.TROUBLED)])
    assert result.outcome.code == 1
    expected = r"WorkerError: worker [01] \(environment [01], process \d+\) failed: ValueError: the cable is out"
    assert re.fullmatch(expected, result.outcome.reason)
    log = (tmp_path / "run/run.log").read_text()
    assert "troubled.py" in log
    assert 'raise ValueError("the cable is out")' in log
    flag.unlink()
    assert small.go_on(tmp_path / "run", imports=[str(multi.TROUBLED)]).outcome.code == 0


def test_a_file_that_changed_since_is_not_run_in_a_worker(own_components: None, tmp_path: Path) -> None:
    file = tmp_path / "troubled.py"
    file.write_text(multi.TROUBLED.read_text())
    recipe = {**multi.MULTI_SYNC, "env": {"name": "troubled", "num_envs": 2}, "imports": [str(file)]}
    from rlrecipe.assembly.assemble import make_trainer
    from rlrecipe.recipe.load import load

    collector = make_trainer(load(recipe, ["collector.frames_per_batch=64"], trust_imports=True).recipe)
    file.write_text(multi.TROUBLED.read_text() + "\nraise SystemExit\n")
    with pytest.raises(WorkerError, match="has changed since the run loaded it"):
        collector.trainer.collector.collect()


def test_what_cannot_be_sent_is_told() -> None:
    built = small.build(multi.MULTI_SYNC)
    collector: Any = built.trainer.collector
    collector.environments = dataclasses.replace(collector.environments, seed=(i for i in range(3)).__next__)
    with pytest.raises(TypeError, match=r"cannot be sent what it needs.*collect with the collector sync"):
        collector.collect()


@pytest.mark.parametrize(
    ("change", "path", "message"),
    [
        ("collector.num_workers=4", "collector.num_workers", "4 workers cannot share 3 environments out"),
        ("collector.update_weights_interval=2", "collector.update_weights_interval", "up to 2 batches old"),
        ("collector.frames_per_batch=32", "collector.frames_per_batch", "32 frames cannot be shared among 3"),
    ],
)
def test_what_does_not_fit_is_refused(change: str, path: str, message: str) -> None:
    found = small.problems(multi.MULTI_SYNC, change)
    assert [(code, where) for code, where, _, _ in found] == [("E302", path)]
    assert message in found[0][2]


def test_building_a_trainer_starts_no_processes() -> None:
    built = small.build(multi.MULTI_SYNC)
    collector: Any = built.trainer.collector
    assert collector.workers == []
    assert collector.state_dict()["workers"] is None
    assert built.exact == "exact"
    collector.close()


@pytest.mark.skipif(not Path("/proc/self/maps").is_file(), reason="what a process has loaded is read from /proc")
@pytest.mark.parametrize(("algorithm", "env"), [("ppo", "CartPole-v1"), ("ppo", "Pendulum-v1"), ("sac", "Pendulum-v1")])
def test_a_worker_does_without_torch(algorithm: str, env: str) -> None:
    """It would take longer to load than all the rest, and half a gigabyte."""
    policy = make_loss(algorithm, env=env).policy
    collector: Any = sync_sync_collector(env, policy, frames_per_batch=4, off_policy=algorithm == "sac")
    collector.collect()
    [pid] = multi.pids(collector)
    loaded = Path(f"/proc/{pid}/maps").read_text()
    collector.close()
    assert "libtorch" not in loaded
    assert "numpy" in loaded


def test_a_network_that_needs_torch_has_it_in_a_worker() -> None:
    network = {"name": "mlp", "num_cells": [8], "activation": "silu"}
    networks = {"policy": network, "value": network}
    recipe = {**multi.MULTI_SYNC, "networks": networks}
    one: Any = small.build(recipe).trainer.collector
    other: Any = small.build(as_sync(recipe)).trainer.collector
    batch, expected = one.collect(), other.collect()
    one.close()
    np.testing.assert_array_equal(batch["action"], expected["action"])
    np.testing.assert_array_equal(batch["observation"], expected["observation"])
