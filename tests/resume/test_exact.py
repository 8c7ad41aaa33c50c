from pathlib import Path

import pytest

from tests import small

#: Environments of each of the three ways to save one: attributes, MuJoCo's own state, replayed actions.
RECIPES = {
    "cartpole": small.STATEFUL,
    "halfcheetah": small.HALFCHEETAH,
    "dqn": {
        **small.DQN,
        "algorithm": {
            "name": "dqn",
            "n_steps": 3,
            "double": True,
            "dueling": True,
            "target": {"name": "hard", "every": 100},
        },
        "env": {"env_name": "CartPole-v1", "num_envs": 2, "transforms": ["observation_norm", "reward_norm"]},
        "replay_buffer": {**small.DQN["replay_buffer"], "name": "prioritized"},
    },
    "td3": {
        **small.TD3,
        "env": {"env_name": "Pendulum-v1", "num_envs": 2, "transforms": ["observation_norm"]},
        "exploration": "ornstein_uhlenbeck",
        "optimizer": {"name": "adam", "lr": 1e-2, "schedule": "linear", "groups": {"policy": {"lr": 1e-3}}},
    },
    "sac": {**small.TD3, "algorithm": {"name": "sac", "n_steps": 2}, "hooks": ["nan_guard"]},
    "bipedalwalker": {**small.STATEFUL, "env": {"env_name": "BipedalWalker-v3", "num_envs": 2}},
}


@pytest.mark.parametrize("name", RECIPES)
def test_the_same_recipe_and_seed_give_the_same_bytes_twice(name: str, tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    small.train(RECIPES[name], one)
    small.train(RECIPES[name], other)
    assert small.outcome_of(one) == small.outcome_of(other)


def test_another_seed_gives_other_bytes(tmp_path: Path, finished_run: Path) -> None:
    small.train(small.STATEFUL, tmp_path / "run", "seed=1")
    assert small.policy_bytes(tmp_path / "run") != small.policy_bytes(finished_run)
    assert small.rows(tmp_path / "run") != small.rows(finished_run)


@pytest.mark.parametrize("name", RECIPES)
def test_a_run_killed_anywhere_ends_as_the_one_that_was_not(name: str, tmp_path: Path) -> None:
    """Around each checkpoint: with rows that have to be cut, and with none."""
    whole, killed = small.snapshots(RECIPES[name], tmp_path)
    expected = small.outcome_of(whole)
    assert len(killed) == 16
    # The first was taken before there was any checkpoint: that run starts over.
    assert not (killed[0] / "checkpoints").exists()
    for run_dir in killed:
        assert small.go_on(run_dir).outcome.code == 0
        assert small.outcome_of(run_dir) == expected, run_dir.name


def test_what_was_written_after_the_checkpoint_is_cut(tmp_path: Path) -> None:
    whole, killed = small.snapshots(small.STATEFUL, tmp_path, "checkpoint.every=256")
    # Batches end at 64, 128, ...: the checkpoint of 256 lies three batches behind this copy.
    late = killed[2 * 6]
    episodes = small.rows(late, "episodes.jsonl")
    assert episodes[-1]["frames"] > 256
    assert small.rows(late)[-1]["frames"] > 256
    small.go_on(late)
    assert small.outcome_of(late) == small.outcome_of(whole)


@pytest.mark.parametrize("name", RECIPES)
def test_a_run_stopped_at_every_batch_ends_as_the_one_that_was_not(name: str, tmp_path: Path) -> None:
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    small.train(RECIPES[name], whole)
    codes = [small.train(RECIPES[name], stopped, "trainer.time_limit=1").outcome.code]
    while codes[-1] == 75:
        codes.append(small.go_on(stopped).outcome.code)
    # The limit in the last batch comes too late to stop anything.
    assert codes == [75] * 7 + [0]
    assert small.outcome_of(stopped) == small.outcome_of(whole)


def test_resuming_from_an_older_checkpoint_sets_the_newer_ones_aside(tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    small.train(small.STATEFUL, run_dir)
    expected = small.outcome_of(run_dir)
    checkpoints = run_dir / "checkpoints"
    third = sorted(path.name for path in checkpoints.glob("0*"))[3]
    assert small.go_on(checkpoints / third).outcome.reason == "trained to the end"
    assert len(list((checkpoints / "superseded").iterdir())) == 5
    assert small.outcome_of(run_dir) == expected


def test_an_extended_run_equals_one_that_was_as_long_from_the_start(tmp_path: Path) -> None:
    """Without schedules and without an evaluation at the first end, which is a row of its own."""
    recipe = {**small.CARTPOLE, "evaluation": {"every": 64, "episodes": 1}}
    recipe = small.changed(recipe, ("trainer", "log_interval"), 64)
    small.train(recipe, tmp_path / "long")
    small.train(recipe, tmp_path / "short", "trainer.total_frames=256")
    assert small.go_on(tmp_path / "short", "trainer.total_frames=512").outcome.code == 0
    assert small.outcome_of(tmp_path / "short") == small.outcome_of(tmp_path / "long")


def test_an_extended_run_keeps_its_first_horizon_unless_told(tmp_path: Path) -> None:
    recipe = {**small.CARTPOLE, "optimizer": {"name": "sgd", "lr": 0.1, "schedule": "linear"}}
    moved = {}
    for horizon in (False, True):
        run_dir = tmp_path / str(horizon)
        small.train(recipe, run_dir, "trainer.total_frames=256")
        before = small.policy_bytes(run_dir)
        small.go_on(run_dir, "trainer.total_frames=512", horizon=horizon)
        moved[horizon] = small.policy_bytes(run_dir) != before
    # The rate had reached zero at the first end.
    assert moved == {False: False, True: True}


def test_a_finished_run_is_left_as_it_is(tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    small.train(small.CARTPOLE, run_dir)
    before = {path: path.read_bytes() for path in run_dir.rglob("*") if path.is_file() and path.name != ".lock"}
    assert small.go_on(run_dir).outcome.code == 0
    after = {path: path.read_bytes() for path in run_dir.rglob("*") if path.is_file() and path.name != ".lock"}
    assert before == after


def test_a_run_without_a_checkpoint_starts_over(tmp_path: Path) -> None:
    whole, killed = small.snapshots(small.CARTPOLE, tmp_path, "checkpoint.every=1e6", "evaluation.every=null")
    assert not (killed[5] / "checkpoints").exists()
    assert small.rows(killed[5], "episodes.jsonl")
    small.go_on(killed[5])
    assert small.outcome_of(killed[5]) == small.outcome_of(whole)
