"""What only mirrors torchrl stands apart (``rlrecipe/torchrl``): the rooms that train know nothing of it."""

import re
from pathlib import Path

import pytest

import rlrecipe
from rlrecipe.loop.loop import Loop
from rlrecipe.loop.points import POINTS
from rlrecipe.torchrl.loop import FURTHER, AsTorchRL

PACKAGE = Path(rlrecipe.__file__).parent
#: Their batches have torchrl's keys and may be shown as TensorDicts; nothing more.
TRAIN = [
    PACKAGE / "hooks/base.py",
    *(file for room in ("loop", "learning", "acting", "stepping") for file in sorted((PACKAGE / room).rglob("*.py"))),
]


@pytest.mark.parametrize("file", TRAIN, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_what_trains_imports_nothing_of_torchrl(file: Path) -> None:
    imports = re.findall(r"^\s*(?:from|import) ([\w.]+)", file.read_text(encoding="utf-8"), re.MULTILINE)
    assert [name for name in imports if "torchrl" in name.split(".")] == []


def test_torchrls_points_and_names_are_the_wings() -> None:
    assert Loop.categories == POINTS
    assert AsTorchRL.categories == {**POINTS, **FURTHER}
    names = ("collected_frames", "_optim_count", "_log_dict", "_stop_training", "request_stop", "clip_grad_norm")
    assert [name for name in names if hasattr(Loop, name)] == []
    assert [name for name in names if not hasattr(AsTorchRL, name)] == []
