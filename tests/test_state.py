import json
import math
import string
from typing import Any

import hypothesis.extra.numpy as arrays_of
import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from safetensors.torch import load, save

from rlrecipe.interfaces import Stateful
from rlrecipe.state import Arrays, Piece, join, pieces_in, split

DTYPES = (np.bool_, np.int8, np.uint8, np.int32, np.int64, np.uint16, np.uint64, np.float16, np.float32, np.float64)
BIT_GENERATORS = (np.random.PCG64, np.random.MT19937, np.random.Philox, np.random.SFC64)


@st.composite
def numpy_arrays(draw: st.DrawFn) -> Any:
    dtype = draw(st.sampled_from(DTYPES))
    return draw(arrays_of.arrays(dtype, arrays_of.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)))


def generator(seed: int, kind: int, drawn: int) -> np.random.Generator:
    made = np.random.Generator(BIT_GENERATORS[kind](seed))
    made.random(drawn)
    made.integers(0, 10, dtype=np.int32)
    return made


leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(2**130), 2**130)
    | st.floats()
    | st.text(max_size=5)
    | numpy_arrays()
    | numpy_arrays().filter(lambda array: array.size == 1).map(lambda array: array.reshape(-1)[0])
    | numpy_arrays().map(torch.from_numpy)
    | st.builds(generator, st.integers(0, 99), st.integers(0, 3), st.integers(0, 3))
)
keys = st.text(string.ascii_letters + string.digits + "._", max_size=4)
states = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3) | st.lists(inner, max_size=3).map(tuple) | st.dictionaries(keys, inner, max_size=3)
    ),
    max_leaves=8,
)


def round_trip(state: Any) -> Any:
    """Through the bytes that a checkpoint holds."""
    arrays: Arrays = {}
    tree = split(state, "", arrays)
    return join(json.loads(json.dumps(tree)), load(save(arrays)))


def assert_same(one: Any, other: Any) -> None:
    assert type(one) is type(other)
    if isinstance(one, dict):
        assert list(one) == list(other)
        for key in one:
            assert_same(one[key], other[key])
    elif isinstance(one, list | tuple):
        assert len(one) == len(other)
        for a, b in zip(one, other, strict=True):
            assert_same(a, b)
    elif isinstance(one, torch.Tensor):
        assert one.dtype == other.dtype
        assert one.numpy().tobytes() == other.numpy().tobytes()
        assert one.shape == other.shape
    elif isinstance(one, np.ndarray | np.generic):
        assert (one.dtype, one.shape) == (other.dtype, other.shape)
        # Bytes tell -0.0 from 0.0 and one NaN from another; a scalar's NaN has no payload to keep.
        assert one.tobytes() == other.tobytes() or np.isnan(one)
    elif isinstance(one, np.random.Generator):
        assert one.integers(0, 2**62, 5).tolist() == other.integers(0, 2**62, 5).tolist()
        assert one.integers(0, 9, dtype=np.int32) == other.integers(0, 9, dtype=np.int32)
    elif isinstance(one, float):
        assert one == other or (math.isnan(one) and math.isnan(other))
        assert math.copysign(1, one) == math.copysign(1, other) or math.isnan(one)
    else:
        assert one == other


@settings(deadline=None, max_examples=300)
@given(states)
@example({"a.b": np.zeros(1), "a": {"b": np.ones(2)}})
@example([np.array([1.0]), {"0": np.array([2.0])}])
@example({"": {"a": np.zeros(1)}, "a": np.ones(1)})
@example([math.inf, -math.inf, math.nan, -0.0, 2**127, -(2**200)])
@example([np.float64(math.nan), np.float32(0.1), np.str_("x"), np.bool_(True), np.uint64(2**64 - 1)])
def test_a_state_comes_back_as_it_was(state: Any) -> None:
    assert_same(state, round_trip(state))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.int16, torch.bool, torch.complex64])
