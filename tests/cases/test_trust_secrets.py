"""Passwords, tokens and keys are refused in a recipe and written nowhere."""

import json
from pathlib import Path
from typing import Any

import pytest

from rlrecipe.cli import main
from rlrecipe.recipe.errors import RecipeError
from rlrecipe.recipe.load import load
from rlrecipe.recipe.secrets import is_secret_key, masked, masked_arguments, without_credentials
from rlrecipe.runs.progress import Display
from tests import small

BASE = {"env": "CartPole-v1", "algorithm": "ppo", "trainer": {"total_frames": 64}}
HUB = "hf_" + "A1b2C3d4" * 4
CASES: dict[str, tuple[dict[str, Any], list[str], str]] = {
    "an address": (
        {"loggers": [{"name": "mlflow", "tracking_uri": "http://user:SECRET@host"}]},
        [],
        "loggers.0.tracking_uri",
    ),
    "a token as a user": ({}, ["loggers=[{name: mlflow, tracking_uri: 'https://SECRET@h'}]"], "loggers.0.tracking_uri"),
    "a parameter": (
        {},
        ["loggers=[{name: mlflow, tracking_uri: 'https://h/?api_key=SECRET'}]"],
        "loggers.0.tracking_uri",
    ),
    "a fragment": (
        {},
        ["loggers=[{name: mlflow, tracking_uri: 'https://h/#token=SECRET'}]"],
        "loggers.0.tracking_uri",
    ),
    "an unknown option": ({"loggers": [{"name": "wandb", "api_key": "SECRET"}]}, [], "loggers.0.api_key"),
    "a tag": ({"loggers": [{"name": "mlflow", "tags": {"git_token": "SECRET"}}]}, [], "loggers.0.tags.git_token"),
    "an argument": ({"env": {"env_name": "CartPole-v1", "kwargs": {"apiKey": "SECRET"}}}, [], "env.kwargs.apiKey"),
    "an option": ({}, ["env.kwargs.password=SECRET"], "env.kwargs.password"),
    "a number": ({}, ["env.kwargs.password=73571"], "env.kwargs.password"),
    "evaluation's": ({"evaluation": {"env": {"kwargs": {"secret": ["SECRET"]}}}}, [], "evaluation.env.kwargs.secret.0"),
    "issued": ({"loggers": [{"name": "wandb", "tags": [HUB]}]}, [], "loggers.0.tags.0"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_secret_is_refused_and_not_shown(case: str) -> None:
    sections, overrides, path = CASES[case]
    with pytest.raises(RecipeError) as caught:
        load({**BASE, **sections}, overrides)
    (problem,) = caught.value.problems
    assert (problem.code, problem.path) == ("E102", path)
    assert "environment" in (problem.problem.suggestion or "")
    shown = problem.text() + json.dumps(problem.data())
    assert not any(secret in shown for secret in ("SECRET", "73571", HUB))


def test_a_secret_of_a_layer_below_is_refused_too(tmp_path: Path) -> None:
    """A run keeps the recipe as it was written."""
    file = tmp_path / "r.yaml"
    file.write_text(
        "env: CartPole-v1\nalgorithm: ppo\ntrainer: {total_frames: 64}\nloggers: [{name: csv, token: ab}]\n"
    )
    with pytest.raises(RecipeError) as caught:
        load(file, ["loggers=[]"])
    assert [problem.path for problem in caught.value.problems] == ["loggers.0.token"]


def test_a_secret_in_a_comment_is_refused_too(tmp_path: Path) -> None:
    file = tmp_path / "r.yaml"
    file.write_text("env: CartPole-v1  # see https://user:SECRET@host\nalgorithm: ppo\ntrainer: {total_frames: 64}\n")
    with pytest.raises(RecipeError) as caught:
        load(file)
    (problem,) = caught.value.problems
    assert (problem.code, problem.place.line, "SECRET" in problem.text()) == ("E102", 1, False)


def test_what_a_library_says_is_masked_in_the_log(tmp_path: Path) -> None:
    display = Display(quiet=True)
    display.log_to(tmp_path / "run.log")
    display.say("no answer from http://user:SECRET@host:5000")
    assert "http://***********@host:5000" in (tmp_path / "run.log").read_text()


def test_run_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "r.yaml").write_text(json.dumps({**BASE, **CASES["an address"][0]}))
    assert main(["run", "r.yaml", "--run-dir", "a"]) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["r.yaml"]


def test_secrets_of_the_command_line_stay_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["train.py", "--api-key", "SECRET1", "--token=SECRET2", "http://u:SECRET3@h", "--lr=3", f"--x={HUB}"]
    monkeypatch.setattr("sys.argv", words)
    small.train(small.CARTPOLE, tmp_path / "run", "trainer.total_frames=64", "evaluation={episodes: 1}")
    argv = json.loads((tmp_path / "run/provenance.json").read_text())["argv"]
    assert argv == [
        "train.py",
        "--api-key",
        "***",
        "--token=***",
        "http://*********@h",
        "--lr=3",
        "--x=" + "*" * len(HUB),
    ]
    for file in (path for path in (tmp_path / "run").rglob("*") if path.is_file()):
        assert b"SECRET" not in file.read_bytes()


def test_what_only_looks_like_one_is_taken() -> None:
    assert not any(map(is_secret_key, ("key", "keys", "in_keys", "tokenizer", "passes", "secretary", "num_envs")))
    env = {"env_name": "CartPole-v1", "kwargs": {"num_tokens": 5, "sutton_barto_reward": True}}
    loggers = [{"name": "mlflow", "tracking_uri": "http://host:5000/path@2"}]
    assert load({**BASE, "env": env, "loggers": loggers, "hooks": [{"name": "log_scalar", "key": "reward"}]})


def test_masks() -> None:
    assert masked("a: {token: 'x y', num_tokens: 5}") == "a: {token: *****, num_tokens: 5}"
    assert masked("see https://user:pw@host/a?sig=abc&b=1") == "see https://*******@host/a?sig=***&b=1"
    assert masked_arguments(["--password", "x", "y"]) == ["--password", "***", "y"]
    assert without_credentials("http://u:p@host/x") == "http://host/x"
    assert without_credentials("sqlite:////tmp/a@b.db") == "sqlite:////tmp/a@b.db"
