"""Whether a saved state is one that a trainer could have saved: a digest proves who wrote it, not what it is."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from numbers import Number
from typing import Any

import numpy as np
import torch

from rlrecipe.checkpoint.verified import DamagedCheckpoint
from rlrecipe.errors import Refusal
from rlrecipe.state import Piece

#: What taking up a state of the wrong kind ends in, wherever that shows.
_ENDINGS = (KeyError, IndexError, TypeError, ValueError, AttributeError, RuntimeError, OverflowError, AssertionError)


class UnfitState(DamagedCheckpoint):
    """A checkpoint's bytes are as written, but its state is none of this run's trainer."""


def misfit(own: Any, saved: Any, path: str) -> str | None:
    """Where a saved state is of another kind than a trainer's own; None where it is not.

    What is None on either side may be there or not; lists, and arrays that are empty at first, may be of any length.

    Args:
        own: what the trainer's ``state_dict`` gives.
        saved: what it is to take up.
        path: of both, in front of each name.
    """
    if own is None or saved is None:
        return None
    if isinstance(own, Piece) or isinstance(saved, Piece):
        return None if isinstance(own, Piece) and isinstance(saved, Piece) else _differ(path, own, saved)
    if isinstance(own, Mapping):
        return _misfit_of_names(own, saved, path) if isinstance(saved, Mapping) else _differ(path, own, saved)
    if isinstance(own, list | tuple):
        if not isinstance(saved, list | tuple):
            return _differ(path, own, saved)
        pairs = zip(own, saved, strict=True) if len(own) == len(saved) else ((own[0], each) for each in saved if own)
        return next((found for i, (a, b) in enumerate(pairs) if (found := misfit(a, b, f"{path}.{i}"))), None)
    if isinstance(own, np.ndarray | torch.Tensor):
        if not isinstance(saved, type(own)):
            return _differ(path, own, saved)
        here, there = f"{own.dtype} {list(own.shape)}", f"{saved.dtype} {list(saved.shape)}"
        # What is empty at the start grows as the run goes on.
        grown = not math.prod(own.shape) and own.dtype == saved.dtype
        return None if here == there or grown else f"{path} is {there}, expected {here}"
    same = type(saved) is type(own) or (_number(own) and _number(saved))
    return None if same else _differ(path, own, saved)


def _misfit_of_names(own: Mapping[Any, Any], saved: Mapping[Any, Any], path: str) -> str | None:
    for name, value in own.items():
        inner = f"{path}.{name}" if path else str(name)
        if name not in saved:
            return f"{inner} is missing"
        if found := misfit(value, saved[name], inner):
            return found
    return None


def _number(value: Any) -> bool:
    return isinstance(value, Number) and not isinstance(value, bool | np.bool_)


def _differ(path: str, own: Any, saved: Any) -> str:
    return f"{path or 'its state'} is a {type(saved).__name__}, expected a {type(own).__name__}"


@contextmanager
def taking_up(folder: object) -> Iterator[None]:
    """Where a saved state is taken up: what fails inside is the state's fault, and is told as such.

    A state of the right kind may still be one that nothing can go on from. The error is the cause of what is raised,
    so that a fault of the code shows as one, too (``--debug``); and no checkpoint is moved aside unless the same code
    takes up another one.

    Raises:
        UnfitState: it could not be taken up.
    """
    try:
        yield
    except Refusal:
        raise
    except _ENDINGS as error:
        raise UnfitState(f"{folder} cannot be taken up: {type(error).__name__}: {error}") from error
