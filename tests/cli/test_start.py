"""Commands that only read recipes start fast: they load neither torch nor numpy."""

import subprocess
import sys
from pathlib import Path

import pytest

FIXTURES = Path(__file__).parent.parent / "fixtures/recipes"
COMMANDS = [
    ["--help"],
    ["run", "--help"],
    ["validate", "--static", str(FIXTURES / "six_mistakes.yaml")],
    ["list"],
    ["describe", "algorithm/ppo"],
    ["schema"],
    ["show", str(FIXTURES / "six_mistakes.yaml"), "-s", "seed=1"],
    ["init"],
]
CODE = """
import sys
from rlrecipe.cli import main
main(sys.argv[1:])
heavy = {"torch", "numpy", "gymnasium", "tensordict", "torchrl"} & set(sys.modules)
sys.exit(f"loaded: {heavy}" if heavy else 0)
"""


@pytest.mark.parametrize("arguments", COMMANDS, ids=lambda arguments: arguments[0])
def test_nothing_heavy_is_loaded(arguments: list[str]) -> None:
    done = subprocess.run([sys.executable, "-c", CODE, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
