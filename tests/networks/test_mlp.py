import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from rlrecipe.interfaces import Entry, Network
from rlrecipe.networks.mlp import MLPOptions, make_mlp, make_mlp_encoder

ACTIVATIONS = {
    "tanh": nn.Tanh, "relu": nn.ReLU, "elu": nn.ELU, "gelu": nn.GELU, "silu": nn.SiLU, "identity": nn.Identity
}  # fmt: skip


def network(head_gain: float = 1.0, **options: Any) -> Network:
    return make_mlp(MLPOptions(num_cells=[32, 16], **options), 5, 3, head_gain)


def initial(made: Network, seed: int = 0) -> dict[str, torch.Tensor]:
    return made.init(torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("layer_norm", [False, True])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_it_is_the_sequential_of_torch(activation: str, layer_norm: bool) -> None:
    made = network(activation=activation, layer_norm=layer_norm)
    params = {name: torch.randn(value.shape) for name, value in initial(made).items()}
    layers: list[nn.Module] = []
    for i, (fan_in, fan_out) in enumerate([(5, 32), (32, 16), (16, 3)]):
        linear = nn.Linear(fan_in, fan_out)
        linear.load_state_dict({kind: params[f"{i}.{kind}"] for kind in ("weight", "bias")})
        layers.append(linear)
        if i < 2:
            if layer_norm:
                norm = nn.LayerNorm(fan_out)
                norm.load_state_dict({kind: params[f"{i}.norm.{kind}"] for kind in ("weight", "bias")})
                layers.append(norm)
            layers.append(ACTIVATIONS[activation]())
    x = torch.randn(7, 5)
    torch.testing.assert_close(made(params, x), nn.Sequential(*layers)(x), rtol=1e-5, atol=1e-5)


def test_orthogonal_weights_with_their_gains_and_zero_biases() -> None:
    params = initial(network(head_gain=0.01))
    for name, gain in (("1.weight", math.sqrt(2)), ("2.weight", 0.01)):
        rows = params[name] @ params[name].T
        torch.testing.assert_close(rows, gain**2 * torch.eye(len(rows)), rtol=1e-4, atol=1e-6)
    assert all(not params[f"{i}.bias"].any() for i in range(3))


def test_the_default_of_torchs_linear() -> None:
    params = initial(network(init="default"))
    bound = 1 / math.sqrt(5)
    assert params["0.weight"].abs().max() <= bound
    assert params["0.weight"].std() == pytest.approx(bound / math.sqrt(3), rel=0.15)
    assert params["0.bias"].any()


def test_the_generator_alone_decides() -> None:
    made = network()
    one, again, other = initial(made, 0), initial(made, 0), initial(made, 1)
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not torch.equal(one["0.weight"], other["0.weight"])


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_numpy_computes_the_same_over_the_same_memory(activation: str) -> None:
    made = network(activation=activation)
    params = initial(made)
    forward = made.numpy({name: tensor.numpy() for name, tensor in params.items()})
    assert forward is not None
    x = torch.randn(9, 5)
    kept = x.clone()
    for _ in range(2):
        np.testing.assert_allclose(forward(x.numpy()), made(params, x).numpy(), rtol=1e-5, atol=1e-5)
        params["0.weight"] += 1.0
    assert torch.equal(x, kept), "the input belongs to the caller"


@pytest.mark.parametrize("options", [{"activation": "gelu"}, {"layer_norm": True}], ids=str)
def test_what_numpy_leaves_to_torch(options: dict[str, Any]) -> None:
    made = network(**options)
    assert made.numpy({name: tensor.numpy() for name, tensor in initial(made).items()}) is None


def test_no_hidden_layer_is_a_linear_map() -> None:
    made = make_mlp(MLPOptions(num_cells=[]), 4, 2)
    params = initial(made)
    x = torch.randn(3, 4)
    torch.testing.assert_close(made(params, x), x @ params["0.weight"].T + params["0.bias"])


@pytest.mark.parametrize("layer_norm", [False, True])
def test_an_encoder_is_its_hidden_layers_over_the_chosen_columns(layer_norm: bool) -> None:
    options = MLPOptions(num_cells=[32, 16], layer_norm=layer_norm)
    encoder = make_mlp_encoder(options, {"one": Entry(1, (2,)), "other": Entry(4, (3,))})
    params = {name: torch.randn(value.shape) for name, value in encoder.init(torch.Generator()).items()}
    rows = torch.randn(4, 8)
    whole = make_mlp(options, 5, 16)
    # An identity as the last layer shows what the hidden ones give.
    last = {"2.weight": torch.eye(16), "2.bias": torch.zeros(16)}
    expected = whole({**params, **last}, rows[:, [1, 2, 4, 5, 6]])
    assert encoder.features == 16
    torch.testing.assert_close(encoder(params, rows), expected)
