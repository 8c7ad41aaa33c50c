"""A file that was imported is found under its own name, in this process and those that it starts."""

import csv
import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import pytest

from rlrecipe import train
from rlrecipe.collectors.sent import Sent
from rlrecipe.recipe.imports import load_import
from rlrecipe.recipe.load import load
from rlrecipe.runs.load_policy import load_policy
from tests import small
from tests.cli.command import Commands

GRID = """\
import gymnasium as gym
import numpy as np


class Grid(gym.Env):
    observation_space = gym.spaces.Box(-1, 1, (2,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(2, np.float32), {}

    def step(self, action):
        return np.zeros(2, np.float32), 1.0, bool(self.np_random.random() < 0.1), False, {}


gym.registry.pop("Grid-v0", None)
gym.register("Grid-v0", ENTRY)
"""


@pytest.fixture
def commands(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Commands]:
    monkeypatch.chdir(tmp_path)
    before = set(sys.modules)
    yield Commands(capsys, tmp_path)
    gymnasium.registry.pop("Grid-v0", None)
    for name in set(sys.modules) - before:
        if name.startswith("_rlrecipe_") or name in STEMS:
            del sys.modules[name]


STEMS = ("grid", "my-grid", "parts", "csv")


def written(folder: Path, name: str = "grid", entry: str = '"grid:Grid"') -> Path:
    folder.mkdir(exist_ok=True)
    file = folder / f"{name}.py"
    file.write_text(GRID.replace("ENTRY", entry))
    return file


def recipe(**more: Any) -> dict[str, Any]:
    return {**small.changed(small.CARTPOLE, ("env", "env_name"), "Grid-v0"), **more}


@pytest.mark.parametrize("entry", ['"grid:Grid"', 'entry_point="grid:Grid"', "Grid"])
def test_an_id_is_registered_under_the_files_name(commands: Commands, entry: str) -> None:
    written(commands.folder / "own", entry=entry)
    answer = commands("validate", commands.recipe(recipe()), "--import", "own/grid.py")
    assert answer.code == 0, answer.err


def test_a_run_and_all_that_follows_it_find_the_file(commands: Commands) -> None:
    file = written(commands.folder / "own")
    commands.recipe(recipe(trainer={"total_frames": 64}))
    answer = commands("run", "recipe.yaml", "--run-dir", "run", "--import", "own/grid.py")
    assert answer.code == 0, answer.err
    file.unlink()
    sys.modules.pop("grid", None)
    for words in (["resume", "run", "-s", "trainer.total_frames=128"], ["evaluate", "run", "-n", "1"]):
        answer = commands(*words, "--trust-imports")
        assert answer.code == 0, answer.err
    load_policy(commands.folder / "run", trust_imports=True)
    assert sys.modules["grid"].__file__ == str(commands.folder / "run/imports/grid.py")
    assert json.loads((commands.folder / "run/status.json").read_text())["frames"] == 128


def test_a_worker_process_finds_the_file(commands: Commands) -> None:
    file = written(commands.folder / "own")
    collector = {"name": "multi_sync", "num_workers": 2, "frames_per_batch": 32}
    train(recipe(collector=collector, trainer={"total_frames": 32}), run_dir="run", imports=[str(file)])
    assert json.loads((commands.folder / "run/status.json").read_text())["frames"] == 32


def test_what_a_file_imports_of_another_goes_along(commands: Commands) -> None:
    one = load_import(str(written(commands.folder / "own")), commands.folder)
    (commands.folder / "parts.py").write_text("from grid import Grid\n\n\nclass Smaller(Grid):\n    pass\n")
    two = load_import("parts.py", commands.folder)
    sent = Sent(sys.modules[two.module].Smaller)
    assert [each.module for each in sent.imports if "_rlrecipe_" in each.module][-2:] == [one.module, two.module]
    assert sent.open().__mro__[1] is sys.modules[one.module].Grid


def test_the_name_stands_for_the_very_module_that_was_loaded(commands: Commands) -> None:
    file = written(commands.folder / "own")
    one = load_import(str(file), commands.folder)
    assert importlib.import_module("grid") is sys.modules[one.module]
    file.write_text(file.read_text() + "\nCHANGED = True\n")
    load_import(str(file), commands.folder)
    assert importlib.import_module("grid").CHANGED
    other = load_import(str(written(commands.folder / "other")), commands.folder)
    assert importlib.import_module("grid") is sys.modules[other.module]


def test_of_two_files_of_one_name_the_first_stays(commands: Commands) -> None:
    one, two = written(commands.folder / "own"), written(commands.folder / "other", entry="Grid")
    load(recipe(), imports=[str(one), str(two)])
    assert importlib.import_module("grid").__file__ == str(one)


def test_the_working_folder_hides_nothing_that_was_imported(
    commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(commands.folder))
    (commands.folder / "grid.py").write_text("raise RuntimeError('nobody consented')\n")
    one = load_import(str(written(commands.folder / "own")), commands.folder)
    assert importlib.import_module("grid") is sys.modules[one.module]


def test_what_is_installed_is_not_hidden(commands: Commands) -> None:
    load_import(str(written(commands.folder / "own", "csv", "Grid")), commands.folder)
    del sys.modules["csv"]
    assert importlib.import_module("csv").__file__ == csv.__file__
    sys.modules["csv"] = csv


def test_a_file_that_failed_is_not_found(commands: Commands) -> None:
    (commands.folder / "grid.py").write_text("class Grid: pass\nraise RuntimeError\n")
    assert commands("list", "--import", "./grid.py").code != 0
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("grid")


def test_a_name_need_be_no_identifier(commands: Commands) -> None:
    written(commands.folder / "own", "my-grid", '"my-grid:Grid"')
    answer = commands("validate", commands.recipe(recipe()), "--import", "own/my-grid.py")
    assert answer.code == 0, answer.err
