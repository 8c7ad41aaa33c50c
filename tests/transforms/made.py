"""Environments with transforms, as a recipe makes them."""

from __future__ import annotations

from typing import Any

import gymnasium

from rlrecipe.assembly.environments import make_env
from rlrecipe.recipe.slots import Slot
from rlrecipe.stepping.observations import AsRows


def options(env_name: str, *transforms: Any, **more: Any) -> Any:
    return Slot("env", default="gym").read({"env_name": env_name, "transforms": list(transforms), **more})


def made(env_name: str, *transforms: Any, phase: str = "train", **more: Any) -> gymnasium.Env[Any, Any]:
    """The environment as its last transform left it, before its observation becomes a row."""
    env = make_env(options(env_name, *transforms, **more), phase)
    return env.env if isinstance(env, AsRows) else env
