"""An environment whose package is missing: E401 and the command that installs it, whatever the command was."""

import sys
from pathlib import Path
from typing import Any

import pytest

from rlrecipe.envs.torchrl import CALLED, PACKAGES, environments
from tests import small
from tests.cli.command import Commands

LUNAR = small.changed(small.CARTPOLE, ("env", "env_name"), "LunarLander-v3")


@pytest.fixture
def commands(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    monkeypatch.chdir(tmp_path)
    return Commands(capsys, tmp_path)


@pytest.mark.parametrize(
    ("name", "package"),
    [
        ("PettingZooEnv", "pettingzoo"),
        ("BraxEnv", "brax"),
        ("MOGymEnv", "mo-gymnasium"),
        ("SMACv2Env", "git+https://github.com/oxwhirl/smacv2.git"),
    ],
)
def test_a_class_of_torchrls_names_its_package(name: str, package: str) -> None:
    recipe: dict[str, Any] = {**small.CARTPOLE, "env": {"name": "torchrl", "env": name, "num_envs": 2}}
    (problem,) = small.problems(recipe)
    assert (problem[0], problem[1], problem[3]) == ("E401", "env.env", f"pip install {package}")
    assert problem[2].startswith(f"{name} needs a package that is not installed")


@pytest.mark.parametrize(
    ("env", "path", "package"),
    [
        ({"name": "pettingzoo"}, "env.name", "pettingzoo"),
        ({"name": "PettingZooEnv", "kwargs": {"task": "x"}}, "env.name", "pettingzoo"),
        ({"name": "mo-gymnasium"}, "env.name", "mo-gymnasium"),
        ({"name": "openml"}, "env.name", "scikit-learn"),
        ("vmas", "env.env_name", "vmas"),
        ({"env_name": "dm_control"}, "env.env_name", "dm_control"),
    ],
)
def test_the_name_of_a_library_says_what_to_install_and_to_write(env: Any, path: str, package: str) -> None:
    (problem,) = small.problems({**small.CARTPOLE, "env": env})
    assert (problem[0], problem[1], problem[3]) == ("E401", path, f"pip install {package}")
    assert "written as env: {name: torchrl, env: " in problem[2]


@pytest.mark.parametrize(("env", "code"), [({"name": "pettingzoo"}, "E201"), ("pettingzoo", "E102")])
def test_with_its_package_the_name_of_a_library_says_what_to_write(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, env: Any, code: str
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "pettingzoo.py").touch()
    (problem,) = small.problems({**small.CARTPOLE, "env": env})
    assert problem[0] == code
    assert "env: {name: torchrl, env: PettingZooEnv}" in problem[2]


def test_every_package_is_that_of_a_class_that_can_be_named() -> None:
    assert PACKAGES.keys() <= environments()
    assert set(CALLED.values()) <= environments()


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
