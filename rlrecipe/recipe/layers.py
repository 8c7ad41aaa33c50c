"""The layers of a recipe: the file, what it extends, and the options of the command line."""

from __future__ import annotations

import re
import stat
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from rlrecipe.recipe.bundled import STDIN, bundled_file, is_path
from rlrecipe.recipe.dump import TooDeep, to_yaml
from rlrecipe.recipe.errors import Place, PlacedProblem, Problem, RecipeNotFound
from rlrecipe.recipe.names import expanded, expansion
from rlrecipe.recipe.overrides import override
from rlrecipe.recipe.tree import Node, place
from rlrecipe.recipe.yaml import LARGEST_TEXT, decode, read

#: How many recipes may extend one another.
DEEPEST_CHAIN = 5
#: What a shell gives a program to read from another one, besides ``-``.
_PIPE = re.compile(r"/dev/(stdin|fd/[0-9]+)|/proc/self/fd/[0-9]+")


@dataclass(frozen=True)
class Piped:
    """A recipe from standard input or another pipe, which can be read only once: its bytes, and how errors name it."""

    raw: bytes
    name: str


@dataclass(frozen=True)
class Held:
    """A recipe that a file of a run holds among other things: its content, and the file, which errors name."""

    content: Mapping[str, Any]
    name: str


#: Where a recipe comes from: a path, the name of a bundled recipe, a mapping, what was read from a pipe,
#: or part of another file.
Origin: TypeAlias = "str | Path | Mapping[str, Any] | Piped | Held"


def read_once(source: Origin) -> Origin:
    """What a recipe can be read from again and again: a pipe's content in place of the pipe.

    Raises:
        RecipeNotFound: it cannot be read.
    """
    if source == STDIN:
        return Piped(_standard_input(), "<stdin>")
    if isinstance(source, str | Path) and _PIPE.fullmatch(str(source)):
        file = Path(source)
        # A file that a shell opened (< recipe.yaml) is read like any other.
        return Piped(_reading(file), str(file))
    return source


def _standard_input() -> bytes:
    if sys.stdin is None or sys.stdin.closed:
        raise RecipeNotFound("standard input is closed: pipe a recipe into it, or name a file")
    try:
        return sys.stdin.buffer.read(LARGEST_TEXT + 1)
    except OSError as error:
        raise RecipeNotFound(f"standard input cannot be read: {error.strerror}") from None


@dataclass(frozen=True)
class Layer:
    """One layer: its tree, and the folder that its relative paths start from."""

    root: Node
    folder: Path
    name: str


@dataclass
class Layers:
    """All layers, lowest first, without ``extends``; and the problems found so far.

    Args:
        text: the recipe as written.
        name: how errors name its file.
        file: its file, None for a mapping.
    """

    text: str
    name: str
    file: Path | None
    folder: Path
    layers: list[Layer] = field(default_factory=list)
    problems: list[PlacedProblem] = field(default_factory=list)

    def top(self, key: str) -> tuple[Node, Layer] | None:
        """The highest layer that gives a key at the root."""
        for layer in reversed(self.layers):
            node = layer.root.get(key)
            if node is not None and node.value is not None:
                return node, layer
        return None


def read_layers(source: Origin, overrides: Sequence[str]) -> Layers:
    """Read a recipe and everything it builds on.

    Raises:
        RecipeNotFound: ``source`` is no file that can be read, and no bundled recipe.
    """
    result = _open(source)
    options = [_option(result, text) for text in overrides]
    root = _read(result, result.text, result.name)
    for layer in [root, *options]:
        if layer is not None:
            result.layers.append(Layer(layer, result.folder, result.name))
    _extend(result)
    result.layers = [
        Layer(Node({k: v for k, v in layer.root.value.items() if k != "extends"}), layer.folder, layer.name)
        for layer in result.layers
    ]
    return result


def _mapping(source: Mapping[str, Any], name: str) -> Layers:
    result = Layers("", name, None, Path.cwd())
    try:
        result.text = to_yaml(source)
    except TooDeep as error:
        problem = Problem("E105", (), str(error), "flatten the recipe")
        result.problems.append(PlacedProblem(problem, Place(result.name)))
    return result


def _open(source: Origin) -> Layers:
    source = read_once(source)
    if isinstance(source, Mapping):
        return _mapping(source, "<mapping>")
    if isinstance(source, Held):
        return _mapping(source.content, source.name)
    if isinstance(source, Piped):
        text, problems = decode(source.raw, source.name)
        return Layers(text, source.name, None, Path.cwd(), problems=problems)
    if isinstance(source, str) and not is_path(source):
        file, name = bundled_file(source), source
    else:
        file, name = Path(source), str(source)
    raw = read_bytes(file)
    text, problems = decode(raw, name)
    return Layers(text, name, file, file.resolve().parent, problems=problems)


