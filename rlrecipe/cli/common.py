"""What the commands share: options, printing, exit codes.

A command is a file in this folder with a function ``command``, whose parameters Typer reads and
whose docstring is the help; ``cli/__init__.py`` finds it, and the file's name is the command's.
Files import what is heavy inside functions: every command's file is read for ``--help``.

A command ends well by returning, with another exit code by ``raise typer.Exit(code)``, and with a
line on standard error by ``raise Stop("...", code)``. ``RecipeError`` (3 or 4), ``RecipeNotFound``
(2) and ``UnknownComponent`` (2) may pass through: they are printed as the reader asked, and so is
anything unexpected (one line and exit 1, a traceback with ``--debug``).
"""

from __future__ import annotations

import contextlib
import io
import json as json_module
import math
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TextIO

import typer

from rlrecipe.errors import EnvironmentWarning, StoppedError
from rlrecipe.recipe import complete
from rlrecipe.recipe.errors import PlacedProblem, document, plain
from rlrecipe.recipe.imports import OWN
from rlrecipe.system.paths import expanded
from rlrecipe.system.signals import Signals, at_once

USAGE = 2
DIVERGED = 6


@dataclass
class Settings:
    """What the whole command line says: ``-q``, ``-v``, ``--debug``, ``--json``."""

    quiet: bool = False
    verbose: bool = False
    debug: bool = False
    json: bool = False
    #: Standard output, while what components print goes elsewhere.
    answer: TextIO | None = None
    #: Whether a document has been printed, and the last line of complaint, which one in its place tells.
    answered: bool = False
    complaint: str = ""


#: Set anew by each call of ``main``.
settings = Settings()


class Stop(Exception):  # noqa: N818 - an end with a reason, not always an error
    """Ends a command: one line for standard error, and the exit code."""

    def __init__(self, message: str, code: int = USAGE) -> None:
        super().__init__(message)
        self.code = code


def _set_json(value: bool) -> bool:
    settings.json = settings.json or value
    return value


Recipe = Annotated[
    str,
    typer.Argument(
        metavar="RECIPE",
        callback=lambda given: expanded(given),
        help="A path that ends in .yaml, .yml or .json or starts with . or /; - is standard input; "
        "else the name of a bundled recipe.",
        autocompletion=complete.recipes,
    ),
]


def _in_utf8(values: list[str] | None) -> list[str] | None:
    """Values as a terminal sends them, which is in UTF-8 as files are, also where the locale knows less."""
    return values and [_as_sent(value) for value in values]


def _as_sent(value: str) -> str:
    try:
        return os.fsencode(value).decode()
    except UnicodeError:
        return value


Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "-s",
        "--set",
        metavar="KEY=VALUE",
        help="Override a dotted key, e.g. -s trainer.total_frames=1e6.",
        autocompletion=complete.keys,
        callback=_in_utf8,
    ),
]
Imports = Annotated[
    list[str] | None,
    typer.Option(
        "--import",
        metavar="FILE_OR_MODULE",
        callback=lambda given: [expanded(one) for one in given or ()],
        help="Load components from your own code.",
    ),
]
TrustImports = Annotated[bool, typer.Option("--trust-imports", help="Load the code that the recipe itself declares.")]
Json = Annotated[bool, typer.Option("--json", callback=_set_json, help="Print one JSON document to standard output.")]


@contextlib.contextmanager
def quiet_stdout() -> Iterator[None]:
    """What components print goes to standard error: standard output is for the answer."""
    settings.answer = sys.stdout
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        settings.answer = None


@contextlib.contextmanager
def stoppable() -> Iterator[Signals]:
    """Work that nothing is left of when a signal stops it: 130 after Ctrl-C, 143 after others."""
    signals = Signals(settings.quiet, "stopping soon, with nothing written")
    try:
        with signals:
            yield signals
    except StoppedError:
        assert signals.received is not None, "nothing else stops it"
    if signals.received is not None:
        raise typer.Exit(at_once(signals.received))


def answer() -> TextIO:
    """Standard output."""
    return settings.answer or sys.stdout


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    settings.answered = True
    answer().write(json_module.dumps(_finite(value), indent=2, allow_nan=False) + "\n")


def _finite(value: Any) -> Any:
    """A value with null for each number that JSON does not have."""
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def print_text(text: str, *, exact: bool = False) -> None:
    """Text on standard output: nothing is wrapped or coloured.

    Args:
        text: may hold what a stranger's run or checkpoint says.
        exact: it is our own, which quotes what could steer a terminal; every character counts.
    """
    text = text if exact else plain(text)
    answer().write(text if text.endswith("\n") else text + "\n")


def print_recipe(text: str) -> None:
    """A recipe on standard output: in UTF-8 if it becomes a file, whatever the locale is, for nothing else is read."""
    stream = answer()
    if isinstance(stream, io.TextIOWrapper) and not stream.isatty():
        stream.flush()
        stream.buffer.write(text.encode("utf-8", "backslashreplace"))
        stream.buffer.flush()
    else:
        print_text(text, exact=True)


def note(text: str) -> None:
    """A line on standard error, where no reader of standard output meets it."""
    if not settings.quiet:
        sys.stderr.write(plain(text) + "\n")


def complain(text: str) -> None:
    """A line on standard error that ``-q`` does not silence."""
    settings.complaint = plain(text)
    sys.stderr.write(settings.complaint + "\n")


@contextlib.contextmanager
def plain_warnings() -> Iterator[None]:
    """Warnings of environments and of the user's own files, a line each, said once; others as Python shows them."""
    said = set[str]()

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        own = issubclass(category, DeprecationWarning)
        if not own and not issubclass(category, EnvironmentWarning):
            text = warnings.formatwarning(message, category, filename, lineno, line)
            (file or sys.stderr).write(plain(text))
        elif not settings.quiet and (text := f"{f'{filename}:{lineno}: ' if own else ''}{message}") not in said:
            said.add(text)
            sys.stderr.write(f"warning: {plain(text)}\n")

    with warnings.catch_warnings():
        # Python shows these of a program's main file alone.
        warnings.filterwarnings("default", category=DeprecationWarning, module=OWN)
        warnings.showwarning = show
        yield


def print_problems(problems: tuple[PlacedProblem, ...], stream: TextIO | None = None) -> None:
    """A recipe's problems: JSON on standard output if asked for, else text on standard error.

    ``validate``, whose result they are, gives standard output as the ``stream`` of the text.
    """
    if settings.json:
        print_json(document(problems))
        return
    stream = stream or sys.stderr
    for problem in problems:
        stream.write((coloured(problem) if colours(stream) else problem.text()) + "\n")
    stream.write(f"{len(problems)} problem{'s' if len(problems) > 1 else ''}\n")


def colours(stream: TextIO) -> bool:
    """Whether a stream is a terminal whose reader has nothing against colours."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def coloured(problem: PlacedProblem) -> str:
    """A problem's text with its code in red."""
    return problem.text().replace(f": {problem.code}", f": \033[1;31m{problem.code}\033[0m", 1)


def table(rows: Sequence[tuple[str, ...]], indent: str = "") -> str:
    """Rows with their columns aligned; the last column is as long as it is."""
    if not rows:
        return ""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]) - 1)]
    lines = []
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, [*widths, 0], strict=True)]
        lines.append((indent + "  ".join(cells)).rstrip())
    return "\n".join(lines)
