import subprocess
import sys

import pytest

import rlrecipe.assembly.assemble
import rlrecipe.builders


def test_asking_for_the_package_and_its_names_costs_neither_torch_nor_numpy() -> None:
    code = (
        "import sys, rlrecipe.builders as b\n"
        "assert 'make_dqn_loss' in dir(b)\n"
        "print([name for name in ('torch', 'torchrl', 'numpy', 'gymnasium') if name in sys.modules])\n"
        "b.make_replay_buffer\n"
        "print([name for name in ('torchrl',) if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["[]", "[]"]


@pytest.mark.parametrize("name", rlrecipe.builders.__all__)
def test_each_name_is_a_documented_function_of_the_file_that_is_named(name: str) -> None:
    function = getattr(rlrecipe.builders, name)
    assert function.__module__ == rlrecipe.builders._FILES[name]
    assert function.__name__ == name
    assert function.__doc__


def test_the_names_and_their_files_are_the_same() -> None:
    assert sorted(rlrecipe.builders._FILES) == rlrecipe.builders.__all__ == dir(rlrecipe.builders)
    assert rlrecipe.builders.make_trainer is rlrecipe.assembly.assemble.make_trainer


def test_another_name_is_refused() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'make_nothing'"):
        rlrecipe.builders.make_nothing  # noqa: B018 - asking is the test
