"""``-s key=value``: one option of the command line becomes one more layer of the recipe."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from rlrecipe.recipe.errors import Path, PlacedProblem, Problem
from rlrecipe.recipe.tree import Mark, Node, Source
from rlrecipe.recipe.yaml import DEEPEST, read_value, split_lines


def overrides_of(sections: Mapping[str, Any]) -> list[str]:
    """Sections given in Python as ``key=value``."""
    # YAML reads JSON; numbers of numpy become Python's.
    return [f"{k}={json.dumps(v, ensure_ascii=False, default=lambda x: x.item())}" for k, v in sections.items()]


def override(text: str) -> tuple[Node | None, list[PlacedProblem]]:
    """The layer that ``key=value`` makes, and what is wrong with it."""
    source = Source("-s", split_lines(text), option=True)
    key, equals, value = text.partition("=")
    if not equals:
        return None, [_malformed(source, 0, len(text), "no '=' in the option: expected key=value", (text,))]
    parts = key.split(".")
    if len(parts) > DEEPEST:
        return None, [_malformed(source, 0, len(key), f"more than {DEEPEST} levels", ())]
    column = 0
    marks = []
    for part in parts:
        if not part.strip() or part != part.strip():
            return None, [
                _malformed(source, column, len(part), "expected a dotted key such as trainer.total_frames", ())
            ]
        marks.append(Mark(source, 0, column, len(part)))
        column += len(part) + 1
    result = read_value(value, source, len(key) + 1)
    path: Path = tuple(parts)
    problems = [replace(p, problem=replace(p.problem, path=path + p.problem.path)) for p in result.problems]
    node = result.root
    if node is None:
        return None, problems
    for part, mark in zip(reversed(parts), reversed(marks), strict=True):
        # A mapping made of a dotted key is marked where that key is.
        node = Node({part: replace(node, key=mark)}, None, mark)
    return node, problems


def _malformed(source: Source, column: int, width: int, message: str, path: Path) -> PlacedProblem:
    suggestion = "write -s trainer.total_frames=1e6, quoted where the value has spaces"
    return PlacedProblem(Problem("E102", path, message, suggestion), Mark(source, 0, column, max(1, width)).place())
