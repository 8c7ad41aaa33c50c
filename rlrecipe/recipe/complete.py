"""What a shell may complete: recipes, components, keys. Reads no torch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from rlrecipe.recipe.bundled import SUFFIXES, bundled
from rlrecipe.recipe.describe import components, kinds
from rlrecipe.recipe.registry import search
from rlrecipe.recipe.shape import RECIPE, Shape, fields
from rlrecipe.recipe.traits import AlgorithmTraits


def recipes(start: str) -> list[str]:
    """Bundled recipes and recipe files that begin like this; folders on the way to more."""
    path = Path(start)
    folder, name = (path, "") if start.endswith("/") or not start else (path.parent, path.name)
    found = [] if start.startswith((".", "/")) else [each for each in bundled() if each.startswith(start)]
    try:
        files = sorted(each for each in folder.iterdir() if each.name.startswith(name))
    except OSError:
        files = []
    prefix = start[: len(start) - len(name)]
    for file in files:
        if file.is_dir() and not file.name.startswith("."):
            found.append(f"{prefix}{file.name}/")
        elif file.name.endswith(SUFFIXES):
            found.append(f"{prefix}{file.name}")
    return found


def components_of(start: str) -> list[str]:
    """``KIND/`` until the kind is there, then ``KIND/NAME``."""
    kind, slash, _ = start.partition("/")
    if not slash:
        return [f"{each}/" for each in kinds() if each.startswith(start)]
    if kind not in kinds():
        return []
    return [name for one in components(kind) if (name := f"{kind}/{one.name}").startswith(start)]


def algorithms(start: str) -> list[str]:
    """Names of algorithms."""
    return [component.name for component in search("algorithm") if component.name.startswith(start)]


def kinds_of(start: str) -> list[str]:
    """Kinds of components, and what else can be listed."""
    return [each for each in (*kinds(), "recipes") if each.startswith(start)]


def keys(start: str) -> list[str]:
    """Dotted keys of a recipe: ``trainer.`` where more follows, ``seed=`` where a value does."""
    above, _, last = start.rpartition(".")
    shapes: list[Shape] = [RECIPE]
    for part in above.split(".") if above else ():
        shapes = [inner for shape in shapes for inner in _below(shape, part)]
    prefix = f"{above}." if above else ""
    found = dict(entry for shape in shapes for entry in _entries(shape))
    return [f"{prefix}{key}{'.' if more else '='}" for key, more in sorted(found.items()) if key.startswith(last)]


def _models(shape: Shape) -> Iterator[dict[str, Shape]]:
    """The options that may stand somewhere, of every component that may."""
    if shape.model is not None:
        yield fields(shape.model)
    elif shape.slot is not None:
        yield from (fields(component.options) for component in search(shape.slot.kind))


def _below(shape: Shape, part: str) -> Iterable[Shape]:
    if shape.items is not None and shape.slot is None:
        return [shape.items]
    return [model[part] for model in _models(shape) if part in model]


def _entries(shape: Shape) -> Iterator[tuple[str, bool]]:
    """Keys, and whether more keys follow."""
    if shape.slot is not None:
        yield "name", False
    for model in _models(shape):
        for key, inner in model.items():
            component = inner.slot is not None and inner.slot.kind != "schedule"
            yield key, inner.model is not None or component or key == "networks"
    if shape.items is not None and shape.items.slot is not None and shape.items.slot.kind == "network":
        slots = (slot for component in search("algorithm") for slot in AlgorithmTraits.of(component).slots)
        yield from ((slot, True) for slot in (*slots, "encoder", "memory"))
