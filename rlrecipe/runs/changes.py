"""What may change in a recipe when its run goes on, and what may not."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rlrecipe.assembly.assemble import total_of
from rlrecipe.errors import Refusal
from rlrecipe.recipe.dump import data
from rlrecipe.recipe.schema import Recipe
from rlrecipe.recipe.shown import command, place

#: What may change when a run goes on: nothing that the frames already seen depend on.
CHANGEABLE = (
    "trainer.total_frames",
    "trainer.total_updates",
    "trainer.time_limit",
    "checkpoint",
    "loggers",
    "evaluation",
    "runtime.device",
)


class RefusedChange(Refusal):
    """A resumed recipe differs where it may not (exit 2)."""


def refuse_changes(folder: Path, own: Recipe, changed: Recipe, level: str = "exact", path: Path | None = None) -> None:
    """Let a run go on with a changed recipe only if the changes are allowed.

    Args:
        folder: of the run.
        own: the recipe that it was started with.
        changed: the recipe that it is to go on with.
        level: at "boundary" scheduled checkpoints start new episodes, so their schedule is part of the work.
        path: the run or checkpoint as it was named.

    Raises:
        RefusedChange: they are not; the message holds each of them.
    """
    fixed = ("checkpoint.every",) if level == "boundary" else ()
    refused = [
        line for key, line in differences(own, changed) if (fixed and key.startswith(fixed)) or not changeable(key)
    ]
    if refused:
        raise RefusedChange(
            f"{folder} was started with another recipe:\n  "
            + "\n  ".join(refused)
            + f"\nmay change: {', '.join(CHANGEABLE)}; for the rest, a new run goes on from its checkpoint:\n  "
            + fork_command(path or folder, own, changed)
        )


def fork_command(path: Path, own: Recipe, changed: Recipe) -> str:
    """The command line that goes on from a run in a new one, with the changes."""
    changes = [
        word
        for key, value in _settings(data(own), data(changed))
        for word in ("-s", f"{key}={_written(value)}")
        if key != "imports"
    ]
    return command("fork", place(path), *changes, *(["--trust-imports"] if own.imports else []))


def _settings(before: Mapping[str, Any], after: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys to set, and to what, to make the one of the other; what changed its name is set as a whole."""
    for key in sorted(before.keys() | after.keys()):
        was, becomes, where = before.get(key), after.get(key), f"{path}{key}"
        if isinstance(was, Mapping) and isinstance(becomes, Mapping) and was.get("name") == becomes.get("name"):
            yield from _settings(was, becomes, f"{where}.")
        elif was != becomes:
            yield where, becomes


def _written(value: Any) -> str:
    """A value after ``-s key=``."""
    text = value if isinstance(value, str) else None
    plain = text is not None and re.fullmatch(r"[A-Za-z][\w./-]*", text) and text not in ("true", "false", "null")
    return text if text is not None and plain else json.dumps(value)


def values(one: Recipe, other: Recipe, key: str) -> list[Any]:
    """What a dotted option was, and what it is."""
    return [_flat(data(one)).get(key), _flat(data(other)).get(key)]


def differences(one: Recipe, other: Recipe) -> list[tuple[str, str]]:
    """Dotted keys in which two recipes differ, each with a line that shows both."""
    return differing(data(one), data(other))


def differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The same of two recipes as plain data."""
    before, after = _flat(one), _flat(other)
    return [
        (key, f"{key}: {before.get(key)!r} became {after.get(key)!r}")
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key)
    ]


def with_choices(given: Recipe, own: Recipe) -> Recipe:
    """A recipe as written, with a run's own choice wherever it leaves one to the machine."""
    runtime = {key: getattr(own.runtime, key) for key, value in given.runtime.model_dump().items() if value == "auto"}
    return given.model_copy(update={"runtime": given.runtime.model_copy(update=runtime), "imports": own.imports})


def longer(own: Recipe, changed: Recipe) -> bool:
    """Whether a changed recipe trains for longer."""
    return total_of(changed).amount > total_of(own).amount


def _flat(value: Any, path: str = "") -> dict[str, Any]:
    if isinstance(value, Mapping) and value:
        return {k: v for key, item in value.items() for k, v in _flat(item, f"{path}.{key}" if path else key).items()}
    return {path: value}


def changeable(key: str) -> bool:
    """Whether an option may change when a run goes on."""
    return any(key == allowed or key.startswith(allowed + ".") for allowed in CHANGEABLE)
