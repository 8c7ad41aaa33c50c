"""An environment whose package is missing: E401 and the command that installs it, whatever the command was."""

import sys
from pathlib import Path
from typing import Any

import pytest

from tests import small
from tests.cli.command import Commands

LUNAR = small.changed(small.CARTPOLE, ("env", "env_name"), "LunarLander-v3")


@pytest.fixture
def commands(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    monkeypatch.chdir(tmp_path)
    return Commands(capsys, tmp_path)


@pytest.mark.parametrize(
    ("name", "package"), [("PettingZooEnv", "pettingzoo"), ("BraxEnv", "brax"), ("MOGymEnv", "mo-gymnasium")]
)
def test_a_class_of_torchrls_names_its_package(name: str, package: str) -> None:
    recipe: dict[str, Any] = {**small.CARTPOLE, "env": {"name": "torchrl", "env": name, "num_envs": 2}}
    (problem,) = small.problems(recipe)
    assert (problem[0], problem[1], problem[3]) == ("E401", "env.env", f"pip install {package}")
    assert problem[2].startswith(f"{name} needs a package that is not installed")


def test_every_command_of_a_run_says_what_to_install(commands: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    assert commands("run", commands.recipe(LUNAR), "--run-dir", "run", "-s", "trainer.total_frames=64").code == 0
    for module in ("Box2D", "gymnasium.envs.box2d", "gymnasium.envs.box2d.lunar_lander"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, "Box2D", None)
    for words in (["validate", "recipe.yaml"], ["evaluate", "run"],
                  ["resume", "run", "-s", "trainer.total_frames=128"], ["verify", "run"],
                  ["fork", "run", "-s", "seed=1"], ["replay", "run", "--frames", "0:64"]):  # fmt: skip
        answer = commands(*words)
        told = answer.out + answer.err
        assert (answer.code, "E401" in told) == (4, True), told
        assert "pip install 'rlrecipe[box2d]'" in told
