"""What a recipe to start from has to say so that its algorithm learns in its environment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rlrecipe.assembly.acting import space_problem
from rlrecipe.assembly.environments import Spaces, environment_problem, spaces_of
from rlrecipe.assembly.sections import read
from rlrecipe.interfaces import Entry
from rlrecipe.recipe.errors import Problem, RecipeError
from rlrecipe.recipe.options import Component
from rlrecipe.recipe.registry import find
from rlrecipe.recipe.template import LENGTH
from rlrecipe.recipe.traits import AlgorithmTraits
from rlrecipe.stepping.observations import entries_of

#: The usual preprocessing of Atari's games.
ATARI = {
    "kwargs": {"frameskip": 1, "repeat_action_probability": 0.0},
    "transforms": ["fire_reset", "life_loss", "atari_preprocessing", "sign_reward"],
}
#: Side of the smallest picture that the usual convolutions fit into, and rows of pictures that most machines keep.
SIDE, ROWS = 36, 20_000


def starting(algorithm: str, env: str) -> tuple[dict[str, Any], list[Problem]]:
    """The sections of a recipe to start from, and why they do not go together.

    Args:
        algorithm: its name.
        env: the environment's id.

    Raises:
        UnknownComponent: there is no such algorithm.
    """
    return _in_env(find("algorithm", algorithm), {"env_name": env, **(ATARI if env.startswith("ALE/") else {})})


def _in_env(algorithm: Component, env: Mapping[str, Any]) -> tuple[dict[str, Any], list[Problem]]:
    try:
        options = read("env", env)
    except RecipeError as error:
        return {}, [placed.problem for placed in error.problems]
    try:
        spaces = spaces_of(options)
    except Exception as error:
        return {}, [environment_problem(options, error, ("env",))]
    problem = space_problem(algorithm, spaces.action)
    if problem is not None:
        return {}, [problem]
    pictured = any(entry.pixels for entry in entries_of(spaces.observation).values())
    if pictured and AlgorithmTraits.of(algorithm).fragile:
        message = f"{algorithm.name} reads no pictures: it takes networks that read the whole observation themselves"
        return {}, [Problem("E301", ("algorithm",), message, "take dqn or ppo, whose networks may have an encoder")]
    own = AlgorithmTraits.of(algorithm).starts_with.get(type(spaces.action).__name__, {})
    named = {"name": algorithm.name, **own}
    return {"env": dict(env), "algorithm": named, "trainer": LENGTH, **_of_pictures(algorithm, spaces)}, []


def _of_pictures(algorithm: Component, spaces: Spaces) -> dict[str, Any]:
    """An encoder, and a buffer that fits into memory, where pictures are observed."""
    entries = entries_of(spaces.observation)
    if not any(entry.pixels for entry in entries.values()):
        return {}
    encoders = {key: _encoder(entry) for key, entry in entries.items()}
    encoder: Any = {"name": "per_key", "keys": encoders} if len(encoders) > 1 else next(iter(encoders.values()))
    sections: dict[str, Any] = {"networks": {"encoder": encoder}}
    if "replay_buffer" in AlgorithmTraits.of(algorithm).defaults:
        sections["replay_buffer"] = {"storage": {"max_size": ROWS}}
    return sections


def _encoder(entry: Entry) -> str:
    if entry.pixels:
        # Height and width, wherever the channels are.
        return "nature_cnn" if min(sorted(entry.shape)[-2:]) >= SIDE else "conv"
    return "mlp" if entry.choices is None else "one_hot"
