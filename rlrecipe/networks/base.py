"""Options that every network has."""

from __future__ import annotations

from typing import Annotated

from rlrecipe.recipe.options import Options, Slot, option


class NetworkOptions(Options):
    """Base of every network's options."""

    distribution: Annotated[Options, Slot("distribution")] | None = option(
        None, "How a policy's outputs become actions; null chooses by the action space."
    )
    inputs: list[str] | None = option(
        None, "Keys of a dict observation that it reads; null reads the whole observation.", min_length=1
    )
