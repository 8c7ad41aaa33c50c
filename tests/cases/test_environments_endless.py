"""Episodes that never end: an evaluation of them does, wherever there is one, and says so; or there is none."""

import json
from pathlib import Path
from typing import Any

import pytest

import rlrecipe
from rlrecipe.runs.evaluate import evaluate
from rlrecipe.runs.load_policy import load_policy
from rlrecipe.trainers import PPOTrainer
from tests import small
from tests.cases import environments
from tests.cli.command import Commands

ENDLESS: dict[str, Any] = {
    **small.CARTPOLE,
    "env": {"env_name": "Odd-v0", "num_envs": 2, "kwargs": {"odd": "endless"}},
    "evaluation": {"every": 128, "episodes": 2, "max_steps": 30},
    "trainer": {"total_frames": 256, "log_interval": 64},
}
ENVIRONMENTS = Path(environments.__file__)


@pytest.fixture
def commands(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    monkeypatch.chdir(tmp_path)
    return Commands(capsys, tmp_path)


def test_an_endless_episode_is_cut_and_said(commands: Commands) -> None:
    answer = commands("run", commands.recipe(ENDLESS), "--run-dir", "run")
    assert answer.code == 0, answer.err
    cut = "2 of 2 episodes did not end and were cut after 30 steps (evaluation.max_steps)"
    assert answer.err.count(cut) == 1
    assert "step_counter" in answer.err
    assert "max_episode_steps" in answer.err
    evaluated = [row for row in small.rows(Path("run")) if "eval/episodes_cut" in row]
    assert [(row["frames"], row["eval/episodes_cut"], row["eval/episode_length_mean"]) for row in evaluated] == [
        (128, 2, 30.0),
        (256, 2, 30.0),
    ]
    summary = json.loads(Path("run/summary.json").read_text())
    assert (summary["eval_return_mean"], summary["eval_episodes_cut"]) == (30.0, 2)
    again = commands("evaluate", "run", "-n", "3", "--json")
    assert (again.json["lengths"], again.json["episodes_cut"]) == ([30, 30, 30], 3)
    assert "3 of 3 episodes did not end" in again.err


def test_episodes_that_end_are_not_cut(tmp_path: Path) -> None:
    """Also those whose last step is the last that there may be."""
    recipe = small.changed(ENDLESS, ("env", "kwargs"), {})
    summary = small.train(recipe, tmp_path / "run", "evaluation.max_steps=20").summary
    assert (summary["eval_return_mean"], summary["eval_episodes_cut"]) == (20.0, 0)


@pytest.mark.parametrize("cure", [{"kwargs": {"odd": "endless", "max_episode_steps": 9}},
                                  {"transforms": [{"name": "step_counter", "max_steps": 9}]}])  # fmt: skip
def test_what_the_line_says_ends_them_for_good(cure: Any, tmp_path: Path) -> None:
    recipe = {**ENDLESS, "env": {**ENDLESS["env"], **cure}}
    result = small.train(recipe, tmp_path / "run")
    assert (result.summary["eval_return_mean"], result.summary["eval_episodes_cut"]) == (9.0, 0)
    assert {row["length"] for row in small.rows(tmp_path / "run", "episodes.jsonl")} == {9}


def test_hooks_that_evaluate_are_cut_too(tmp_path: Path) -> None:
    hooks = [{"name": "log_validation_reward", "episodes": 2, "record_interval": 2}]
    result = small.train({**ENDLESS, "hooks": hooks}, tmp_path / "run")
    assert result.outcome.code == 0
    assert [row["total_r_evaluation"] for row in small.rows(tmp_path / "run") if "total_r_evaluation" in row] == [
        30.0,
        30.0,
    ]
    told = (tmp_path / "run" / "run.log").read_text()
    assert told.count("log_validation_reward: 2 of 2 episodes did not end") == 1


def test_a_trainer_in_python_cuts_them_too() -> None:
    trainer = PPOTrainer(
        ENDLESS["env"], total_frames=128, evaluation=ENDLESS["evaluation"], collector={"frames_per_batch": 64},
        minibatch_size=32, log_interval=64,
    )  # fmt: skip
    told: list[str] = []
    trainer.say = told.append
    trainer.train()
    assert trainer.rows[-1]["eval/episodes_cut"] == 2
    assert "2 of 2 episodes did not end" in told[0]


def test_without_evaluation_there_are_no_figures_and_no_best(commands: Commands) -> None:
    answer = commands("run", commands.recipe(ENDLESS), "--run-dir", "run", "-s", "evaluation.episodes=0")
    assert answer.code == 0, answer.err
    assert "not evaluated (evaluation.episodes is 0)" in answer.out
    assert not any(key.startswith("eval/") for row in small.rows(Path("run")) for key in row)
    summary = json.loads(Path("run/summary.json").read_text())
    assert {key: value for key, value in summary.items() if key.startswith("eval_")} == dict.fromkeys(
        ("eval_return_mean", "eval_return_std", "eval_episodes", "eval_episodes_cut")
    )
    best = commands("evaluate", "run", "--best")
    assert best.code != 0
    assert "it has not been evaluated" in best.err
    assert commands("evaluate", "run", "-n", "2", "--json").json["lengths"] == [30, 30]
    longer = commands("resume", "run", "-s", "trainer.total_frames=320", "--json")
    assert (longer.code, longer.json["eval_return_mean"]) == (0, None)


def test_a_run_without_evaluation_can_be_resumed_with_one(tmp_path: Path) -> None:
    assert small.train(ENDLESS, tmp_path / "run", "evaluation.episodes=0").outcome.code == 0
    longer = small.go_on(tmp_path / "run", "trainer.total_frames=320", "evaluation.episodes=2")
    assert longer.summary["eval_episodes_cut"] == 2
    assert evaluate(load_policy(tmp_path / "run", best=True), 2, say=lambda line: None)["episodes"] == 2


def test_the_result_in_python_has_no_figures_either(tmp_path: Path) -> None:
    result = rlrecipe.train(small.changed(ENDLESS, ("evaluation", "episodes"), 0), run_dir=tmp_path / "run")
    assert result.summary["eval_return_mean"] is None
