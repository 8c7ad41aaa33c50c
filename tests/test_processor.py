from pathlib import Path

import pytest

from rlrecipe.processor import cpu_facts, cpu_model

CPUINFO = """processor\t: 0
model name\t: A: fast one
flags\t\t: fpu avx

processor\t: 1
model name\t: A: fast one
flags\t\t: fpu
"""


def test_each_fact_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "read_text", lambda path: CPUINFO)
    assert cpu_facts("model name", "flags") == ["model name: A: fast one", "flags: fpu avx", "flags: fpu"]
    assert cpu_model() == "A: fast one"


def test_other_systems_tell_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(path: Path) -> str:
        raise FileNotFoundError(path)

    monkeypatch.setattr(Path, "read_text", missing)
    assert cpu_facts("flags") == []
    assert cpu_model() == ""
