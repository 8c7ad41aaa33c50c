"""What a recipe leaves to the machine and the environment: every ``auto`` and every default that depends on them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch

from rlrecipe.assembly.collecting import with_workers
from rlrecipe.assembly.compile_choice import choose
from rlrecipe.assembly.environments import Spaces, spaces_of
from rlrecipe.assembly.learning import acting_slot, distribution_options, make_learner
from rlrecipe.machine import asked_threads, cores
from rlrecipe.networks.base import width_of
from rlrecipe.recipe.options import Options
from rlrecipe.recipe.schema import Recipe
from rlrecipe.recipe.traits import AlgorithmTraits
from rlrecipe.streams import Streams

#: From this width on, one operation is worth the cost of a second thread.
WIDE = 256


def resolve(recipe: Recipe, spaces: Spaces | None = None) -> Recipe:
    """The recipe with every ``auto`` replaced by what is chosen here; depends on nothing else.

    Args:
        recipe: a valid one.
        spaces: its environment's, where they are known.
    """
    networks = _networks(recipe, spaces)
    runtime: dict[str, Any] = {}
    if recipe.runtime.device == "auto":
        runtime["device"] = "cpu"
    if recipe.runtime.threads == "auto":
        # A small network is slower with two, whoever asks for more.
        runtime["threads"] = min(asked_threads() or 2, cores()) if _wide(recipe, networks) else 1
    if recipe.runtime.compile == "auto":
        runtime["compile"] = choose(recipe).compile
    changed = {
        "networks": networks,
        "collector": with_workers(recipe.collector, recipe.env),
        "trainer": _trainer(recipe),
        "runtime": recipe.runtime.model_copy(update=runtime),
    }
    return recipe.model_copy(update=changed)


def _wide(recipe: Recipe, networks: Mapping[str, Options]) -> bool:
    """Whether one operation of the networks is worth a second thread."""
    widths = [width_of(options) for options in networks.values()]
    if math.inf not in widths or max(width for width in (0, *widths) if width < math.inf) >= WIDE:
        return max(widths) >= WIDE
    # One does not say: its largest matrix tells, and convolutions go over each picture many times.
    built = recipe.model_copy(update={"networks": networks})
    shapes = [
        part.shape
        for part in make_learner(built, spaces_of(recipe.env), Streams(0), torch.device("cpu")).parameters.parts
    ]
    return any(len(shape) > 3 or math.prod(shape[-2:]) >= WIDE * WIDE for shape in shapes if len(shape) > 1)


def _networks(recipe: Recipe, spaces: Spaces | None) -> dict[str, Any]:
    """The networks with the distribution that acts."""
    slot = acting_slot(recipe)
    acting: Any = recipe.networks[slot]
    if acting.distribution is not None:
        return dict(recipe.networks)
    chosen = distribution_options(recipe, (spaces or spaces_of(recipe.env)).action)
    return {**recipe.networks, slot: acting.model_copy(update={"distribution": chosen})}


def _trainer(recipe: Recipe) -> Any:
    """Updates for each frame, where the algorithm has a usual number of them and the recipe says none."""
    trainer, usual = recipe.trainer, AlgorithmTraits.of(recipe.algorithm).updates_per_frame
    if usual is None or trainer.updates_per_frame is not None or trainer.optim_steps_per_batch is not None:
        return trainer
    return trainer.model_copy(update={"updates_per_frame": usual})
