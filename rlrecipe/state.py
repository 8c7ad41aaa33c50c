"""The state protocol: nested plain values on one side, JSON and named arrays on the other.

What ``state_dict`` returns may hold numbers, text, None, lists, tuples, mappings with text keys,
numpy arrays and scalars, numpy generators and torch tensors. Everything else is refused by its path,
so that nothing is lost in silence. Nothing is pickled.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Any

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


def split(state: Any, path: str, arrays: Arrays) -> Any:
    """The JSON side of ``state``; arrays go to ``arrays`` under their dotted path.

    Raises:
        TypeError: a value is of no kind that can be saved; the message holds its path.
    """
    if state is None or isinstance(state, bool | int | str):
        return state if not isinstance(state, np.generic) else {"$scalar": [str(state.dtype), state.item()]}
    if isinstance(state, np.generic) and not isinstance(state.item(), np.generic):
        return {"$scalar": [str(state.dtype), split(state.item(), path, arrays)]}
    if isinstance(state, float):
        return state if math.isfinite(state) else {"$float": repr(state)}
    if isinstance(state, torch.Tensor):
        # Copied: two names may stand for the same memory, which safetensors refuses.
        name = _unused(path, arrays)
        arrays[name] = state.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
        return {"$tensor": name}
    if isinstance(state, np.ndarray) and str(state.dtype.newbyteorder("=")) in _DTYPES:
        # from_numpy knows no negative strides and no foreign byte order; a copy has neither.
        name = _unused(path, arrays)
        arrays[name] = torch.from_numpy(np.array(state, state.dtype.newbyteorder("="), order="C"))
        return {"$array": name}
    if isinstance(state, np.random.Generator):
        return {"$generator": split(state.bit_generator.state, path, arrays)}
    if isinstance(state, tuple):
        return {"$tuple": [split(item, f"{path}.{i}", arrays) for i, item in enumerate(state)]}
    if isinstance(state, list):
        return [split(item, f"{path}.{i}", arrays) for i, item in enumerate(state)]
    if isinstance(state, Mapping) and all(isinstance(key, str) and not key.startswith("$") for key in state):
        return {key: split(item, f"{path}.{key}" if path else key, arrays) for key, item in state.items()}
    raise TypeError(f"state at {path or 'its root'} is a {type(state).__name__}, which cannot be saved")


def _unused(path: str, arrays: Arrays) -> str:
    """``path``, or the first of its variations: ``{"a.b": x}`` and ``{"a": {"b": y}}`` have the same."""
    tries = (path if i == 0 else f"{path}#{i}" for i in itertools.count())
    return next(name for name in tries if name not in arrays)


def join(tree: Any, arrays: Mapping[str, torch.Tensor]) -> Any:
    """The state that ``split`` took apart."""
    if isinstance(tree, list):
        return [join(item, arrays) for item in tree]
    if not isinstance(tree, dict):
        return tree
    if len(tree) == 1 and (tag := next(iter(tree))).startswith("$"):
        return _TAGS[tag](tree[tag], arrays)
    return {key: join(item, arrays) for key, item in tree.items()}


def _generator(value: Any, arrays: Mapping[str, torch.Tensor]) -> np.random.Generator:
    state = join(value, arrays)
    generator = np.random.Generator(getattr(np.random, str(state["bit_generator"]))())
    generator.bit_generator.state = state
    return generator


_TAGS: Mapping[str, Any] = {
    "$float": lambda value, _: float(value),
    "$scalar": lambda value, arrays: np.dtype(value[0]).type(join(value[1], arrays)),
    "$tensor": lambda value, arrays: arrays[value].clone(),
    "$array": lambda value, arrays: arrays[value].numpy().copy(),
    "$tuple": lambda value, arrays: tuple(join(item, arrays) for item in value),
    "$generator": _generator,
}
