"""torchrl's specs as gymnasium's spaces, and what lies in one as what lies in the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from torchrl.data import Binary, Bounded, Categorical, Composite, MultiCategorical, MultiOneHot, OneHot, Unbounded

from rlrecipe.errors import UnbuildableError

Space = spaces.Space[Any]
Key = str | tuple[str, ...]


def leaves(spec: Composite) -> dict[str, tuple[Key, Any]]:
    """Key and spec of every entry by its dotted name; empty parts are left out."""
    found = {}
    for key in spec.keys(True, True):
        if spec[key] is not None:
            found[key if isinstance(key, str) else ".".join(key)] = (key, spec[key])
    return found


def action_of(spec: Any) -> tuple[Space, Callable[[Any], torch.Tensor]]:
    """The space of actions, and how one of its actions becomes a tensor.

    Raises:
        UnbuildableError: no space is like the spec.
    """
    shape, device = spec.shape, spec.device

    def plain(action: Any) -> torch.Tensor:
        return torch.as_tensor(np.asarray(action), dtype=spec.dtype, device=device).reshape(shape)

    if isinstance(spec, MultiOneHot):
        sizes = [int(n) for n in spec.nvec]

        def several(action: Any) -> torch.Tensor:
            parts = [_one_hot(int(one), n, spec.dtype) for one, n in zip(action, sizes, strict=True)]
            return torch.cat(parts)

        return spaces.MultiDiscrete(sizes), several
    if isinstance(spec, OneHot):
        return spaces.Discrete(int(spec.n)), lambda action: _one_hot(int(action), int(spec.n), spec.dtype)
    if isinstance(spec, Categorical) and not isinstance(spec, Binary) and shape.numel() == 1:
        # One number, also where it lies in a list of one.
        size = spec.nvec.item() if isinstance(spec, MultiCategorical) else spec.n
        return spaces.Discrete(int(size)), plain
    return _space(spec, "the action"), plain


def observation_of(spec: Any, name: str) -> tuple[Space, Callable[[torch.Tensor], Any]]:
    """The space of one observed entry, and how its tensor becomes what lies in the space.

    Raises:
        UnbuildableError: no space is like the spec; the message names the entry.
    """
    if isinstance(spec, OneHot):
        box = spaces.Box(0, 1, tuple(spec.shape), np.uint8)
        return box, lambda tensor: tensor.numpy().astype(np.uint8)
    space = _space(spec, f"the observation {name!r}")
    if isinstance(space, spaces.Discrete):
        return space, lambda tensor: np.int64(tensor)
    # A copy: torchrl may write the next step into the same memory.
    return space, lambda tensor: np.array(tensor.numpy(), space.dtype)


def _one_hot(action: int, size: int, dtype: torch.dtype) -> torch.Tensor:
    row = torch.zeros(size, dtype=dtype)
    row[action] = 1
    return row


def _space(spec: Any, what: str) -> Space:
    if isinstance(spec, MultiCategorical):
        return spaces.MultiDiscrete(spec.nvec.numpy())
    if isinstance(spec, Binary) or (isinstance(spec, Categorical) and spec.dtype == torch.bool):
        return spaces.MultiBinary(tuple(spec.shape))
    if isinstance(spec, Categorical):
        if spec.shape.numel() == 1:
            return spaces.Discrete(int(spec.n))
        return spaces.MultiDiscrete(np.full(tuple(spec.shape), int(spec.n)))
    if isinstance(spec, Bounded | Unbounded):
        return _box(spec)
    message = f"{what} is a {type(spec).__name__}, which is no tensor that a network can read or give"
    raise UnbuildableError(("observation_keys",), message, "name the other entries in observation_keys")


def _box(spec: Any) -> spaces.Box:
    low, high = (bound.expand(spec.shape).numpy() for bound in (spec.space.low, spec.space.high))
    if spec.dtype.is_floating_point:
        # torchrl writes the largest number for no bound.
        limit = torch.finfo(spec.dtype).max
        low, high = np.where(low <= -limit, -np.inf, low), np.where(high >= limit, np.inf, high)
    kind = np.dtype(str(spec.dtype).removeprefix("torch."))
    return spaces.Box(low.astype(kind), high.astype(kind), dtype=kind.type)


class Observations:
    """What an environment of torchrl observes, as gymnasium shows it.

    One entry is shown as it is, several as a dict under their dotted names.

    Args:
        spec: of all observations.
        wanted: dotted names of those to show; empty means all.

    Raises:
        UnbuildableError: an entry is wanted that there is not, none is left, or one is no tensor.
    """

    def __init__(self, spec: Composite, wanted: list[str]) -> None:
        found = leaves(spec)
        missing = [name for name in wanted if name not in found]
        if missing or not found:
            names = ", ".join(found)
            message = (
                f"no observation is named {', '.join(missing)}; there are: {names}" if found else "nothing is observed"
            )
            raise UnbuildableError(
                ("observation_keys",), message, f"use some of {names}" if found else "observe something"
            )
        kept = {name: found[name] for name in wanted or found}
        self._parts = {name: (key, *observation_of(part, name)) for name, (key, part) in kept.items()}
        shown: Mapping[str, Space] = {name: space for name, (_, space, _) in self._parts.items()}
        self.single = len(shown) == 1
        self.space: Space = next(iter(shown.values())) if self.single else spaces.Dict(dict(shown))

    def __call__(self, entries: Any) -> Any:
        """The observation in a TensorDict."""
        shown = {name: take(entries.get(key)) for name, (key, _, take) in self._parts.items()}
        return next(iter(shown.values())) if self.single else shown
