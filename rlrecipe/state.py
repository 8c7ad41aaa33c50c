"""The state protocol: nested plain values on one side, JSON and named arrays on the other.

What ``state_dict`` returns may hold numbers, text, None, lists, tuples, mappings whose keys are all text or all
integers, numpy arrays, scalars and generators, torch tensors, types and devices, and pieces. Everything else is
refused by its path, so that nothing is lost in silence. Nothing is pickled.
"""

from __future__ import annotations

import itertools
import math
from collections import OrderedDict
from collections.abc import Callable, Container, Mapping
from types import MappingProxyType
from typing import Any

from rlrecipe.interfaces import State
from rlrecipe.interfaces.abilities import Measures
from rlrecipe.lazy import np, torch

Arrays = dict[str, "torch.Tensor"]
#: What numpy, torch and safetensors all know.
_DTYPES = frozenset(
    [
        "bool",
        "int8",
        "int16",
        "int32",
        "int64",
        "uint8",
        "uint16",
        "uint32",
        "uint64",
        "float16",
        "float32",
        "float64",
        "complex64",
    ]
)


#: Bit generators of numpy's: a saved state names one.
_GENERATORS = frozenset(["MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64"])


class Piece:
    """Named tensors of a state that a checkpoint keeps in a file of their own.

    Their owner gives the same piece for as long as they are unchanged, and a new one after that: what
    was written for a piece once is linked into later checkpoints, not written again. A piece that came
    out of a checkpoint reads its file, which is pruned one day: an owner that has read it goes on with
    ``Piece(own_tensors, read.fact)``. Where a run goes on without its pieces, each is None.

    Args:
        tensors: gives them, contiguous and on the CPU; called only when they have to be written or read.
        fact: ``sha256`` and ``bytes`` of their file, if it was written before.
    """

    def __init__(self, tensors: Callable[[], Arrays], fact: Mapping[str, Any] | None = None) -> None:
        self.tensors, self.fact = tensors, fact


def split(state: Any, path: str, arrays: Arrays, pieces: dict[str, Piece] | None = None) -> Any:
    """The JSON side of ``state``; arrays go to ``arrays`` under their dotted path, pieces to ``pieces``.

    Args:
        state: what ``state_dict`` returned.
        path: in front of each name.
        arrays: takes the arrays.
        pieces: takes the pieces; None where there can be none.

    Raises:
        TypeError: a value is of no kind that can be saved; the message holds its path.
    """
    if state is None or isinstance(state, bool | int | str):
        return state if not isinstance(state, np.generic) else {"$scalar": [str(state.dtype), state.item()]}
    if isinstance(state, np.generic) and not isinstance(state.item(), np.generic):
        return {"$scalar": [str(state.dtype), split(state.item(), path, arrays, pieces)]}
    if isinstance(state, float):
        return state if math.isfinite(state) else {"$float": repr(state)}
    if (tensor := _tensor(state)) is not None:
        name = _unused(path, arrays)
        arrays[name] = tensor
        return {"$tensor" if isinstance(state, torch.Tensor) else "$array": name}
    if isinstance(state, Piece) and pieces is not None:
        name = _unused(path, pieces)
        pieces[name] = state
        return {"$piece": name}
    if isinstance(state, np.random.Generator):
        return {"$generator": split(state.bit_generator.state, path, arrays, pieces)}
    if isinstance(state, tuple):
        return {"$tuple": [split(item, f"{path}.{i}", arrays, pieces) for i, item in enumerate(state)]}
    if isinstance(state, list):
        return [split(item, f"{path}.{i}", arrays, pieces) for i, item in enumerate(state)]
    if isinstance(state, torch.dtype | torch.device):
        return {f"${type(state).__name__}": str(state).removeprefix("torch.")}
    # torch puts it on the states that its modules give.
    if isinstance(state, OrderedDict) and (described := getattr(state, "_metadata", None)) is not None:
        # What torch and tensordict know of a state besides: versions, batch sizes.
        inner = [split(dict(part), path, arrays, pieces) for part in (state, described)]
        return {"$described": inner}
    if isinstance(state, Mapping) and all(isinstance(key, str) and not key.startswith("$") for key in state):
        return {key: split(item, f"{path}.{key}" if path else key, arrays, pieces) for key, item in state.items()}
    if isinstance(state, Mapping) and all(type(key) is int for key in state):
        return {"$numbered": [[key, split(item, f"{path}.{key}", arrays, pieces)] for key, item in state.items()]}
    raise TypeError(f"state at {path or 'its root'} is a {type(state).__name__}, which cannot be saved")


