import json
from pathlib import Path

import gymnasium
import numpy as np
import pytest

import rlrecipe as package
from rlrecipe.checkpoint.store import NoCheckpoint
from tests import small
from tests.cli.command import Commands
from tests.films import frames_of

NORMALISED = {
    **small.PENDULUM,
    "env": {"env_name": "Pendulum-v1", "num_envs": 2, "transforms": ["observation_norm", "reward_norm"]},
    "trainer": {"total_frames": 128},
}


@pytest.fixture(scope="module")
def normalised(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("normalised") / "run"
    assert small.train(NORMALISED, folder).outcome.code == 0
    return folder


def test_the_fields_of_the_report(rlrecipe: Commands, finished_run: Path) -> None:
    answer = rlrecipe("evaluate", finished_run, "--json", "-n", "7")
    assert answer.code == 0
    report = answer.json
    assert list(report) == [
        "episodes", "return_mean", "return_std", "return_ci95", "length_mean", "returns", "lengths", "seed",
        "checkpoint", "episodes_cut",
    ]  # fmt: skip
    assert report["episodes"] == len(report["returns"]) == len(report["lengths"]) == 7
    assert report["return_mean"] == pytest.approx(np.mean(report["returns"]))
    assert report["return_std"] == pytest.approx(np.std(report["returns"]))
    assert report["length_mean"] == pytest.approx(np.mean(report["lengths"]))
    low, high = report["return_ci95"]
    assert min(report["returns"]) <= low <= report["return_mean"] <= high <= max(report["returns"])
    assert report["seed"] == 0
    assert report["checkpoint"] == (finished_run / "checkpoints/latest").read_text().strip()


def test_the_runs_own_evaluation_can_be_repeated(rlrecipe: Commands, finished_run: Path) -> None:
    report = rlrecipe("evaluate", finished_run, "--json", "-n", "2").json
    summary = json.loads((finished_run / "summary.json").read_text())
    assert (report["return_mean"], report["return_std"]) == (summary["eval_return_mean"], summary["eval_return_std"])


def test_normalisation_is_part_of_the_policy(rlrecipe: Commands, normalised: Path) -> None:
    report = rlrecipe("evaluate", normalised, "--json", "-n", "2").json
    summary = json.loads((normalised / "summary.json").read_text())
    assert report["return_mean"] == summary["eval_return_mean"]


def test_seeds_best_and_stochastic(rlrecipe: Commands, finished_run: Path) -> None:
    base = rlrecipe("evaluate", finished_run, "--json").json
    assert rlrecipe("evaluate", finished_run, "--json").json == base
    other = rlrecipe("evaluate", finished_run, "--json", "--seed", "5").json
    assert (other["seed"], other["returns"] != base["returns"]) == (5, True)
    drawn = rlrecipe("evaluate", finished_run, "--json", "--stochastic").json
    assert drawn["returns"] != base["returns"]
    best = rlrecipe("evaluate", finished_run, "--json", "--best").json
    assert best["checkpoint"] == (finished_run / "checkpoints/best").read_text().strip()
    named = rlrecipe("evaluate", finished_run / "checkpoints" / best["checkpoint"], "--json").json
    assert named == best


def test_a_changed_environment(rlrecipe: Commands, finished_run: Path) -> None:
    skipping = rlrecipe("evaluate", finished_run, "--json", "--env", "frame_skip=2").json
    base = rlrecipe("evaluate", finished_run, "--json").json
    assert skipping["length_mean"] < base["length_mean"]


@pytest.mark.parametrize("change", ["frameskip=2", "frame_skip=0", "no-equals-sign"])
def test_a_change_that_does_not_fit_is_a_usage_error(rlrecipe: Commands, finished_run: Path, change: str) -> None:
    answer = rlrecipe("evaluate", finished_run, "--env", change)
    assert answer.code in (2, 3)
    assert "Traceback" not in answer.err


def test_people_get_one_line(rlrecipe: Commands, finished_run: Path) -> None:
    answer = rlrecipe("evaluate", finished_run)
    assert answer.out.startswith("return ")
    assert "95 % interval" in answer.out


def test_a_folder_that_does_not_exist_is_a_usage_error(rlrecipe: Commands) -> None:
    answer = rlrecipe("evaluate", "nowhere")
    assert answer.code == 2
    assert "nowhere" in answer.err


# -- load_policy


def test_a_loaded_policy_takes_one_observation_or_several(normalised: Path) -> None:
    policy = package.load_policy(normalised)
    env = gymnasium.make("Pendulum-v1")
    rows = np.stack([env.reset(seed=seed)[0] for seed in range(5)])
    actions = policy(rows)
    assert actions.shape == (5, 1)
    for row, action in zip(rows, actions, strict=True):
        assert policy(row).shape == (1,)
        np.testing.assert_allclose(policy(row), action, rtol=1e-5)
        assert env.action_space.contains(policy(row))
    assert policy.action_space == env.action_space
    assert policy.observation_space == env.observation_space


def test_a_loaded_policy_normalises(normalised: Path) -> None:
    policy = package.load_policy(str(normalised))
    (norm,) = policy.transforms
    row = np.array([[0.3, -0.2, 1.0]])
    expected = policy.policy.to_env(policy.policy.act(norm.apply(row), None))
    assert np.array_equal(policy(row), expected)
    assert not np.array_equal(policy(row), policy.policy.to_env(policy.policy.act(row.astype(np.float32), None)))
    assert norm.state_dict()["statistics"]["count"] == pytest.approx(130, abs=0.01)


def test_a_loaded_policy_draws_if_asked(normalised: Path) -> None:
    policy, row = package.load_policy(normalised), np.zeros(3)
    assert len({float(policy(row, deterministic=False)[0]) for _ in range(5)}) == 5
    assert len({float(policy(row)[0]) for _ in range(5)}) == 1


@pytest.mark.parametrize("shape", [(), (2,), (4,), (2, 4), (1, 1, 3)])
def test_other_shapes_are_refused(normalised: Path, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"an observation has the shape \(3,\)"):
        package.load_policy(normalised)(np.zeros(shape))


def test_discrete_actions_are_the_environments(finished_run: Path) -> None:
    policy, env = package.load_policy(finished_run, best=True), gymnasium.make("CartPole-v1")
    assert env.action_space.contains(policy(env.reset(seed=0)[0]))


def test_nothing_to_load(tmp_path: Path) -> None:
    with pytest.raises(NoCheckpoint, match="has no checkpoint"):
        package.load_policy(tmp_path)


def test_a_video_of_the_first_episode(rlrecipe: Commands, finished_run: Path, tmp_path: Path) -> None:
    plain = rlrecipe("evaluate", finished_run, "--json", "-n", "2").json
    answer = rlrecipe("evaluate", finished_run, "--json", "-n", "2", "--video", tmp_path / "new/film.mp4")
    assert answer.code == 0
    assert answer.json == plain
    assert len(frames_of(tmp_path / "new/film.mp4")) == plain["lengths"][0] + 1


def test_a_video_that_cannot_be_written_is_said(rlrecipe: Commands, finished_run: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("no folder")
    answer = rlrecipe("evaluate", finished_run, "-n", "1", "--video", tmp_path / "taken/film.mp4")
    assert answer.code == 4
    assert "no video: " in answer.err
    assert "make room where it goes, and see that it may be written there" in answer.err


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("film.gif", "videos are mp4; name a file that ends in .mp4"),
        ("film", "videos are mp4; name a file that ends in .mp4"),
        ("", "it is a folder; name a file, such as "),
        ("folder.mp4", "it is a folder; name a file, such as "),
    ],
)
def test_a_video_of_another_kind_is_a_usage_error(
    rlrecipe: Commands, finished_run: Path, tmp_path: Path, name: str, said: str
) -> None:
    (tmp_path / "folder.mp4").mkdir()
    answer = rlrecipe("evaluate", finished_run, "-n", "1", "--video", tmp_path / name)
    assert (answer.code, answer.out) == (2, "")
    assert f"no video can be written to {tmp_path / name}: " in answer.err
    assert said in answer.err
    assert [each.name for each in tmp_path.iterdir()] == ["folder.mp4"]
