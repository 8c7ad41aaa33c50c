"""Losses from their options: an algorithm with its networks and their first parameters, as a recipe has it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from rlrecipe.assembly.constructors import EnvConstructor, section_of
from rlrecipe.assembly.environments import environment_problem, spaces_of
from rlrecipe.assembly.fitted import Fitted
from rlrecipe.assembly.learning import Learner
from rlrecipe.assembly.sections import Section, plain, slot_of
from rlrecipe.recipe.load import load
from rlrecipe.recipe.slots import Slot

#: A loss has no length, a recipe must: longer than anything that an algorithm's defaults ask for.
LONG = 10**12


def make_loss(
    algorithm: Section,
    *,
    env: Section | EnvConstructor,
    networks: Mapping[str, Section] | None = None,
    seed: int = 0,
    device: str = "cpu",
    **options: Any,
) -> Learner:
    """An algorithm's losses over networks that fit an environment.

    Args:
        algorithm: its name, or the section.
        env: the environment whose spaces give all sizes: an id, the section, or a constructor of
            ``transformed_env_constructor``; it is built once, and closed.
        networks: by slot; what is not given is as in a recipe of this algorithm.
        seed: of the networks' first weights, as a recipe's.
        device: where the parameters lie.
        options: single options of the algorithm.

    Returns:
        ``algorithm`` with its pure losses, ``parameters``, and the ``policy`` that acts by them.

    Raises:
        RecipeError: options are wrong, or do not fit the environment.
    """
    sections = {
        "env": plain(slot_of("env"), section_of(env)),
        "algorithm": plain(slot_of("algorithm"), algorithm, options),
        "networks": {name: plain(Slot("network"), network) for name, network in (networks or {}).items()},
    }
    loaded = load({**sections, "trainer": {"total_frames": LONG}, "seed": seed})
    recipe = loaded.recipe
    try:
        spaces = spaces_of(recipe.env)
    except Exception as error:
        raise loaded.error([environment_problem(recipe.env, error, ("env",))]) from error
    fitted = Fitted(recipe, spaces)
    if problems := fitted.problems:
        raise loaded.error(problems)
    return fitted.make_learner().on(torch.device(device))


def make_dqn_loss(
    *,
    env: Section | EnvConstructor,
    networks: Mapping[str, Section] | None = None,
    seed: int = 0,
    device: str = "cpu",
    **options: Any,
) -> Learner:
    """Deep Q-learning's loss; ``options`` are those of ``algorithm/dqn``: ``double``, ``dueling``, ``gamma``, ..."""
    return make_loss("dqn", env=env, networks=networks, seed=seed, device=device, **options)