def test_tensors_of_every_type(dtype: torch.dtype) -> None:
    tensor = torch.arange(6).reshape(2, 3).to(dtype)
    back = round_trip({"x": tensor})["x"]
    assert back.dtype == dtype
    assert torch.equal(back, tensor)


def test_a_tensor_with_a_gradient_and_strides() -> None:
    tensor = torch.arange(6.0).reshape(2, 3).requires_grad_().t()
    assert torch.equal(round_trip([tensor])[0], tensor.detach())


def test_one_tensor_in_two_places() -> None:
    tensor = torch.arange(3.0)
    back = round_trip({"a": tensor, "b": tensor, "part": tensor[1:]})
    assert [back[key].tolist() for key in back] == [[0, 1, 2], [0, 1, 2], [1, 2]]


def test_arrays_with_other_strides_and_byte_orders() -> None:
    array = np.arange(6, dtype=">f4").reshape(2, 3)[::-1, ::-2]
    assert np.array_equal(round_trip([array])[0], array)


def test_what_comes_back_shares_nothing_with_what_was_saved() -> None:
    arrays: Arrays = {}
    tree = split({"x": np.zeros(2), "t": torch.zeros(2)}, "", arrays)
    first, second = join(tree, arrays), join(tree, arrays)
    first["x"][0] = first["t"][0] = 1.0
    assert second["x"][0] == second["t"][0] == 0.0


def test_what_an_optimizer_of_torch_has_besides() -> None:
    state = {"state": {0: {"step": 1}, 7: {}}, "device": torch.device("cpu"), "dtype": torch.float16, "empty": {}}
    assert round_trip(state) == state


def test_what_a_state_of_torchs_says_of_itself_besides() -> None:
    state = torch.nn.BatchNorm1d(2).state_dict()
    back = round_trip({"norm": state})["norm"]
    assert list(back) == list(state)
    assert back._metadata == {"": {"version": 2}} == state._metadata  # type: ignore[attr-defined] # where torch keeps it


class Unknown:
    pass


@pytest.mark.parametrize(
    "value",
    [
        *(Unknown(), b"bytes", {1, 2}, 1j, np.longdouble(1), {1.5: "x"}, {1: "x", "a": 1}, {"$tensor": "x"}, print),
        *(np.array([Unknown()]), np.array(["text"]), np.zeros(1, np.longdouble), np.zeros(1, complex)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_cannot_be_saved_is_refused_by_its_path(value: Any) -> None:
    with pytest.raises(TypeError, match=r"hooks\.mine\.1\.inner"):
        split({"hooks": {"mine": [0, {"inner": value}]}}, "", {})


def test_pieces_are_handed_out_as_they_are() -> None:
    one, other, third = (Piece(dict) for _ in range(3))
    state = {"a": [one, (other, 1)], "a.0": third, "b": np.zeros(1)}
    arrays, pieces = Arrays(), dict[str, Piece]()
    tree = json.loads(json.dumps(split(state, "", arrays, pieces)))
    assert pieces == {"a.0": one, "a.1.0": other, "a.0#1": third}
    assert sorted(pieces_in(tree)) == sorted(pieces)
    assert list(arrays) == ["b"]
    back = join(tree, arrays, pieces)
    assert back["a"][0] is one
    assert back["a"][1] == (other, 1)
    assert back["a.0"] is third
    assert join(tree, arrays, dict.fromkeys(pieces))["a"] == [None, (None, 1)]


def test_a_piece_is_refused_where_there_are_none() -> None:
    with pytest.raises(TypeError, match=r"state at a\.0 is a Piece, which cannot be saved"):
        split({"a": [Piece(dict)]}, "", {})


def test_an_unknown_tag_is_an_error() -> None:
    with pytest.raises(KeyError):
        join({"$pickle": "x"}, {})


def test_the_protocol_is_two_methods() -> None:
    class Both:
        def state_dict(self) -> dict[str, Any]:
            return {}

        def load_state_dict(self, state: dict[str, Any]) -> None: ...

    assert isinstance(Both(), Stateful)
    assert not isinstance(Unknown(), Stateful)
