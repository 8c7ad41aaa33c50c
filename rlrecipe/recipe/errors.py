"""What is wrong with a recipe: problems, where they stand, and how they are shown.

A check yields a ``Problem`` with a path; loading gives it a ``Place`` in a file or in a ``-s`` option.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from rlrecipe.recipe.secrets import masked

Path = tuple[str | int, ...]

#: Every code with its meaning. The first digit gives the exit code: 4 for this machine, else 3.
CODES = {
    "E101": "unknown key",
    "E102": "wrong type or value",
    "E103": "missing key",
    "E104": "duplicate key",
    "E105": "not acceptable YAML",
    "E201": "unknown component",
    "E301": "spaces do not fit the algorithm",
    "E302": "sizes or options that exclude each other",
    "E303": "more memory than there is",
    "E401": "missing extra",
    "E402": "device not available",
    "E403": "imports without consent",
}
#: Where a recipe names its environment.
ENV: tuple[Path, ...] = (("env", "env_name"), ("env",))
#: Problems told at once: more than can be read, and few enough to look at each.
MOST_PROBLEMS = 100
#: Characters of a source line shown around a problem, and looked at on either side of them.
WIDTH, _AROUND = 100, 400


@dataclass(frozen=True)
class Problem:
    """Something wrong with a recipe, at a path in it.

    Args:
        code: one of ``CODES``.
        path: keys and list indexes from the root.
        message: what is wrong and what was expected.
        suggestion: the nearest valid name, or the cure in a few words.
        others: what else takes part in it, where one of several options may be at fault: what nobody wrote is not.
    """

    code: str
    path: Path
    message: str
    suggestion: str | None = None
    others: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        if self.code not in CODES:
            raise ValueError(f"no problem has the code {self.code!r}; there are: {', '.join(CODES)}")
        # One line, whatever it quotes: numpy writes a row of a matrix on each line.
        object.__setattr__(self, "message", re.sub(r"[ \t]*[\r\n]\s*", " ", self.message))


@dataclass(frozen=True)
class Place:
    """Where a problem stands.

    Args:
        file: the file's name; ``-s`` and ``--import`` for options.
        line: from 1, or None if the problem stands on no line (a missing key).
        column: from 1, or None.
        source: the text of the line, or of the option.
        width: how many characters the caret underlines.
        option: whether ``source`` is the text of an option; ``line`` counts inside it.
    """

    file: str
    line: int | None = None
    column: int | None = None
    source: str | None = None
    width: int = 1
    option: bool = False


@dataclass(frozen=True)
class PlacedProblem:
    """A problem with its place."""

    problem: Problem
    place: Place

    @property
    def code(self) -> str:
        """The problem's code."""
        return self.problem.code

    @property
    def path(self) -> str:
        """The problem's path, dotted."""
        return ".".join(str(part) for part in self.problem.path)

    def order(self) -> tuple[Any, ...]:
        """Sorts problems by place: files, then what stands on no line, then options."""
        place = self.place
        absent = place.line is None
        return (place.option, place.file, absent, place.line or 0, place.column or 0, self.path, self.code)

    def data(self) -> dict[str, Any]:
        """The problem for ``--format json``."""
        shown = not self.place.option
        return {
            "code": self.code,
            "file": self.place.file,
            "path": self.path,
            "line": self.place.line if shown else None,
            "column": self.place.column if shown else None,
            "message": masked(self.problem.message),
            "suggestion": self.problem.suggestion,
        }

    def text(self) -> str:
        """The problem for a person: place, message, source line with a caret, cure."""
        place, problem = self.place, self.problem
        where = place.file
        if place.line is not None and not place.option:
            where += f":{place.line}:{place.column}"
        at = f" at {self.path}" if problem.path else ""
        lines = [f"{printable(where)}: {problem.code}{printable(at)}: {printable(masked(problem.message))}"]
        if place.source is not None:
            number = str(place.line) if place.line is not None and not place.option else place.file
            lines += _excerpt(number, place)
        if problem.suggestion:
            word = " " not in problem.suggestion
            lines.append(printable(f"  did you mean {problem.suggestion}?" if word else f"  {problem.suggestion}"))
        return "\n".join(lines)


class RecipeError(Exception):
    """A recipe with problems: all of them, sorted by place."""

    def __init__(self, problems: Iterable[PlacedProblem]) -> None:
        self.problems: tuple[PlacedProblem, ...] = tuple(sorted(problems, key=PlacedProblem.order))
        super().__init__(render(self.problems))

    @property
    def exit_code(self) -> int:
        """The command's exit code for these problems."""
        return exit_code(self.problems)


class RecipeNotFound(LookupError):  # noqa: N818 - a usage mistake (exit code 2), not a recipe's problem
    """There is no such recipe, or it cannot be read."""


def exit_code(problems: Iterable[Problem | PlacedProblem]) -> int:
    """0 without problems, 4 if only this machine stands in the way (E4), else 3."""
    families = {problem.code[:2] for problem in problems}
    if not families:
        return 0
    return 4 if families == {"E4"} else 3


def render(problems: Sequence[PlacedProblem]) -> str:
    """Problems as text, one after the other."""
    return "\n".join(problem.text() for problem in problems)


def document(problems: Sequence[PlacedProblem]) -> dict[str, Any]:
    """Problems as the document of ``--format json``."""
    return {"valid": not problems, "errors": [problem.data() for problem in problems]}


def render_json(problems: Sequence[PlacedProblem]) -> str:
    """``document`` as text."""
    return json.dumps(document(problems), indent=2)


def printable(text: str) -> str:
    """Text without the control characters that could steer a terminal."""
    return "".join("?" if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") else c for c in text)


def plain(text: str) -> str:
    """Text of several lines without what could steer a terminal: whatever reaches one passes through here."""
    return "".join(c if c in "\n\t" else printable(c) for c in text)


def _excerpt(number: str, place: Place) -> list[str]:
    source = (place.source or "").replace("\t", " ")
    column = min(max((place.column or 1) - 1, 0), len(source))
    start = max(0, min(column - WIDTH // 2, len(source) - WIDTH))
    # A secret may begin before what is shown, and a line may be long.
    first = max(0, start - _AROUND)
    shown = printable(masked(source[first : start + WIDTH + _AROUND])[start - first :][:WIDTH])
    before, dots = shown[: column - start], "..." if start else ""
    marked = shown[column - start : column - start + place.width] or " "
    more = "..." if start + WIDTH < len(source) else ""
    pad, carets = " " * (_columns(before) + len(dots)), "^" * max(1, _columns(marked))
    return [f"  {number} | {dots}{shown.rstrip()}{more}", f"  {' ' * len(number)} | {pad}{carets}"]


def _columns(text: str) -> int:
    """How many columns of a terminal text takes."""
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    combining = sum(unicodedata.combining(c) != 0 for c in text)
    return len(text) + wide - combining
