"""Layers of a recipe become one: algorithm defaults, ``extends``, the file, ``-s`` options.

Mappings merge deeply, lists replace, a changed component name drops the other options that the
lower layer gave it, ``null`` takes away what lower layers said.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from rlrecipe.recipe.errors import Path, PlacedProblem, Problem
from rlrecipe.recipe.shape import RECIPE, Shape
from rlrecipe.recipe.tree import Mark, Node
from rlrecipe.recipe.values import UNITS

EMPTY = Node({})


def merge(layers: Iterable[Node], defaults: Node = EMPTY) -> tuple[Node, list[PlacedProblem]]:
    """The tree that layers make, lowest first, over an algorithm's defaults; and wrong list indexes."""
    merger = _Merger()
    root = defaults
    for layer in layers:
        root = merger.merge(root, layer, RECIPE, defaults, ())
    return without_nulls(root), merger.problems


def without_nulls(node: Node) -> Node:
    """The tree without the keys whose value is null."""
    if isinstance(node.value, dict):
        kept = {key: without_nulls(value) for key, value in node.value.items() if value.value is not None}
        return replace(node, value=kept)
    if isinstance(node.value, list):
        return replace(node, value=[without_nulls(item) for item in node.value])
    return node


class _Merger:
    """Merges two trees at a time; collects indexes that a list does not have."""

    def __init__(self) -> None:
        self.problems: list[PlacedProblem] = []

    def merge(self, low: Node, high: Node, shape: Shape | None, default: Node | None, path: Path) -> Node:
        """``high`` over ``low``. ``default`` is what the algorithm says at this place."""
        if high.value is None:
            # What has no default of its own gets the algorithm's back.
            return default if default is not None and shape is not None and shape.required else high
        if isinstance(low.value, list) and isinstance(high.value, dict) and _from_option(high):
            return self._items(low, high, shape, path)
        low, high = _opened(low, high, shape), _opened(high, low, shape)
        if not isinstance(low.value, dict) or not isinstance(high.value, dict) or _renamed(low, high, shape):
            return high
        if default is not None and (not isinstance(default.value, dict) or _renamed(default, high, shape)):
            default = None
        merged = dict(low.value)
        if _changed(low, high, "env_name") and shape is not None and shape.slot and shape.slot.kind == "env":
            merged.pop("kwargs", None)
        # The name decides which options there are, and may come from either layer.
        known = Node({**low.value, **high.value})
        for key, node in high.value.items():
            below = default.child(key) if default is not None else None
            inner = shape.child(known, key) if shape is not None else None
            under = merged.get(key)
            if under is None and node.value is not None:
                merged[key] = node
            else:
                merged[key] = self.merge(under or Node(None), node, inner, below, (*path, key))
        return Node(merged, high.key or low.key, high.mark or low.mark)

    def _items(self, low: Node, high: Node, shape: Shape | None, path: Path) -> Node:
        """A list with the items changed that an option names by their indexes."""
        items: list[Node] = low.value
        merged = list(items)
        inner = shape.items if shape is not None else None
        for index, node in high.value.items():
            if index.isdecimal() and int(index) < len(items):
                merged[int(index)] = self.merge(merged[int(index)], node, inner, None, (*path, int(index)))
                continue
            count = f"expected an index of 0 to {len(items) - 1}" if items else "the list is empty"
            problem = Problem("E102", (*path, index), f"no item {index} in a list of {len(items)}: {count}",
                              "give the whole list instead: key=[...]")  # fmt: skip
            assert node.key is not None
            self.problems.append(PlacedProblem(problem, node.key.place()))
        return replace(low, value=merged)


def _from_option(node: Node) -> bool:
    return isinstance(node.mark, Mark) and node.mark.source.option


def _opened(node: Node, other: Node, shape: Shape | None) -> Node:
    """A bare string as the mapping it stands for, where it meets a mapping."""
    if not isinstance(node.value, str) or not isinstance(other.value, dict):
        return node
    if shape is not None and shape.slot is None:
        return node
    key = shape.slot.bare if shape is not None and shape.slot is not None else "name"
    return Node({key: Node(node.value, node.mark, node.mark)}, node.key, node.mark)


def _renamed(low: Node, high: Node, shape: Shape | None) -> bool:
    """Whether what ``low`` says is about another component, or in another unit."""
    if shape is None:
        return _changed(low, high, "name")
    if shape.duration:
        return set(low.value) <= set(UNITS) and set(high.value) <= set(UNITS) and set(low.value) != set(high.value)
    if shape.slot is None or "name" not in high.value:
        return False
    lower, higher = shape.name(low), shape.name(high)
    return lower is not None and higher is not None and lower != higher


def _changed(low: Node, high: Node, key: str) -> bool:
    lower, higher = low.child(key), high.child(key)
    return lower is not None and higher is not None and lower.value != higher.value
