import math

import pytest
import torch
from torch.fx.experimental.proxy_tensor import make_fx

from rlrecipe.learning.compiled.arithmetic import REPLACED, biased, power, tanh, tanh_
from rlrecipe.networks.mlp import MLPOptions, make_mlp
from rlrecipe.optim.adam import AdamOptions, make_adam


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
    for function in (tanh, tanh_):
        assert function(torch.ones(2, dtype=torch.float64)) is NotImplemented


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_power_of_one_number_has_its_bits(dtype: torch.dtype) -> None:
    for step in (1.0, 2.0, 77.0, 1e5, math.nan):
        exponent = torch.tensor(step, dtype=dtype)
        torch.testing.assert_close(power(0.999, exponent), torch.pow(0.999, exponent), rtol=0, atol=0, equal_nan=True)


def test_powers_of_many_numbers_and_of_integers_are_left_to_torch() -> None:
    assert power(2.0, torch.ones(3)) is NotImplemented
    assert power(0.5, torch.tensor(3)) is NotImplemented


def test_a_program_holds_no_power_in_its_loops_and_no_product_with_a_bias() -> None:
    adam = make_adam(AdamOptions())
    network = make_mlp(MLPOptions(num_cells=[8]), 3, 2)
    params = network.init(torch.Generator().manual_seed(0))

    def program(x: torch.Tensor, flat: torch.Tensor, step: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        state = {"exp_avg": torch.zeros_like(flat), "exp_avg_sq": torch.zeros_like(flat), "step": step.clone()}
        adam.step(moved := flat.clone(), flat, state, torch.full_like(flat, 0.1))
        stacked = {name: torch.stack([tensor, tensor]) for name, tensor in params.items()}
        return moved, network(params, x).sum() + network(stacked, x).sum()

    inputs = torch.randn(5, 3), torch.randn(100), torch.tensor(7.0)
    graph = make_fx(program, REPLACED)(*inputs)
    called = [node.target for node in graph.graph.find_nodes(op="call_function", target=torch.ops.aten.amax.default)]
    assert len(called) == 2, "one for each of Adam's moments"
    for product in (torch.ops.aten.addmm.default, torch.ops.aten.baddbmm.default, torch.ops.aten.pow.Scalar):
        assert not graph.graph.find_nodes(op="call_function", target=product)
    torch.testing.assert_close(graph(*inputs), program(*inputs))


def test_scaled_products_are_left_to_torch() -> None:
    assert biased(torch.ones(2), torch.ones(2, 2), torch.ones(2, 2), beta=0.5) is NotImplemented
