"""A recipe before validation: plain values that know where they were written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from rlrecipe.recipe.bundled import is_name
from rlrecipe.recipe.errors import Path, Place, PlacedProblem, Problem
from rlrecipe.recipe.secrets import holds_secret, is_secret

#: Stands where a value could not be read, so that its problem is told once.
INVALID: Any = object()


@dataclass(frozen=True)
class Source:
    """A text that values were read from: a file, or an option of the command line.

    Args:
        file: its name; the option's name for an option.
        lines: its lines.
        option: whether it is an option of the command line.
    """

    file: str
    lines: tuple[str, ...] = ()
    option: bool = False


@dataclass(frozen=True)
class Mark:
    """A stretch of a source's line; line and column from 0."""

    source: Source
    line: int
    column: int
    width: int = 1

    def place(self) -> Place:
        """The mark for an error."""
        lines = self.source.lines
        text = lines[self.line] if self.line < len(lines) else ""
        return Place(self.source.file, self.line + 1, self.column + 1, text, self.width, self.source.option)


@dataclass(frozen=True)
class Node:
    """A value, the mark of its key and its own mark.

    Args:
        value: a scalar, ``INVALID``, a dict of nodes or a list of nodes.
        key: where its key was written, if it has one.
        mark: where it was written; None if no text holds it (an algorithm's defaults).
    """

    value: Any
    key: Mark | None = None
    mark: Mark | None = None

    def data(self) -> Any:
        """The plain value."""
        if isinstance(self.value, dict):
            return {key: node.data() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.data() for node in self.value]
        return self.value

    def get(self, *path: str | int) -> Node | None:
        """The node at a path below this one, if there is one."""
        node: Node | None = self
        for part in path:
            node = node.child(part) if node is not None else None
        return node

    def child(self, part: str | int) -> Node | None:
        """The node at a key or an index."""
        found: Node | None = None
        if isinstance(self.value, dict):
            found = self.value.get(str(part))
        elif isinstance(self.value, list) and isinstance(part, int) and 0 <= part < len(self.value):
            found = self.value[part]
        return found


def unmarked(data: Any) -> Node:
    """A tree of plain data that no text holds."""
    if isinstance(data, Mapping):
        return Node({str(key): unmarked(value) for key, value in data.items()})
    if isinstance(data, list | tuple):
        return Node([unmarked(value) for value in data])
    return Node(data)


def place(root: Node, problem: Problem, file: str) -> PlacedProblem:
    """A problem with its place: the key, the value, or the nearest thing above it that was written."""
    problem = _at_fault(root, problem, file)
    if problem.code == "E103":
        written = _nearest(root, problem.path)
        option = written.source if written and written.source.option else None
        # An option that leaves a key out is at fault itself; in a file nothing can be pointed at.
        return PlacedProblem(problem, written.place() if option and written else Place(file))
    node = root.get(*problem.path)
    mark = None
    if node is not None and problem.path:
        mark = node.key or node.mark if problem.code in ("E101", "E104") else node.mark or node.key
    mark = mark or _nearest(root, problem.path)
    return PlacedProblem(problem, mark.place() if mark else Place(file))


def _at_fault(root: Node, problem: Problem, file: str) -> Problem:
    """A combination's problem at the first of its options that the recipe itself wrote.

    What only a recipe below it wrote comes next, and what nobody wrote is never at fault. Where only one option
    takes part, it is the one that has to be written.
    """
    if not problem.code.startswith("E3") or not problem.others:
        return problem
    paths = [problem.path, *problem.others]
    said = [_own(root, path, file) for path in paths]
    path = paths[said.index(max(said))]
    if not max(said):
        while path and not _own(root, path, file):
            path = path[:-1]
    return replace(problem, path=path or problem.path)


def _own(root: Node, path: Path, file: str) -> int:
    """2: the recipe or an option of the command line wrote it; 1: a recipe that it builds on; 0: nobody."""
    node = root.get(*path)
    mark = node and (node.mark or node.key)
    if not mark:
        return 0
    # A bundled recipe is not its user's own, even where it is the one that was named.
    return 2 if mark.source.option or (mark.source.file == file and not is_name(file)) else 1


def _nearest(root: Node, path: Path) -> Mark | None:
    for length in range(len(path), 0, -1):
        node = root.get(*path[:length])
        if node is not None and (node.key or node.mark):
            return node.key or node.mark
    return None


def secrets(node: Node, path: Path = (), key: str = "") -> Iterator[tuple[Path, Node]]:
    """Every value of a tree that is, or holds, a secret; and every key that holds one."""
    value = node.value
    if isinstance(value, dict):
        for name, inner in value.items():
            if holds_secret(name):
                yield (*path, name), inner
            else:
                yield from secrets(inner, (*path, name), name)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from secrets(inner, (*path, index), key)
    elif is_secret(key, value):
        yield path, node
