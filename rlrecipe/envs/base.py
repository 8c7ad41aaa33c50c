"""Options that every kind of environment has."""

from __future__ import annotations

from typing import Annotated, Any

from rlrecipe.recipe.options import MOST, Options, Slot, option


class EnvOptions(Options):
    """Base of every environment's options."""

    num_envs: int = option(1, "Environments stepped side by side.", gt=0)
    frame_skip: int = option(1, "Times each action is repeated; a frame is one decision.", gt=0)
    reset_options: dict[str, Any] = option(
        {}, "What each reset is given as options, such as the level to load; the environment says what it knows."
    )
    transforms: list[Annotated[Options, Slot("transform")]] = option(
        [], "Changes to observations and rewards, in this order.", max_length=MOST
    )
