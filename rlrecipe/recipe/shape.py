"""What may stand where in a recipe, read from the options models' annotations.

Merging needs it to know which strings and names mean components, errors to know the valid keys.
"""

from __future__ import annotations

import types
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Annotated, Any, Union, get_args, get_origin

from rlrecipe.recipe.errors import Path
from rlrecipe.recipe.options import Component, Options
from rlrecipe.recipe.registry import UnknownComponent, find
from rlrecipe.recipe.schema import Recipe
from rlrecipe.recipe.slots import Slot
from rlrecipe.recipe.tree import Node
from rlrecipe.recipe.values import Duration, Schedulable


@dataclass(frozen=True)
class Shape:
    """What may stand at one place.

    Args:
        slot: the slot, if a component may stand here.
        model: the options model, if a fixed section stands here.
        items: what the values of a mapping or the items of a list may be.
        duration: whether a duration may stand here.
        required: whether there is no default, except an algorithm's.
    """

    slot: Slot | None = None
    model: type[Options] | None = None
    items: Shape | None = None
    duration: bool = False
    required: bool = False

    def component(self, node: Node) -> Component | None:
        """The component that a node names here, if there is one."""
        name = self.name(node)
        if self.slot is None or name is None:
            return None
        try:
            return find(self.slot.kind, name)
        except UnknownComponent:
            return None

    def name(self, node: Node) -> str | None:
        """The name of the component that a node means here."""
        if self.slot is None:
            return None
        if isinstance(node.value, str):
            return node.value if self.slot.bare == "name" else self.slot.default
        given = node.value.get("name") if isinstance(node.value, dict) else None
        name = given.value if given is not None and given.value is not None else self.slot.default
        return name if isinstance(name, str) else None

    def options(self, node: Node) -> type[Options] | None:
        """The model of the options that a mapping here may hold, if it is known."""
        component = self.component(node) if self.slot else None
        return component.options if component else self.model

    def child(self, node: Node, key: str | int) -> Shape | None:
        """What may stand at a key or index of ``node``; None if nothing is known about it."""
        if isinstance(node.value, list) or (self.slot is None and self.model is None):
            return self.items or PLAIN
        model = self.options(node)
        if model is None or key not in model.model_fields:
            return None
        return fields(model)[str(key)]


#: Plain data, where no name means a component.
PLAIN = Shape()


@cache
def fields(model: type[Options]) -> dict[str, Shape]:
    """The shape of each option of a model."""
    return {
        name: shape_of(info.annotation, tuple(info.metadata), info.is_required())
        for name, info in model.model_fields.items()
    }


def shape_of(annotation: Any, metadata: tuple[Any, ...] = (), required: bool = False) -> Shape:
    """The shape that an annotation describes."""
    for extra in metadata:
        if isinstance(extra, Slot | Schedulable):
            slot = extra if isinstance(extra, Slot) else extra.slot
            return Shape(slot=slot, required=required)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return shape_of(arguments[0], (*arguments[1:], *metadata), required)
    if origin in (Union, types.UnionType):
        shapes = [shape_of(argument, (), required) for argument in arguments]
        return next((shape for shape in shapes if shape != Shape(required=required)), Shape(required=required))
    if origin is dict:
        items = shape_of(arguments[1])
        # Components in a mapping, an algorithm's networks, have no default but the algorithm's.
        components = items.slot is not None
        return Shape(items=replace(items, required=components), required=required or components)
    if origin in (list, tuple):
        return Shape(items=shape_of(arguments[0]), required=required)
    if isinstance(annotation, type) and issubclass(annotation, Options):
        return Shape(model=annotation, required=required)
    return Shape(duration=annotation is Duration, required=required)


#: The shape of a whole recipe.
RECIPE = Shape(model=Recipe)


def at(root: Node, path: Path) -> Shape | None:
    """What may stand at a path of a recipe, given the components that the recipe names."""
    shape: Shape | None = RECIPE
    node: Node | None = root
    for part in path:
        if shape is None or node is None:
            return None
        shape = shape.child(node, part)
        node = node.child(part)
    return shape


def components(value: Any, path: Path = ()) -> Iterator[tuple[Path, Options]]:
    """Every component's options anywhere in a validated recipe, with their paths."""
    if isinstance(value, Options):
        if value._component is not None:
            yield path, value
        for name in type(value).model_fields:
            yield from components(getattr(value, name), (*path, name))
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from components(item, (*path, key))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from components(item, (*path, index))
