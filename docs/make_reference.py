"""Writes ``docs/reference.md`` from the options of every component that comes with the package.

``python -m docs.make_reference`` writes the file; with ``--check`` it writes nothing and ends with 1
where the file differs from what would be written.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import rlrecipe
from rlrecipe.loop.points import CATEGORIES, POINTS
from rlrecipe.recipe.bundled import bundled, bundled_file
from rlrecipe.recipe.describe import SECTIONS, Description, components, kinds
from rlrecipe.recipe.dump import to_yaml
from rlrecipe.recipe.errors import CODES
from rlrecipe.recipe.registry import find
from rlrecipe.recipe.traits import AlgorithmTraits

TARGET = Path(__file__).with_name("reference.md")
PACKAGE = Path(rlrecipe.__file__).resolve().parent

HEAD = """\
# Reference

Made by `python -m docs.make_reference` from the options as they are declared in the code; do not edit it by hand.
`rlrecipe describe KIND/NAME` prints the same for one component, those of your own included.

A *component* is named by its kind and name. In a recipe it is a mapping with `name` and its options, or the bare name.
A *duration* is a number of frames, or one of `{frames: N}`, `{updates: N}`, `{episodes: N}`, `{seconds: N}`.
An algorithm gives defaults for the rest of the recipe; they stand under it, hold before those in the tables, and
supply most of what is required here.
"""


def reference() -> str:
    """The text of the reference."""
    own = {kind: [one for one in components(kind) if _is_own(one)] for kind in kinds()}
    present = {kind: found for kind, found in own.items() if found and kind != SECTIONS}
    parts = [HEAD, "\n".join(_contents(present)), "## The recipe\n"]
    parts += [_description(one) for one in own[SECTIONS]]
    for kind, found in present.items():
        parts.append(f"## {kind}\n")
        parts += [_description(one) for one in found]
    parts += ["## Hook points\n", _hook_points(), "## Error codes\n", _codes(), "## Bundled recipes\n", _recipes()]
    return "\n".join(parts)


def _is_own(description: Description) -> bool:
    """Whether the package itself declares it, not another one or a user's file."""
    return Path(description.file).resolve().is_relative_to(PACKAGE)


def _contents(present: dict[str, list[Description]]) -> Iterator[str]:
    yield "- [The recipe](#the-recipe)"
    for kind, found in present.items():
        names = ", ".join(f"[{one.name}](#{_anchor(f'{kind}/{one.name}')})" for one in found)
        yield f"- {kind}: {names}"
    yield "- [Hook points](#hook-points) · [Error codes](#error-codes) · [Bundled recipes](#bundled-recipes)\n"


def _anchor(heading: str) -> str:
    """A heading's anchor as GitHub makes it."""
    return "".join(c for c in heading.lower().replace(" ", "-") if c.isalnum() or c in "-_")


def _description(one: Description) -> str:
    file = Path(one.file).resolve().relative_to(PACKAGE.parent).as_posix()
    lines = [f"### {one.kind}/{one.name}", "", f"{_code(one.meaning)} Declared in [{file}](../{file})."]
    if one.extras:
        lines.append(f"Needs `pip install 'rlrecipe[{','.join(one.extras)}]'`.")
    rows = [
        (f"`{option.name}`", option.type, "required" if option.required else f"`{_shown(option.default)}`",
         _code(option.meaning))
        for option in one.options
    ]  # fmt: skip
    lines += ["", _table(("option", "type", "default", "meaning"), rows) if rows else "No options.\n"]
    defaults = AlgorithmTraits.of(find(one.kind, one.name)).defaults if one.kind == "algorithm" else None
    if defaults:
        lines += ["Its defaults for the rest of the recipe:\n", "```yaml", to_yaml(defaults).rstrip("\n"), "```\n"]
    return "\n".join(lines)


def _hook_points() -> str:
    rows = ((f"`{point}`", category, CATEGORIES[category]) for point, category in POINTS.items())
    intro = "In the order of the loop. [How to write a hook](hooks.md).\n\n"
    return intro + _table(("point", "category", "a hook there"), rows)


def _codes() -> str:
    rows = ((code, meaning, "4" if code.startswith("E4") else "3") for code, meaning in CODES.items())
    outro = "\nA recipe with problems of both sorts ends with 3.\n"
    return _table(("code", "meaning", "exit code"), rows) + outro


def _recipes() -> str:
    rows = ((f"`{name}`", _comment(bundled_file(name))) for name in bundled())
    return _table(("recipe", "what it is"), rows)


def _comment(file: Path) -> str:
    """The comment that a recipe begins with."""
    lines = []
    for line in file.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.removeprefix("#").strip())
    return " ".join(lines)


def _code(text: str) -> str:
    """A docstring's text as Markdown: code has one backtick, and nothing is taken for HTML."""
    return text.replace("``", "`").replace("<", "&lt;")


def _shown(value: Any) -> str:
    return value if isinstance(value, str) and value else json.dumps(value)


def _table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    header = tuple(header)
    lines = [header, ("---",) * len(header), *(tuple(cell.replace("|", "\\|") for cell in row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def main() -> int:
    """Write the reference, or compare it; the exit code."""
    parser = argparse.ArgumentParser(description="Writes docs/reference.md.")
    parser.add_argument("--check", action="store_true", help="write nothing; 1 if the file is out of date")
    text = reference()
    if parser.parse_args().check:
        return int(not TARGET.is_file() or TARGET.read_text(encoding="utf-8") != text)
    TARGET.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
