"""Denormals are zero while a run computes, and are themselves again afterwards."""

from __future__ import annotations

import pytest
import torch

from rlrecipe.machine import flushing_denormals


def test_denormals_are_zero_inside_and_themselves_outside() -> None:
    smallest = torch.tensor(1.5e-38)
    with flushing_denormals():
        assert smallest * 0.5 == 0
    assert smallest * 0.5 > 0


def test_they_come_back_after_an_error() -> None:
    smallest = torch.tensor(1.5e-38)

    @flushing_denormals()
    def fail() -> None:
        assert smallest * 0.5 == 0
        raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert smallest * 0.5 > 0
