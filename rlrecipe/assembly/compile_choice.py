"""Whether a run's updates are worth compiling: what ``runtime.compile: auto`` means."""

from __future__ import annotations

from typing import NamedTuple

from rlrecipe.learning.compiled.package import compiler
from rlrecipe.recipe.schema import Recipe
from rlrecipe.recipe.traits import AlgorithmTraits

#: Compiling takes 14 to 23 seconds, once for all runs of a kind. A first run of so many small updates may lose some of
#: them, every later one wins; with fewer updates there is too little to win.
MANY = 5000


class Choice(NamedTuple):
    """``compile`` is "on" or "off"; why, in words."""

    compile: str
    reason: str


def choose(recipe: Recipe) -> Choice:
    """From the recipe and the machine alone: a run must not depend on what some cache holds."""
    if recipe.runtime.compile != "auto":
        return Choice(recipe.runtime.compile, f"runtime.compile: {recipe.runtime.compile}")
    if recipe.runtime.device not in ("auto", "cpu"):
        return Choice("off", f"updates on {recipe.runtime.device} cannot be compiled so far")
    if not AlgorithmTraits.of(recipe.algorithm).compiles:
        return Choice("off", f"{recipe.algorithm.component.name} cannot be compiled")
    if "memory" in recipe.networks:
        return Choice("off", "a memory's steps would be compiled one by one, for minutes")
    updates, rule = updates_ahead(recipe), f"runtime.compile: auto does it from {MANY:,} on"
    if updates < MANY:
        return Choice("off", f"{updates:,} lie ahead ({rule})")
    if compiler() is None:
        return Choice("off", "there is no C++ compiler on this machine; Debian's is in the package g++")
    return Choice("on", f"{updates:,} lie ahead ({rule})")


def updates_ahead(recipe: Recipe) -> int:
    """Updates of the whole run, near enough."""
    trainer, algorithm = recipe.trainer, recipe.algorithm
    traits = AlgorithmTraits.of(algorithm)
    if trainer.total_updates is not None:
        return trainer.total_updates
    frames, batch = trainer.total_frames or 0, getattr(recipe.collector, "frames_per_batch", 1)
    if recipe.replay_buffer is None:
        per_batch = traits.updates_per_batch
        return -(-frames // batch) * (1 if per_batch is None else per_batch(algorithm, batch))
    learning = frames - getattr(recipe.collector, "init_random_frames", 0)
    if trainer.optim_steps_per_batch is not None:
        return learning // batch * trainer.optim_steps_per_batch
    return int(learning * (trainer.updates_per_frame or traits.updates_per_frame or 1.0))
