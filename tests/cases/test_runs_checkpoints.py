"""A checkpoint costs the same however many there are, and leaves nothing in memory."""

import builtins
import gc
import io
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests import small

#: What asks the system about files.
ASKED = [(os, name) for name in ("listdir", "scandir", "stat", "lstat", "open", "rename", "mkdir", "unlink", "link")]


@pytest.mark.parametrize(
    ("recipe", "kept"),
    [(small.CARTPOLE, {"keep_last": 1000}), (small.DQN, {"keep_last": 2, "keep_every": 1})],
    ids=["ppo", "dqn"],
)
def test_a_checkpoint_costs_the_same_however_many_are_kept(
    recipe: dict[str, Any], kept: dict[str, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = {"every": 10**9, **kept}
    session = small.open_session({**recipe, "loggers": [], "checkpoint": checkpoint}, tmp_path / "run")
    work, objects, calls = list[Counter[str]](), dict[int, int](), Counter[str]()

    def counted(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            calls[name] += 1
            return function(*arguments, **named)

        return call

    def save_often() -> None:
        if work:
            return
        gc.collect()
        # What waits for the next round of the collector would count as lost for as long.
        gc.disable()
        for number in range(24):
            # As if there had been a batch.
            session.clock.frames += 2
            calls.clear()
            assert session.checkpoints.save()
            work.append(calls.copy())
            if number in (8, 23):
                objects[number] = len(gc.get_objects())
        session.clock.frames -= 48
        gc.enable()

    session.trainer.boundaries.append(save_often)
    with monkeypatch.context() as patch:
        for module, name in (*ASKED, (io, "open"), (builtins, "open")):
            patch.setattr(module, name, counted(name, getattr(module, name)))
        assert session.train().code == 0
    assert work[8] == work[15] == work[23]
    assert sum(work[23].values()) > 10
    # A few numbers and names may be added, one by one; not the hundreds of objects of an encoder.
    assert objects[23] - objects[8] <= 30
