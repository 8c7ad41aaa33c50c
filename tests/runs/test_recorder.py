"""Rows of a run: what a speed counts."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from rlrecipe.trainers import updates
from tests import small


def test_a_speed_leaves_out_the_seconds_of_compiling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A first update that took an hour to get ready for: with it, no speed could be above a frame a second."""
    seconds = iter((0.0, 3600.0))
    monkeypatch.setattr(updates, "time", SimpleNamespace(monotonic=lambda: next(seconds)))
    small.train(small.CARTPOLE, tmp_path / "run")
    first, *rest = [
        row["time/frames_per_second"]
        for row in map(json.loads, (tmp_path / "run" / "metrics.jsonl").read_text().splitlines())
        if "time/seconds" in row
    ]
    assert first > 1e6
    assert 0 < max(rest) < 1e6
