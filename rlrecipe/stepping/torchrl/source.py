"""What torchrl's source says of its classes: names and arguments, without importing it (which takes two seconds)."""

from __future__ import annotations

import ast
import functools
import importlib.util
import inspect
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: Parsing whole files would take half a second; only heads, texts and constructors are looked at.
_CLASS = re.compile(r"^(?=class \w+)", re.MULTILINE)
_HEAD = re.compile(r"class (\w+)(?:\((.*?)\))?:\n", re.DOTALL)
_TEXT = re.compile(r'\s*r?"""(.*?)"""', re.DOTALL)
_INIT = re.compile(r"^    def __init__\(.*?\)(?: -> None)?:\n", re.MULTILINE | re.DOTALL)
_MEANING = re.compile(
    r"^    (?P<name>\*?\w+)(?: \([^\n]*?\))?: ?(?P<text>.*?)(?=^    \*?\w+(?: \(.*?\))?:|^\S|\Z)", re.M | re.S
)


@dataclass(frozen=True)
class Argument:
    """One argument of a constructor.

    Attributes:
        annotation: its type as text, or None.
        default: None, too, where it is no plain value.
        required: whether there is no default.
        several: whether it takes any number of values by position.
    """

    name: str
    annotation: str | None
    default: Any
    required: bool
    several: bool
    meaning: str


@dataclass(frozen=True)
class Class:
    """A class of torchrl's.

    Attributes:
        bases: names of what it derives from.
        body: its source below its head.
    """

    name: str
    bases: tuple[str, ...]
    body: str

    @functools.cached_property
    def text(self) -> str:
        """Its documentation."""
        text = _TEXT.match(self.body)
        return inspect.cleandoc(text[1]) if text else ""

    @functools.cached_property
    def constructor(self) -> str | None:
        """The head of its own constructor."""
        constructor = _INIT.search(self.body)
        return constructor[0] if constructor else None

    @property
    def meaning(self) -> str:
        """The first paragraph of its text."""
        return " ".join(self.text.split("\n\n")[0].split()).replace("``", "")


def folder(*parts: str) -> Path:
    """A folder of torchrl's source."""
    found = importlib.util.find_spec("torchrl")
    assert found is not None, "torchrl is installed with rlrecipe"
    return Path(str(found.origin)).parent.joinpath(*parts)


@functools.cache
def exported(*parts: str) -> tuple[str, ...]:
    """The public names of one of torchrl's packages."""
    source = (folder(*parts) / "__init__.py").read_text(encoding="utf-8")
    names = source.partition("__all__ = [")[2].partition("]")[0]
    return tuple(re.findall(r'"(\w+)"', names))


@functools.cache
def classes(*parts: str) -> dict[str, Class]:
    """Classes of one of torchrl's packages, by name."""
    found = {}
    for file in sorted(folder(*parts).glob("*.py")):
        for part in _CLASS.split(file.read_text(encoding="utf-8"))[1:]:
            head = _HEAD.match(part)
            if head is None:
                continue
            bases = tuple(base.strip() for base in (head[2] or "").split(",") if "=" not in base)
            found[head[1]] = Class(head[1], bases, part[head.end() :])
    return found


def lineage(name: str, known: dict[str, Class]) -> Iterator[Class]:
    """A class and what it derives from, as far as it is known."""
    while name in known:
        yield known[name]
        name = known[name].bases[0] if known[name].bases else ""


def arguments(name: str, known: dict[str, Class]) -> list[Argument]:
    """The arguments of a class's constructor, its own or an inherited one."""
    holder = next((each for each in lineage(name, known) if each.constructor), None)
    if holder is None or holder.constructor is None:
        return []
    (function,) = ast.parse(textwrap.dedent(holder.constructor) + "    pass").body
    assert isinstance(function, ast.FunctionDef)
    given, meanings = function.args, _meanings(known[name].text)
    both = [*given.posonlyargs, *given.args]
    defaults: list[ast.expr | None] = [*[None] * (len(both) - len(given.defaults)), *given.defaults]
    found = [_argument(arg, default, meanings) for arg, default in zip(both, defaults, strict=True)][1:]
    if given.vararg is not None and given.vararg.arg != "args":
        found.append(_argument(given.vararg, None, meanings, several=True))
    keywords = zip(given.kwonlyargs, given.kw_defaults, strict=True)
    return [*found, *(_argument(arg, default, meanings) for arg, default in keywords)]


def _argument(arg: ast.arg, default: ast.expr | None, meanings: dict[str, str], several: bool = False) -> Argument:
    annotation = ast.unparse(arg.annotation) if arg.annotation is not None else None
    try:
        value = ast.literal_eval(default) if default is not None else None
    except ValueError:
        value = None
    return Argument(arg.arg, annotation, value, default is None, several, meanings.get(arg.arg, ""))


def _meanings(text: str) -> dict[str, str]:
    """The first sentence on each argument in a class's text."""
    section = text.partition("Args:\n")[2] or text.partition("Keyword Args:\n")[2]
    found = {}
    for match in _MEANING.finditer(section):
        words = re.sub(r":\w+:`~?\.?(?:\w+\.)*(\w+)`", r"\1", " ".join(match["text"].split())).replace("`", "")
        found[match["name"].lstrip("*")] = words.partition(". ")[0].rstrip(".:") + "." if words else ""
    return found
