"""Attributes that are asked for by a name in a string: no type checker sees them, so each has its reason."""

import ast
import io
import tokenize
from collections.abc import Iterator
from pathlib import Path

import rlrecipe

PACKAGE = Path(rlrecipe.__file__).parent
#: More than these, and a protocol is missing (``rlrecipe/interfaces/abilities.py``, ``rlrecipe/torchrl/objects.py``).
MOST = 20


def asked() -> Iterator[tuple[Path, ast.Call]]:
    """Each ``getattr`` whose name is a literal."""
    for file in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "getattr":
                name = node.args[1]
                if isinstance(name, ast.Constant):
                    yield file, node


def comments(file: Path) -> set[int]:
    """Lines of a file with a comment."""
    tokens = tokenize.generate_tokens(io.StringIO(file.read_text(encoding="utf-8")).readline)
    return {token.start[0] for token in tokens if token.type == tokenize.COMMENT}


def test_there_are_few() -> None:
    found = [f"{file.relative_to(PACKAGE)}:{node.lineno}" for file, node in asked()]
    assert 0 < len(found) <= MOST, found


def test_each_has_its_reason() -> None:
    without = [
        f"{file.relative_to(PACKAGE)}:{node.lineno}"
        for file, node in asked()
        # Above it, beside it, or above the line before where that only begins the statement.
        if not {node.lineno - 2, node.lineno - 1, node.lineno} & comments(file)
    ]
    assert without == []
