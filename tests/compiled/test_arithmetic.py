import math

import pytest
import torch

from rlrecipe.compiled.arithmetic import REPLACED, tanh, tanh_


@pytest.mark.parametrize("bounds", [(1e-30, 1e-6), (1e-6, 1e-2), (1e-2, 1.0), (1.0, 8.0), (8.0, 1e30)])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_tanh_is_off_by_a_few_units_in_the_last_place(bounds: tuple[float, float], sign: float) -> None:
    low, high = map(math.log, bounds)
    x = sign * torch.exp(low + (high - low) * torch.linspace(0, 1, 200_000, dtype=torch.float64)).to(torch.float32)
    exact = torch.tanh(x.double())
    assert ((tanh(x).double() - exact) / exact).abs().max() < 5e-7
    assert tanh(x).abs().max() <= 1


def test_tanh_of_what_is_no_usual_number() -> None:
    x = torch.tensor([float("nan"), float("inf"), -float("inf"), 0.0, -0.0])
    assert tanh(x).tolist()[1:] == [1.0, -1.0, 0.0, -0.0]
    assert math.isnan(tanh(x)[0])


def test_tanh_in_place_writes_where_it_reads() -> None:
    x = torch.linspace(-3, 3, 7)
    expected = tanh(x)
    assert tanh_(x) is x
    assert torch.equal(x, expected)


def test_other_precisions_are_left_to_torch() -> None:
    for function in REPLACED.values():
        assert function(torch.ones(2, dtype=torch.float64)) is NotImplemented
