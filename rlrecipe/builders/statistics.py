"""Statistics of an environment under random actions."""

from __future__ import annotations

from typing import Any

import numpy as np

from rlrecipe.assembly.constructors import EnvConstructor, options_of
from rlrecipe.assembly.environments import make_env
from rlrecipe.assembly.sections import Section
from rlrecipe.stepping.rollout import random_steps
from rlrecipe.streams import Stream, Streams

#: What of a random rollout statistics can be taken of, by its key in a batch.
KEYS = ("observation", "action", ("next", "observation"), ("next", "reward"))


def get_stats_random_rollout(
    env: Section | EnvConstructor,
    key: str | tuple[str, ...] = "observation",
    steps: int = 1000,
    *,
    seed: int = 0,
    **options: Any,
) -> dict[str, np.ndarray]:
    """Mean and deviation of what a random rollout shows, the same for the same seed.

    Args:
        env: the id of an environment, the section, or a constructor of ``transformed_env_constructor``. Transforms
            that wrap it apply; those that would normalise with statistics of their own do not.
        key: "observation", "action", ("next", "observation") or ("next", "reward").
        steps: frames; episodes follow one another.
        seed: of environment and actions.
        options: single options of ``env``.

    Returns:
        "loc" and "scale", each of the shape of one observation (float64). A number that never changes has
        loc 0 and scale 1, which leave it as it is.

    Raises:
        RecipeError: the options are wrong.
        ValueError: the key is none of a rollout's, or there are fewer than two steps.
    """
    if key not in KEYS:
        raise ValueError(f"a random rollout has no {key!r}; expected one of {', '.join(map(repr, KEYS))}")
    if steps < 2:
        raise ValueError(f"a deviation takes 2 steps or more, got steps={steps}")
    options, seeds = options_of(env, options), Streams(seed)
    made = random_steps(
        lambda: make_env(options), steps, seeds.integer(Stream.ENVIRONMENT), seeds.integer(Stream.ACTION)
    )
    name = "following" if key == ("next", "observation") else key if isinstance(key, str) else "reward"
    rows = np.stack([np.array(getattr(step, name), float) for step in made])
    loc, scale = rows.mean(0), rows.std(0, ddof=1)
    constant = rows.min(0) == rows.max(0)
    return {"loc": np.where(constant, 0.0, loc), "scale": np.where(constant, 1.0, scale)}
