"""Options that every kind of environment has."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Annotated, Any

from rlrecipe.recipe.imports import is_users
from rlrecipe.recipe.names import Arguments
from rlrecipe.recipe.options import MOST, Options, option
from rlrecipe.recipe.slots import Slot


def is_users_env(others: Mapping[str, Any]) -> bool:
    """Whether an environment's code is the user's own: imported with consent, or part of the program that runs."""
    registered = sys.modules.get("gymnasium")
    spec = registered.registry.get(others.get("env_name")) if registered is not None else None
    entry = spec.entry_point if spec is not None else None
    # A function, a class or any other callable; only the first two are sure to say their module.
    module = entry.partition(":")[0] if isinstance(entry, str) else getattr(entry, "__module__", None)
    return isinstance(module, str) and is_users(module)


class EnvOptions(Options):
    """Base of every environment's options."""

    num_envs: int = option(1, "Environments stepped side by side.", gt=0)
    frame_skip: int = option(1, "Times each action is repeated; a frame is one decision.", gt=0)
    reset_options: Annotated[dict[str, Any], Arguments(frozenset(), free=is_users_env)] = option(
        {}, "What each reset is given as options, such as the level to load; the environment says what it knows."
    )
    transforms: list[Annotated[Options, Slot("transform")]] = option(
        [], "Changes to observations and rewards, in this order.", max_length=MOST
    )
