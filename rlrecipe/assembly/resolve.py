"""What a recipe leaves to the machine and the environment: every ``auto`` and every default that depends on them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from rlrecipe.assembly.collecting import with_workers
from rlrecipe.assembly.fitted import Fitted
from rlrecipe.assembly.learning import acting_slot
from rlrecipe.learning.compiled.package import compiler
from rlrecipe.machine import asked_threads, cores
from rlrecipe.networks.base import width_of
from rlrecipe.recipe.asked import distribution_of, frames_per_batch, init_random_frames
from rlrecipe.recipe.schema import Recipe
from rlrecipe.recipe.traits import AlgorithmTraits

#: From this width on, one operation is worth the cost of a second thread.
WIDE = 256
#: Compiling takes 14 to 23 seconds, once for all runs of a kind. A first run of so many small updates may lose some of
#: them, every later one wins; with fewer updates there is too little to win.
MANY = 5000


class Compiling(NamedTuple):
    """``compile`` is "on" or "off"; why, in words."""

    compile: str
    reason: str


def resolve(recipe: Recipe, fitted: Callable[[], Fitted], compiling: Compiling) -> Recipe:
    """The recipe with every ``auto`` replaced by what is chosen here; depends on nothing else.

    Args:
        recipe: a valid one.
        fitted: it in the spaces of its environment; asked only where something depends on them.
        compiling: what compiling was chosen to be.
    """
    if distribution_of(recipe.networks[acting_slot(recipe)]) is None:
        recipe = fitted().recipe
    runtime: dict[str, Any] = {}
    if recipe.runtime.device == "auto":
        runtime["device"] = "cpu"
    if recipe.runtime.threads == "auto":
        # A small network is slower with two, whoever asks for more.
        runtime["threads"] = min(asked_threads() or 2, cores()) if _wide(recipe, fitted) else 1
    if recipe.runtime.compile == "auto":
        runtime["compile"] = compiling.compile
    changed = {
        "collector": with_workers(recipe.collector, recipe.env),
        "trainer": _trainer(recipe),
        "runtime": recipe.runtime.model_copy(update=runtime),
    }
    return recipe.model_copy(update=changed)


def _wide(recipe: Recipe, fitted: Callable[[], Fitted]) -> bool:
    """Whether one operation of the networks is worth a second thread."""
    widths = [width_of(options) for options in recipe.networks.values()]
    if math.inf not in widths or max(width for width in (0, *widths) if width < math.inf) >= WIDE:
        return max(widths) >= WIDE
    # One does not say: its largest matrix tells, and convolutions go over each picture many times.
    networks, generator = fitted().parts.networks.values(), torch.Generator()
    shapes = [tuple(tensor.shape) for network in networks for tensor in network.init(generator).values()]
    return any(len(shape) > 3 or math.prod(shape[-2:]) >= WIDE * WIDE for shape in shapes if len(shape) > 1)


def _trainer(recipe: Recipe) -> Any:
    """Updates for each frame, where the algorithm has a usual number of them and the recipe says none."""
    trainer, usual = recipe.trainer, AlgorithmTraits.of(recipe.algorithm).updates_per_frame
    if usual is None or trainer.updates_per_frame is not None or trainer.optim_steps_per_batch is not None:
        return trainer
    return trainer.model_copy(update={"updates_per_frame": usual})


def whether_to_compile(recipe: Recipe, said: Compiling | None = None) -> Compiling:
    """From the recipe and the machine alone: a run must not depend on what some cache holds.

    Args:
        recipe: of the run.
        said: what was chosen when the run began, whose reason holds for as long as its recipe has that choice.
    """
    if said is not None and said.compile == recipe.runtime.compile:
        return said
    if recipe.runtime.compile != "auto":
        return Compiling(recipe.runtime.compile, f"runtime.compile: {recipe.runtime.compile}")
    if recipe.runtime.device not in ("auto", "cpu"):
        return Compiling("off", f"updates on {recipe.runtime.device} cannot be compiled so far")
    if not AlgorithmTraits.of(recipe.algorithm).compiles:
        return Compiling("off", f"{recipe.algorithm.component.name} cannot be compiled")
    if "memory" in recipe.networks:
        return Compiling("off", "a memory's steps would be compiled one by one, for minutes")
    updates, rule = updates_ahead(recipe), f"runtime.compile: auto does it from {MANY:,} on"
    if updates < MANY:
        return Compiling("off", f"{updates:,} lie ahead ({rule})")
    if compiler() is None:
        return Compiling("off", "there is no C++ compiler on this machine; Debian's is in the package g++")
    return Compiling("on", f"{updates:,} lie ahead ({rule})")


def updates_ahead(recipe: Recipe) -> int:
    """Updates of the whole run, near enough."""
    trainer, algorithm = recipe.trainer, recipe.algorithm
    traits = AlgorithmTraits.of(algorithm)
    if trainer.total_updates is not None:
        return trainer.total_updates
    frames, batch = trainer.total_frames or 0, frames_per_batch(recipe.collector) or 1
    if recipe.replay_buffer is None:
        per_batch = traits.updates_per_batch
        return -(-frames // batch) * (1 if per_batch is None else per_batch(algorithm, batch))
    learning = frames - init_random_frames(recipe.collector)
    if trainer.optim_steps_per_batch is not None:
        return learning // batch * trainer.optim_steps_per_batch
    return int(learning * (trainer.updates_per_frame or traits.updates_per_frame or 1.0))
