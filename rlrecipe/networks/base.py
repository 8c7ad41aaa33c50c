"""Options that every network has."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

from rlrecipe.errors import UnbuildableError
from rlrecipe.interfaces import Entry
from rlrecipe.recipe.asked import HasCells, has
from rlrecipe.recipe.names import SHOWN
from rlrecipe.recipe.options import Options, option
from rlrecipe.recipe.slots import Slot
from rlrecipe.recipe.traits import NetworkTraits


class NetworkOptions(Options):
    """Base of every network's options."""

    distribution: Annotated[Options, Slot("distribution")] | None = option(
        None, "How a policy's outputs become actions; null chooses by the action space."
    )
    inputs: Annotated[list[str] | None, SHOWN] = option(
        None, "Keys of a dict observation that it reads; null reads the whole observation.", min_length=1
    )


#: Width of what goes over a picture many times, whatever its channels.
PICTURES = 1e6


def refuse_pixels(options: Options, entries: Mapping[str, Entry], path: tuple[str, ...], cure: str) -> None:
    """Raise where a network of vectors would read an image byte by byte.

    Raises:
        UnbuildableError: at ``path``, with this cure.
    """
    for name, entry in entries.items():
        if entry.pixels:
            message = f"{options.component.name} reads vectors, but {name} is an image of {entry.shape}"
            raise UnbuildableError(path, message, cure)


def width_of(options: Options) -> float:
    """Width of a network's widest layer: what its trait ``width`` says, else ``num_cells``; infinite if neither."""
    told = NetworkTraits.of(options).width
    if told is not None:
        return float(told(options))
    cells = options.num_cells if has(options, HasCells) else math.inf
    return float(max(cells, default=0) if isinstance(cells, Sequence) else cells)


def encoder_builder(options: Options) -> Callable[..., Any] | None:
    """What makes an encoder of these options: the network's own builder or one beside it; None where it is none."""
    encodes = NetworkTraits.of(options).encodes
    return options.component.build if encodes is True else encodes or None
