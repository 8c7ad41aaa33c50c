import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rlrecipe.recipe.registry import find
from rlrecipe.replay.segment_tree import SumTree, missing, sum_tree
from tests.replay.small import needs_trees


def inner_sums(tree: SumTree, size: int) -> list[float]:
    """Every node that covers two numbers or more; those of a range that lies beyond ``size`` are 0."""
    sums, width = [], 2
    while width <= tree.capacity:
        sums += [tree.query(first, first + width) for first in range(0, size, width)]
        width *= 2
    return sums


numbers = st.floats(1e-9, 1e9)


@needs_trees
@settings(deadline=None, max_examples=200)
@given(st.integers(1, 40), st.data())
def test_sums_follow_from_the_numbers_alone(size: int, data: st.DataObject) -> None:
    """Whatever the order in which they were set: so a tree is saved as its numbers."""
    one, other = sum_tree(size), sum_tree(size)
    updates = st.lists(st.tuples(st.integers(0, size - 1), numbers), min_size=1, max_size=30)
    for group in data.draw(st.lists(updates, max_size=5)):
        index, value = np.array([i for i, _ in group]), np.array([v for _, v in group])
        one[index] = value
    leaves = one[np.arange(size)]
    other[np.arange(size)] = leaves
    assert leaves.tobytes() == other[np.arange(size)].tobytes()
    assert inner_sums(one, size) == inner_sums(other, size)
    mass = np.linspace(0, one.query(0, size), 50)
    assert np.array_equal(one.scan_lower_bound(mass), other.scan_lower_bound(mass))


@needs_trees
@settings(deadline=None, max_examples=100)
@given(st.lists(numbers, min_size=1, max_size=40), st.lists(st.floats(0, 0.999), min_size=1, max_size=20))
def test_a_mass_finds_its_number(values: list[float], shares: list[float]) -> None:
    tree = sum_tree(len(values))
    tree[np.arange(len(values))] = np.array(values)
    sums = np.cumsum(values)
    mass = np.array(shares) * sums[-1]
    found = tree.scan_lower_bound(mass)
    # Sums of another order differ in the last digits.
    near = 1e-12 * sums[-1]
    assert (sums[found] >= mass - near).all()
    assert (sums[found] - np.array(values)[found] <= mass + near).all()


@needs_trees
def test_of_one_number_set_twice_the_last_holds() -> None:
    tree = sum_tree(4)
    tree[np.array([1, 2, 1])] = np.array([5.0, 6.0, 7.0])
    assert tree[np.arange(4)].tolist() == [0, 7, 6, 0]
    assert tree.query(0, 4) == 13


def test_which_versions_of_torch_fit() -> None:
    """As the cure says; of later versions nobody knows."""
    assert find("replay_buffer", "prioritized").traits.probe is missing
    fits = {"2.13": False, "2.14": True, "2.15": True}
    version = ".".join(torch.__version__.split(".")[:2])
    assert version not in fits or fits[version] == (missing() is None)


PRIORITIZED = {
    "env": "CartPole-v1",
    "algorithm": "dqn",
    "replay_buffer": {"name": "prioritized"},
    "trainer": {"total_frames": 1000},
}


def in_a_process(code: str, folder: Path | None = None) -> str:
    before = [str(folder)] if folder is not None else []
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([*before, os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    return done.stdout


@pytest.mark.parametrize("compiled", [False, True], ids=["absent", "broken"])
def test_a_compiled_part_that_does_not_load_is_told_with_its_cure(compiled: bool, tmp_path: Path) -> None:
    package = tmp_path / "torchrl"
    package.mkdir()
    (package / "__init__.py").touch()
    if compiled:
        (package / f"_torchrl{sysconfig.get_config_var('EXT_SUFFIX')}").write_bytes(b"not an ELF file" * 10)
    code = (
        "from rlrecipe.assembly.trial import Trial\n"
        "from rlrecipe.recipe.load import load\n"
        f"(problem,) = Trial(load({PRIORITIZED}).recipe, captures=False).problems\n"
        "print(problem.code, problem.path, problem.message, problem.suggestion, sep='\\n')"
    )
    line = in_a_process(code, tmp_path).splitlines()
    assert line[:2] == ["E401", "('replay_buffer', 'name')"]
    assert line[2].startswith("prioritized needs torchrl's compiled part, which does not load: torchrl 0.")
    assert ("invalid ELF header" if compiled else "there is no torchrl._torchrl") in line[2]
    assert "pip install 'torch>=" in line[3]
    assert "replay_buffer.name: uniform" in line[3]


@needs_trees
def test_torchrl_is_not_imported_and_can_be_later() -> None:
    code = (
        "import sys\n"
        "from rlrecipe.replay.segment_tree import sum_tree\n"
        "tree = sum_tree(3)\n"
        "assert 'torchrl' not in sys.modules\n"
        "from torchrl.data.replay_buffers.samplers import prioritized\n"
        "assert type(tree) is prioritized.SumSegmentTreeFp64\n"
        "assert type(sum_tree(3)) is type(tree)\n"
        "print('fine')"
    )
    assert in_a_process(code) == "fine\n"