def read_bytes(file: Path) -> bytes:
    """A recipe file's bytes, of which no more are read than a recipe may have.

    Raises:
        RecipeNotFound: it is no file, or cannot be read.
    """
    try:
        mode = file.stat().st_mode
        if stat.S_ISDIR(mode):
            raise RecipeNotFound(f"{file} is a folder: expected a recipe file, such as {file / 'recipe.yaml'}")
        if not stat.S_ISREG(mode):
            raise RecipeNotFound(f"{file} is no regular file: expected a recipe file, or - for standard input")
    except (OSError, ValueError) as error:
        raise _unreadable(file, error) from None
    return _reading(file)


def _reading(file: Path) -> bytes:
    """A file's bytes.

    Raises:
        RecipeNotFound: it cannot be read.
    """
    try:
        with file.open("rb") as stream:
            return stream.read(LARGEST_TEXT + 1)
    except (OSError, ValueError) as error:
        raise _unreadable(file, error) from None


def _unreadable(file: Path, error: OSError | ValueError) -> RecipeNotFound:
    if isinstance(error, FileNotFoundError):
        return RecipeNotFound(f"there is no file {file}; `rlrecipe list recipes` names the bundled recipes")
    return RecipeNotFound(f"{file} cannot be read: {error.strerror if isinstance(error, OSError) else error}")


def _read(result: Layers, text: str, name: str) -> Node | None:
    if any(problem.place.line is None or not text for problem in result.problems if problem.place.file == name):
        return None
    found = read(text, name)
    result.problems += found.problems
    return found.root if found.root is not None and isinstance(found.root.value, dict) else None


def _option(result: Layers, text: str) -> Node | None:
    node, problems = override(text)
    result.problems += problems
    return node


def _extend(result: Layers) -> None:
    """Put what the recipe extends under it, and what that extends under that."""
    files = {result.file.resolve()} if result.file is not None else set()
    found = result.top("extends")
    depth = 0
    while found is not None:
        node, layer = found
        found = None
        depth += 1
        problem = _Extension(node, layer.folder, depth, files).problem()
        if problem is not None:
            result.problems.append(place(Node({"extends": node}), problem, layer.name))
            return
        file, name = _target(node.value, layer.folder)
        files.add(file.resolve())
        try:
            text, problems = decode(read_bytes(file), name)
        except RecipeNotFound as error:
            result.problems.append(
                place(Node({"extends": node}), Problem("E102", ("extends",), str(error)), layer.name)
            )
            return
        result.problems += problems
        root = _read(result, text, name)
        if root is None:
            return
        base = Layer(root, file.resolve().parent, name)
        result.layers.insert(0, base)
        below = root.get("extends")
        if below is not None and below.value is not None:
            found = below, base


@dataclass(frozen=True)
class _Extension:
    """One ``extends`` and where it stands."""

    node: Node
    folder: Path
    depth: int
    files: set[Path]

    def problem(self) -> Problem | None:
        """Why it cannot be followed."""
        name = self.node.value
        if not isinstance(name, str) or not name:
            return self._say("expected the name of a bundled recipe or a relative path")
        part = expanded(name)
        if part is not None:
            return self._say(*expansion(part))
        if self.depth > DEEPEST_CHAIN:
            return self._say(f"more than {DEEPEST_CHAIN} recipes extend one another", "shorten the chain")
        try:
            file, _ = _target(name, self.folder)
            real = file.resolve()
        except RecipeNotFound as error:
            return self._say(str(error))
        except (OSError, ValueError, RuntimeError):
            return self._say(f"{name!r} is no usable path")
        if is_path(name) and (Path(name).is_absolute() or not real.is_relative_to(self.folder)):
            message = f"{name!r} leads out of the folder {self.folder}"
            return self._say(message, "extend a file in this folder or below, or a bundled recipe")
        if real in self.files:
            return self._say(f"{name!r} extends itself, directly or through others", "break the circle")
        return None

    def _say(self, message: str, cure: str | None = None) -> Problem:
        return Problem("E102", ("extends",), message, cure)


def _target(name: str, folder: Path) -> tuple[Path, str]:
    """The file that an ``extends`` means, and how errors name it."""
    if is_path(name):
        file = folder / name
        here = Path.cwd()
        return file, str(file.relative_to(here)) if file.is_relative_to(here) else str(file)
    return bundled_file(name), name
