"""The arithmetic of what fits."""

import re
from pathlib import Path
from types import SimpleNamespace

import gymnasium
import numpy as np
import pytest

from rlrecipe.assembly.environments import Spaces
from rlrecipe.assembly.fitted import Fitted
from rlrecipe.assembly.memory_needed import memory_problems, row_bytes
from rlrecipe.recipe.load import load
from tests import small


def box(n: int) -> gymnasium.spaces.Box:
    return gymnasium.spaces.Box(-1.0, 1.0, (n,), np.float32)


def test_bytes_of_a_row() -> None:
    assert row_bytes(Spaces(box(17), box(6))) == 4 * (17 + 17 + 6 + 1) + 3
    assert row_bytes(Spaces(box(4), gymnasium.spaces.Discrete(2))) == 4 * (4 + 4 + 1) + 8 + 3


def test_a_disk_must_have_room_for_the_rows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    spaces = Spaces(box(3), box(3))
    storage = {"name": "memmap", "max_size": 400, "scratch_dir": str(tmp_path)}
    recipe = load({**small.TD3, "replay_buffer": {"name": "uniform", "storage": storage}}).recipe
    needed = 400 * row_bytes(spaces)
    # A disk that is full to the byte cannot be had; what is asked of the system can.
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=needed))
    assert memory_problems(Fitted(recipe, spaces)) == []
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=needed - 1))
    (problem,) = memory_problems(Fitted(recipe, spaces))
    assert problem.code == "E303"
    assert "on the disk of storage.scratch_dir" in problem.message


def test_networks_must_fit() -> None:
    spaces = Spaces(box(3), box(3))
    networks = {"policy": {"name": "mlp", "num_cells": [10**6, 10**6]}}
    (problem,) = memory_problems(Fitted(load({**small.TD3, "networks": networks}).recipe, spaces))
    assert (problem.code, problem.path) == ("E303", ("networks",))
    assert re.match(r"networks of 1000\d{9} parameters, .* need 149\d\d\.\d GiB", problem.message)
    assert problem.suggestion == "make their layers smaller"
