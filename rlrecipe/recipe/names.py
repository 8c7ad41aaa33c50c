"""What the texts of a recipe may be: the one place that decides it.

Every option that holds text says here what its text means, by one of the meanings below in its annotation
(``tests/contracts`` walks all of them). Most mean nothing to Python: labels, entries of a batch. Those that could
have something imported, run, read or written are refused unless they are known not to (E403): a recipe, a run and a
checkpoint may come from anywhere, and consent is to files and modules that are declared or given with ``--import``.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path as File
from typing import Any
from urllib.parse import urlsplit

from pydantic import GetCoreSchemaHandler, ValidationError
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError, core_schema

from rlrecipe.recipe.errors import Path

#: Variables, and what would run a command, as shells and other tools write them.
_EXPANDED = re.compile(r"\$\{[^}]*\}?|\$\([^)]*\)?|\$[A-Za-z_]\w*")
_WORD = re.compile(r"\w[\w .+-]*")
#: Several words with slashes between them: ``ALE/Pong-v5``.
_ID = re.compile(r"[\w+-][\w .+-]*(?:/[\w+-][\w .+-]*)*")
#: With the time and what a logger adds, it has to fit a file's name.
LONGEST_NAME = 100
#: Types of errors, and the code of each.
REFUSED, WRONG = "without_consent", "wrong_name"
CODES = {REFUSED: "E403", WRONG: "E102"}
ASK = "in a file of your own that is given with --import, register an environment or component that names it"


def expanded(text: str) -> str | None:
    """The part of a text that other tools would replace by a variable's value, a command's output or a home."""
    match = _EXPANDED.search(text)
    if match is not None:
        return match[0]
    return text.partition("/")[0] if text.startswith("~") else None


def expansion(part: str) -> tuple[str, str]:
    """What is wrong with such a part, and the cure."""
    return (
        f"recipes expand nothing: {shortened(part)} would stay as it is written",
        'let the shell expand it: -s "key=$VALUE" on the command line takes the place of this',
    )


def shortened(text: str) -> str:
    """A text as a message shows it."""
    return text if len(text) <= 60 else text[:57] + "..."


def wrong(message: str, cure: str) -> PydanticCustomError:
    """A text that is no such name (E102)."""
    return PydanticCustomError(WRONG, "{message}", {"message": message, "cure": cure})


def refused(message: str, cure: str) -> PydanticCustomError:
    """A text that could name what nobody consented to (E403)."""
    return PydanticCustomError(REFUSED, "{message}", {"message": message, "cure": cure})


def texts(value: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Every text in a value, with its path."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from texts(inner, (*path, str(key)))
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from texts(inner, (*path, index))


def is_id(text: str) -> bool:
    """Whether a text is an id: words with slashes between them, no path and no module."""
    return _ID.fullmatch(text) is not None


class Meaning:
    """What the texts of an option mean. Stands in its annotation: ``Annotated[str, LABEL]``."""

    def problem(self, text: str, path: Path, others: Mapping[str, Any]) -> PydanticCustomError | None:
        """Why a text may not be; ``path`` is inside the option, ``others`` are the options before it."""
        return None

    def _read(self, value: Any, handler: core_schema.ValidatorFunctionWrapHandler, info: Any) -> Any:
        errors: list[InitErrorDetails] = [
            {"type": problem, "loc": path, "input": text}
            for path, text in texts(value)
            if (problem := self.problem(text, path, info.data or {})) is not None
        ]
        if errors:
            raise ValidationError.from_exception_data("names", errors)
        return handler(value)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_wrap_validator_function(self._read, handler(source))


class Shown(Meaning):
    """Text that is shown or stored, and an entry of a batch: nothing looks for what it names."""


class Named(Meaning):
    """A name of a thing, or one of those that the option's component knows: text that expands is a mistake."""

    def problem(self, text: str, path: Path, others: Mapping[str, Any]) -> PydanticCustomError | None:
        """Variables."""
        part = expanded(text)
        return wrong(*expansion(part)) if part is not None else None


class FileName(Named):
    """A name that becomes part of a file's name, slashes making folders: it stays inside its folder."""

    def problem(self, text: str, path: Path, others: Mapping[str, Any]) -> PydanticCustomError | None:
        """Variables, and ways out of the folder."""
        found = super().problem(text, path, others)
        if found is None and (text.startswith(("/", "\\")) or ".." in re.split(r"[/\\]", text)):
            found = wrong(f"{shortened(text)!r} leads out of the run's folder", "take a name without .. and leading /")
        return found


