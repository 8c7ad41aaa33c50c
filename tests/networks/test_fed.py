"""What stands before networks: encoders and memories, shared or not, on rows and on sequences."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch

from rlrecipe.interfaces import Entry
from rlrecipe.networks.fed import Fed, Front, outer, shared
from rlrecipe.networks.gru import GRU
from rlrecipe.networks.lstm import LSTM
from rlrecipe.networks.mlp import MLP, MLPOptions
from rlrecipe.networks.one_hot import OneHot

COLUMNS, HIDDEN, STEPS, ROWS = 3, 4, 6, 2
MEMORIES: dict[str, Any] = {"lstm": LSTM(COLUMNS, HIDDEN), "gru": GRU(COLUMNS, HIDDEN)}


def network(features: int) -> MLP:
    return MLP(MLPOptions(num_cells=[5]), [features, 5, 2], 1.0)


@pytest.mark.parametrize("name", MEMORIES)
def test_a_memory_is_torchs_own(name: str) -> None:
    memory = MEMORIES[name]
    params = memory.init(torch.Generator().manual_seed(0))
    theirs = {"lstm": torch.nn.LSTMCell, "gru": torch.nn.GRUCell}[name](COLUMNS, HIDDEN)
    theirs.load_state_dict(params)
    x, carry = torch.randn(ROWS, COLUMNS), torch.randn(ROWS, memory.carry)
    features, after = memory.step(params, memory.read(params, x), carry)
    expected = theirs(x, tuple(carry.chunk(2, -1)) if name == "lstm" else carry)
    h, rest = (expected[0], torch.cat(expected, -1)) if name == "lstm" else (expected, expected)
    torch.testing.assert_close(features, h)
    torch.testing.assert_close(after, rest)


@pytest.mark.parametrize("name", MEMORIES)
def test_a_sequence_gives_what_its_steps_give_one_after_the_other(name: str) -> None:
    front = Front(COLUMNS, memory=MEMORIES[name])
    fed = Fed(network(front.features), front)
    generator = torch.Generator().manual_seed(0)
    params = {**outer(MEMORIES[name].init(generator), "memory"), **fed.init(generator)}
    first = torch.zeros(STEPS, ROWS, dtype=torch.bool)
    # An episode starts in the middle, where nothing may be remembered; the others go on from before the sequence.
    first[3, 1] = True
    carry, sequence, expected = torch.randn(ROWS, front.carry), [], []
    for t in range(STEPS):
        carry = torch.where(first[t, :, None], 0.0, carry)
        row = torch.cat([torch.randn(ROWS, COLUMNS), carry, first[t, :, None].float()], -1)
        sequence.append(row)
        expected.append(fed(params, row))
        carry = front.remember(params, row)
    # What later rows say of the memory is not read: a sequence remembers by itself.
    x = torch.stack(sequence)
    x[1:, :, COLUMNS:-1] = torch.nan
    torch.testing.assert_close(fed(params, x), torch.cat(expected))


def test_gradients_go_back_through_the_steps_of_a_sequence_but_not_into_the_episode_before() -> None:
    front = Front(COLUMNS, memory=MEMORIES["lstm"])
    params = outer(MEMORIES["lstm"].init(torch.Generator().manual_seed(0)), "memory")
    x = torch.randn(STEPS, 1, front.width)
    x[..., -1] = 0
    x[2, 0, -1] = 1
    x.requires_grad_()
    torch.autograd.backward(front(params, x)[-1].sum())
    assert x.grad is not None
    moved = x.grad[:, 0, :COLUMNS].abs().sum(-1) > 0
    assert moved.tolist() == [False, False, True, True, True, True]


def test_what_is_shared_is_computed_once_for_the_rows_of_both() -> None:
    asked = []

    class Counted(OneHot):
        def __call__(self, params: Mapping[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
            asked.append(len(x))
            return params["scale"] * x

    front = Front(COLUMNS, Counted({"all": Entry(0, (COLUMNS,))}))
    policy, value = Fed(network(COLUMNS), front), Fed(network(COLUMNS), front)
    scale = torch.full((1,), 0.5, requires_grad=True)
    generator = torch.Generator().manual_seed(0)
    params = [{"encoder.scale": scale, **one.init(generator)} for one in (policy, value)]
    x = torch.randn(ROWS, COLUMNS)
    together, (acting, judging) = shared(policy, value)
    seen = together(params[0], x)
    outputs = acting(params[0], seen), judging(params[1], seen)
    assert asked == [ROWS]
    assert torch.equal(outputs[0], policy(params[0], x))
    assert torch.equal(outputs[1], value(params[1], x))
    assert asked == [ROWS] * 3, "nothing is remembered of the rows before"


def test_networks_that_share_nothing_read_the_rows_themselves() -> None:
    plain, fed, other = network(COLUMNS), Fed(network(COLUMNS), Front(COLUMNS)), Fed(network(COLUMNS), Front(COLUMNS))
    x = torch.randn(ROWS, COLUMNS)
    for first, second in ((plain, plain), (plain, fed), (fed, other)):
        together, behind = shared(first, second)
        assert together({}, x) is x
        assert behind == [first, second]


def test_chosen_columns_are_the_same_in_numpy() -> None:
    front = Front(COLUMNS, chosen=[0, 2])
    fed = Fed(network(2), front)
    params = fed.init(torch.Generator().manual_seed(0))
    forward = fed.numpy({name: tensor.numpy() for name, tensor in params.items()})
    x = np.random.default_rng(0).standard_normal((ROWS, COLUMNS), np.float32)
    assert forward is not None
    np.testing.assert_allclose(forward(x), fed(params, torch.from_numpy(x)).numpy(), rtol=1e-6, atol=1e-6)
    other = x.copy()
    other[:, 1] = 9
    assert np.array_equal(forward(other), forward(x))


def test_what_follows_the_observation_passes_by() -> None:
    front = Front(COLUMNS, chosen=[0])
    fed = Fed(network(1 + 2), front)
    params = fed.init(torch.Generator().manual_seed(0))
    x, action = torch.randn(ROWS, COLUMNS), torch.randn(ROWS, 2)
    expected = fed.network(params, torch.cat([x[:, :1], action], -1))
    assert torch.equal(fed(params, torch.cat([x, action], -1)), expected)
