"""What an environment may answer: observations, rewards and flags by gymnasium's interface.

Errors are what cannot be learned from. Answers that are only of another type than they should be are taken, and told
of as hints.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any

import numpy as np
from gymnasium import spaces

Say = Callable[[str], None]
WHERE = "observation"


class Misfit(Exception):  # noqa: N818 - an answer that was looked at, not yet an error of anything
    """An answer that does not fit.

    Args:
        came: what the environment gave.
        expected: what its space or the interface says.
        cure: what would help.
    """

    def __init__(self, came: str, expected: str, cure: str) -> None:
        super().__init__(came, expected, cure)
        self.came, self.expected, self.cure = came, expected, cure


def widened(space: Any) -> Any:
    """``space`` itself, or one whose whole numbers are float64, which hold fractions, too; pictures stay bytes."""
    if isinstance(space, spaces.Box) and space.dtype.kind in "biu" and not _is_picture(space):
        return spaces.Box(space.low.astype(np.float64), space.high.astype(np.float64), dtype=np.float64)
    if isinstance(space, spaces.Dict):
        parts = {key: widened(part) for key, part in space.spaces.items()}
        return space if all(parts[key] is part for key, part in space.spaces.items()) else spaces.Dict(parts)
    if isinstance(space, spaces.Tuple):
        items = [widened(part) for part in space.spaces]
        return space if all(a is b for a, b in zip(items, space.spaces, strict=True)) else spaces.Tuple(items)
    return space


def _is_picture(space: spaces.Box) -> bool:
    """Whether what a space holds is kept as bytes; vectors are kept as float32, whatever their type."""
    return space.dtype == np.uint8 and len(space.shape) > 1


def observation_of(space: Any, value: Any, hint: Say, where: str = WHERE) -> Any:
    """An observation as ``space``, widened, has it: arrays of its shape, a copy of what may change later.

    Args:
        space: as the environment declares it.
        value: what came.
        hint: told of what is only of another type.
        where: the entry.

    Raises:
        Misfit: it is not of the space's shape, or no numbers.
    """
    if isinstance(space, spaces.Box):
        return _numbers(space, value, hint, where)
    if isinstance(space, spaces.Dict):
        return _entries(space, value, hint, where)
    if isinstance(space, spaces.Tuple):
        if not isinstance(value, tuple | list) or len(value) != len(space.spaces):
            expected = f"its observation_space has {len(space.spaces)} parts"
            raise Misfit(_as(where, shown(value)), expected, "return a tuple with each of them")
        parts = zip(space.spaces, value, strict=True)
        return tuple(observation_of(part, one, hint, f"{where}[{i}]") for i, (part, one) in enumerate(parts))
    if isinstance(space, spaces.Discrete):
        if type(value) in (int, np.int64) and 0 <= value - space.start < space.n:
            return int(value)
        return int(_choices(space, value, (), space.start, space.n, hint, where))
    if isinstance(space, spaces.MultiDiscrete):
        return _choices(space, value, space.shape, space.start, space.nvec, hint, where)
    if isinstance(space, spaces.MultiBinary):
        return _choices(space, value, space.shape, 0, 2, hint, where)
    return value


def _as(where: str, came: str) -> str:
    return f"{came} as the {'observation' if where == WHERE else where}"


def _array(space: Any, value: Any, where: str) -> np.ndarray:
    """Numbers of the space's shape, of whatever type.

    Raises:
        Misfit: they are none, or of another shape.
    """
    shape, says = tuple(space.shape), f"its observation_space says {space}"
    try:
        array = np.asarray(value)
    except (TypeError, ValueError):
        raise Misfit(_as(where, shown(value)), says, "return numpy arrays of the space's shape") from None
    if array.dtype.kind not in "biuf":
        raise Misfit(_as(where, shown(value)), says, "return numbers")
    if array.shape != shape:
        came = f"an array of the shape {array.shape}"
        raise Misfit(_as(where, came), says, f"give observation_space the shape {array.shape}, or return {shape}")
    return array


def _numbers(space: spaces.Box, value: Any, hint: Say, where: str) -> np.ndarray:
    array = _array(space, value, where)
    wanted = space.dtype
    if array.dtype != wanted:
        hint(f"the {where} is {array.dtype}, but its space says {wanted}")
    if _is_picture(space):
        with np.errstate(invalid="ignore"):
            kept = array.astype(np.uint8)
        if array.dtype != wanted and not np.array_equal(kept, array):
            came = f"{array.dtype} numbers from {array.min():.6g} to {array.max():.6g}"
            cure = "declare the space of what is observed, or return bytes from 0 to 255"
            raise Misfit(_as(where, came), f"its observation_space says {space}", cure)
        return kept
    return array.astype(np.float64 if wanted.kind in "biu" else wanted)


def _entries(space: spaces.Dict, value: Any, hint: Say, where: str) -> dict[str, Any]:
    keys = list(space.spaces)
    if not isinstance(value, Mapping):
        raise Misfit(_as(where, shown(value)), f"its observation_space is a Dict of {', '.join(keys)}", "return a dict")
    missing = [key for key in keys if key not in value]
    if missing:
        came = f"a dict without {', '.join(map(repr, missing))}"
        cure = "return every entry at every reset and step, or take it out of the space"
        raise Misfit(_as(where, came), f"its observation_space is a Dict of {', '.join(keys)}", cure)
    further = [str(key) for key in value if key not in space.spaces]
    if further:
        hint(f"the {where} has entries that its space does not have, which are left out: {', '.join(further)}")
    names = {key: key if where == WHERE else f"{where}.{key}" for key in keys}
    return {key: observation_of(space[key], value[key], hint, f"entry {names[key]}") for key in keys}


def _choices(
    space: Any, value: Any, shape: tuple[int, ...], start: Any, count: Any, hint: Say, where: str
) -> np.ndarray:
    """Whole numbers, each one of its choices."""
    array = np.asarray(value) if shape else _single(value)
    if array is None or (shape and (array.dtype.kind not in "biuf" or array.shape != shape)):
        says = f"its observation_space says {space}"
        raise Misfit(_as(where, shown(value)), says, "return whole numbers of that shape")
    if array.dtype.kind == "f":
        hint(f"the {where} is {array.dtype}, but its space says {space}")
    low = np.asarray(start)
    if not (np.all(array >= low) and np.all(array < low + count) and np.all(array == np.floor(array))):
        says = f"its observation_space says {space}"
        raise Misfit(_as(where, f"{array.tolist()}"), says, "return one of the choices, or give the space more")
    return array.astype(np.int64)


def reward_of(value: Any) -> float:
    """A reward that is one number; NaN and infinities are numbers here.

    Raises:
        Misfit: it is none.
    """
    if isinstance(value, Real):
        try:
            return float(value)
        except OverflowError:
            expected = "a reward is a float, of at most 1.8e308"
            raise Misfit("a number too large for a float as the reward", expected, "scale it") from None
    one = _single(value)
    if one is None:
        cure = "return float(reward)" if isinstance(value, str) else "return one float at each step"
        raise Misfit(f"{shown(value)} as the reward", "gymnasium's interface says one number", cure)
    return float(one)


def flag_of(name: str, value: Any) -> bool:
    """A flag that is true or false: a bool, numpy's too, or 0 or 1.

    Raises:
        Misfit: it is neither.
    """
    one = _single(value)
    if one is None or not (one == 0 or one == 1):
        expected = "gymnasium's interface says true or false"
        raise Misfit(f"{shown(value)} as {name}", expected, f"return bool({name}) at each step")
    return bool(one)


def _single(value: Any) -> np.ndarray | None:
    """One number as an array without a dimension; None where there is none, or several."""
    if isinstance(value, str | bytes):
        return None
    try:
        array = np.asarray(value)
    except (TypeError, ValueError):
        return None
    return array.reshape(()) if array.size == 1 and array.dtype.kind in "biuf" else None


def shown(value: Any) -> str:
    """A value in a few words."""
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype} of the shape {value.shape}"
    if isinstance(value, tuple | list):
        return f"a {type(value).__name__} of {len(value)} ({', '.join(type(one).__name__ for one in value[:6])})"
    if value is None or isinstance(value, bool):
        return str(value)
    text = ascii(value)
    return f"{text if len(text) <= 40 else text[:37] + '...'} ({type(value).__name__})"