class EnvId(Named):
    """An environment's id, without the module that gymnasium would import for ``module:Id``."""

    def problem(self, text: str, path: Path, others: Mapping[str, Any]) -> PydanticCustomError | None:
        """Variables and modules."""
        found = super().problem(text, path, others)
        if found is not None or ":" not in text:
            return found
        module, _, name = text.partition(":")
        message = (
            f"expected an environment id without a module, got {shortened(text)!r}: recipes import nothing unasked"
        )
        cure = f"write {name or 'the id'} here and declare the module: imports: [{module}], or --import {module}"
        return wrong(message, cure)


@dataclass(frozen=True)
class Address(Named):
    """Where a service is. Files and databases are not addresses: they lie outside the run.

    Args:
        schemes: of addresses that reach a service and nothing of this machine.
        words: what else may stand for one.
        cure: how else to say it.
    """

    schemes: Collection[str]
    words: Collection[str] = ()
    cure: str = "remove it"

    def problem(self, text: str, path: Path, others: Mapping[str, Any]) -> PydanticCustomError | None:
        """Variables, files, databases, schemes that a plugin would be loaded for."""
        found = super().problem(text, path, others)
        if found is not None or text in self.words:
            return found
        try:
            parts = urlsplit(text)
        except ValueError:
            return wrong(f"{shortened(text)!r} is no address", self.cure)
        if parts.scheme in self.schemes and parts.netloc:
            return None
        known = ", ".join(f"{scheme}://..." for scheme in self.schemes)
        return refused(f"{shortened(text)!r} is outside the run: expected an address of {known}", self.cure)


class Scratch(Named):
    """A folder for files that vanish with the process: the system's temporary one, or one in it."""

    def problem(self, text: str, path: Path, others: Mapping[str, Any]) -> PydanticCustomError | None:
        """Variables and other folders."""
        found = super().problem(text, path, others)
        if found is not None:
            return found
        allowed = File(tempfile.gettempdir()).resolve()
        try:
            inside = (allowed / text).resolve().is_relative_to(allowed)
        except (OSError, ValueError, RuntimeError):
            return wrong(f"{shortened(text)!r} is no usable path", "write a folder's path")
        if inside:
            return None
        message = f"{shortened(text)!r} is outside of {allowed}, the system's temporary folder"
        return refused(message, f"set TMPDIR={shortened(text)} in the environment, and leave this option out")


class Words(Meaning):
    """Values of any kind whose texts are plain words."""

    def problem(self, text: str, path: Path, others: Mapping[str, Any]) -> PydanticCustomError | None:
        """Texts that could name a module or a file."""
        if _WORD.fullmatch(text):
            return None
        return refused(f"{shortened(text)!r} could name a file or module: expected a plain word", ASK)


@dataclass(frozen=True)
class Arguments(Meaning):
    """Arguments for code from elsewhere: numbers and truth values, and texts where one is known to be a plain word.

    Args:
        words: arguments whose texts are one of a few words, labels, or names of entries.
        ids: arguments whose texts are environment ids.
        only: the texts that an argument may have, where others would have something imported.
        free: given the options before it, whether the code that takes the arguments is there by consent.
    """

    words: Collection[str] = ()
    ids: Collection[str] = ()
    only: Mapping[str, Collection[str]] | None = None
    free: Callable[[Mapping[str, Any]], bool] = lambda _: False

    def problem(self, text: str, path: Path, others: Mapping[str, Any]) -> PydanticCustomError | None:
        """Texts that could name a module, a class, a file or a program."""
        name = next((str(part) for part in path if isinstance(part, str)), "")
        inside = [part for part in path[1:] if isinstance(part, str)]
        only = (self.only or {}).get(name)
        if not inside and (
            (only is not None and text in only)
            or (name in self.words and _WORD.fullmatch(text))
            or (name in self.ids and is_id(text))
        ):
            return None
        if self.free(others):
            return None
        what = f"{shortened('.'.join(map(str, path)))} is the text {shortened(text)!r}"
        if only is not None:
            return refused(f"{what}: expected {' or '.join(only)}", "write that, or leave it out")
        if name in self.words or name in self.ids:
            return refused(f"{what}, which could name a file or module: expected a plain word", ASK)
        return refused(f"{what}: it could name a module, a class, a file or a program, which needs consent", ASK)


SHOWN, NAMED, FILE_NAME, ENV_ID, SCRATCH = Shown(), Named(), FileName(), EnvId(), Scratch()