def standing(module: Any) -> State:
    """A module's state to look at: what it would measure before it is saved stays unmeasured."""
    state: State = module.as_it_stands() if isinstance(module, Measures) else module.state_dict()
    return state


def _tensor(state: Any) -> torch.Tensor | None:
    if isinstance(state, torch.Tensor):
        # Copied: two names may stand for the same memory, which safetensors refuses.
        return state.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
    if isinstance(state, np.ndarray) and str(state.dtype.newbyteorder("=")) in _DTYPES:
        # from_numpy knows no negative strides and no foreign byte order; a copy has neither.
        return torch.from_numpy(np.array(state, state.dtype.newbyteorder("="), order="C"))
    return None


def _unused(path: str, taken: Container[str]) -> str:
    """``path``, or the first of its variations: ``{"a.b": x}`` and ``{"a": {"b": y}}`` have the same."""
    tries = (path if i == 0 else f"{path}#{i}" for i in itertools.count())
    return next(name for name in tries if name not in taken)


def join(
    tree: Any, arrays: Mapping[str, torch.Tensor], pieces: Mapping[str, Piece | None] = MappingProxyType({})
) -> Any:
    """The state that ``split`` took apart."""
    if isinstance(tree, list):
        return [join(item, arrays, pieces) for item in tree]
    if not isinstance(tree, dict):
        return tree
    if len(tree) == 1 and (tag := next(iter(tree))).startswith("$"):
        return _TAGS[tag](tree[tag], arrays, pieces)
    return {key: join(item, arrays, pieces) for key, item in tree.items()}


def pieces_in(tree: Any) -> list[str]:
    """Names of the pieces that a tree of ``split`` refers to."""
    if isinstance(tree, dict) and tree.keys() == {"$piece"}:
        return [tree["$piece"]]
    items = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ()
    return [name for item in items for name in pieces_in(item)]


def _generator(value: Any, arrays: Mapping[str, torch.Tensor], _: Any) -> np.random.Generator:
    state = join(value, arrays)
    name = str(state["bit_generator"])
    if name not in _GENERATORS:
        raise ValueError(f"{name!r} is no bit generator of numpy's")
    generator = np.random.Generator(getattr(np.random, name)())
    generator.bit_generator.state = state
    return generator


def _dtype(value: Any, *_: Any) -> torch.dtype:
    dtype = getattr(torch, str(value), None)
    if not isinstance(dtype, torch.dtype):
        raise TypeError(f"{value!r} is no dtype of torch's")
    return dtype


def _scalar(value: Any, arrays: Mapping[str, torch.Tensor], _: Any) -> Any:
    dtype = np.dtype(value[0])
    if dtype.kind not in "biufcSU":
        raise TypeError(f"{value[0]!r} is no type of a number or text")
    return dtype.type(join(value[1], arrays))


def _described(value: Any, arrays: Mapping[str, torch.Tensor], pieces: Any) -> OrderedDict[str, Any]:
    items, described = (join(part, arrays, pieces) for part in value)
    state = OrderedDict(items)
    state._metadata = OrderedDict(described)  # type: ignore[attr-defined] # where torch keeps it
    return state


_TAGS: Mapping[str, Any] = {
    "$float": lambda value, *_: float(value),
    "$scalar": _scalar,
    "$tensor": lambda value, arrays, _: arrays[value].clone(),
    "$array": lambda value, arrays, _: arrays[value].numpy().copy(),
    "$piece": lambda value, _, pieces: pieces[value],
    "$tuple": lambda value, arrays, pieces: tuple(join(item, arrays, pieces) for item in value),
    "$numbered": lambda value, arrays, pieces: {key: join(item, arrays, pieces) for key, item in value},
    "$described": _described,
    "$dtype": _dtype,
    "$device": lambda value, *_: torch.device(value),
    "$generator": _generator,
}
