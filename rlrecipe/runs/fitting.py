"""Which parts of a checkpoint's state do not fit a changed recipe, and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rlrecipe.assembly.assemble import Assembly
from rlrecipe.assembly.collecting import width_of
from rlrecipe.assembly.environments import Spaces, named
from rlrecipe.assembly.fitted import differing
from rlrecipe.checkpoint.content import Checkpoint
from rlrecipe.interfaces import Transform
from rlrecipe.lazy import np
from rlrecipe.recipe.schema import Recipe
from rlrecipe.recipe.traits import HookTraits
from rlrecipe.runs.spaces import space_from_json
from rlrecipe.state import join, standing

#: Options whose change leaves no use for a part of the state, and that part.
FIXED = {
    "algorithm.name": "the weights, the optimizer's moments and the counts of updates",
    "optimizer.name": "the optimizer's moments",
    "env.num_envs": "the episodes at hand, one of each environment",
    "collector.name": "the episodes at hand",
    "collector.num_workers": "the episodes at hand, shared out among the workers",
    "exploration.name": "the exploration's noise",
    "replay_buffer.name": "the replay buffer",
    "replay_buffer.alpha": "the priorities of the replay buffer",
}


def misfits(checkpoint: Checkpoint, assembly: Assembly, own: Recipe, changes: Mapping[str, str]) -> list[str]:
    """A line for each part of the state that does not fit.

    Args:
        checkpoint: whose state.
        assembly: built from the changed recipe.
        own: the recipe as it was.
        changes: a line for each dotted option that differs.
    """
    lines = [f"{changes[key]}: the state has {part} of the first" for key, part in FIXED.items() if key in changes]
    policy = checkpoint.policy
    there = Spaces(*(space_from_json(policy[f"{kind}_space"]) for kind in ("observation", "action")))
    different = differing(there, assembly.spaces)
    if different is not None:
        lines.append(f"env: {different}")
    if not lines:
        # What follows from a line above need not be said again.
        lines += [*_update(checkpoint, assembly), *_transforms(checkpoint, assembly)]
        lines += [*_buffer(checkpoint, assembly), *_hooks(checkpoint, assembly, own)]
    if "seed" in changes and "workers" in checkpoint.tree["collector"]:
        lines.append("seed: the state has the random streams of the collector's workers")
    return lines


def _update(checkpoint: Checkpoint, assembly: Assembly) -> list[str]:
    """Weights by name and shape; where they fit, the optimizer's moments and the target networks."""
    here, there = assembly.trainer.update.state_dict(), join(checkpoint.tree["update"], checkpoint.arrays)
    for key, section in (("parameters", "networks"), ("optimizer", "optimizer"), ("targets", "algorithm.target")):
        one, other = (dict(_shapes(state[key] or {})) for state in (there, here))
        lines = [
            f"{section}: {name} {_sized(one.get(name))} in the state and {_sized(other.get(name))} here"
            for name in dict.fromkeys((*one, *other))
            if one.get(name) != other.get(name)
        ]
        if lines:
            return lines
    return []


def _sized(shape: list[int] | None) -> str:
    return "is not" if shape is None else f"is {shape}"


def _shapes(state: Any, path: str = "") -> Iterator[tuple[str, list[int]]]:
    """Shape of every array in a state, by its dotted path."""
    if isinstance(state, Mapping | list):
        items = state.items() if isinstance(state, Mapping) else enumerate(state)
        for key, item in items:
            yield from _shapes(item, f"{path}.{key}" if path else str(key))
    elif np.ndim(state) or hasattr(state, "shape"):
        yield path, list(np.shape(state))


def _transforms(checkpoint: Checkpoint, assembly: Assembly) -> Iterator[str]:
    """Normalisers with and without statistics."""
    for name, transform in assembly.transforms.items():
        there, here = (dict(_shapes(state)) for state in (checkpoint.statistics(name), _statistics(transform)))
        if here and not there:
            yield f"env.transforms: the state has no statistics for {name}"
        for key in (key for key in there if there[key] != here.get(key)):
            yield f"env.transforms: {name} has {key} {there[key]} in the state and {here.get(key)} here"
    for name in checkpoint.policy["statistics"]:
        if name not in assembly.transforms and checkpoint.statistics(name):
            yield f"env.transforms: the weights go with the statistics of {name}, which is not here"


def _statistics(transform: Transform) -> Any:
    return standing(transform).get("statistics", {})


def _buffer(checkpoint: Checkpoint, assembly: Assembly) -> Iterator[str]:
    saved, recipe = checkpoint.tree.get("replay_buffer"), assembly.recipe
    if saved is None or recipe.replay_buffer is None:
        return
    storage: Any = recipe.replay_buffer
    width = width_of(recipe.collector, recipe.env)
    room = storage.storage.max_size // width * width
    rows = min(saved["rows"], saved["total"] * width)
    if saved["chunks"] is not None and rows > room:
        yield f"replay_buffer: the state has {rows} rows, and storage.max_size {storage.storage.max_size} holds {room}"


def _hooks(checkpoint: Checkpoint, assembly: Assembly, own: Recipe) -> Iterator[str]:
    """Hooks whose options changed and whose state holds the options that it was made with."""
    before, after = named(own.hooks), named(assembly.recipe.hooks)
    for name in before.keys() & after.keys():
        keeps = HookTraits.of(after[name]).keeps_options
        if keeps and before[name] != after[name] and checkpoint.tree.get(name):
            yield f"hooks: the state of {name} holds the options that it was made with"
