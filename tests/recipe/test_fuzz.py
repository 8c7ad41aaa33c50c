"""Whatever a document holds, loading it ends in a recipe or in problems, with bounded work."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rlrecipe.recipe.bundled import bundled, bundled_file
from rlrecipe.recipe.errors import RecipeError
from rlrecipe.recipe.load import load

WORDS = st.sampled_from(
    [
        *(
            "env",
            "algorithm",
            "trainer",
            "networks",
            "optimizer",
            "collector",
            "hooks",
            "loggers",
            "extends",
            "imports",
        ),
        *("name", "ppo", "mlp", "adam", "sync", "gym", "CartPole-v1", "total_frames", "num_cells", "lr", "policy"),
        *("null", "true", "no", "1e6", "3e-4", ".inf", ".nan", "-0", "012", "1_000", "1" * 400, "2026-01-01", "0x1F"),
        *("", " ", "~", "*a", "&a x", "!!python/object:os.system", "<<", "? x", "|", ">", "%YAML 9", "---", "\t", "\0"),
        *("../x", "/etc/passwd", "a:B-v0", "ppo/cartpole", "\u2028", "\ud7ff", "'", '"', "\\", "#", "\ufeff"),
    ]
)
SEPARATORS = st.sampled_from([": ", ":", "\n", "\n  ", "\n- ", ", ", "{", "}", "[", "]", " ", "\r\n", "\n    "])
SOURCES = [bundled_file(name).read_text() for name in bundled()]


@st.composite
def built(draw: st.DrawFn) -> bytes:
    """Recipe-like words between YAML-like separators."""
    parts = draw(st.lists(st.tuples(WORDS, SEPARATORS), max_size=30))
    return "".join(word + separator for word, separator in parts).encode("utf-8", "surrogatepass")


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A bundled recipe with some bytes replaced, removed or doubled."""
    content = bytearray(draw(st.sampled_from(SOURCES)).encode())
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, max(0, len(content) - 1)))
        piece = draw(st.one_of(WORDS.map(lambda w: w.encode("utf-8", "surrogatepass")), st.binary(max_size=4)))
        content[at : at + draw(st.integers(0, 12))] = piece
    return bytes(content)


def outcome(content: bytes, file: Path) -> Any:
    file.write_bytes(content)
    found: tuple[Any, ...]
    try:
        return load(file)
    except RecipeError as error:
        found = error.problems
    assert found
    for problem in found:
        assert problem.text()
        assert set(problem.data()) == {"code", "file", "path", "line", "column", "message", "suggestion"}
    return found


#: ``make fuzz-documents`` asks for ten times as many.
DOCUMENTS = int(os.environ.get("RLRECIPE_FUZZ_DOCUMENTS", "1000"))


@settings(max_examples=DOCUMENTS, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(content=st.one_of(built(), mutated(), st.binary(max_size=60)))
def test_no_document_is_answered_by_anything_but_a_recipe_or_problems(
    content: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outcome(content, tmp_path_factory.getbasetemp() / "fuzz.yaml")


def calls(function: Callable[[], Any]) -> int:
    """Calls of Python functions: work, whatever the machine does meanwhile."""
    counted = [0]

    def count(frame: Any, event: str, argument: Any) -> None:
        counted[0] += event == "call"

    sys.setprofile(count)
    try:
        function()
    finally:
        sys.setprofile(None)
    return counted[0]


HOSTILE = {
    "aliases that double": "a: &a [x, x]\n" + "".join(f"b{i}: &b{i} [*a, *a]\n" for i in range(50)),
    "deep nesting": "a: " + "[" * 50_000,
    "deep mappings": "".join("  " * i + "a:\n" for i in range(3000)),
    "one long word": "a: " + "x" * 900_000,
    "one huge number": "a: 1" + "0" * 900_000,
    "many keys": "".join(f"k{i}: 1\n" for i in range(20_000)),
    "many wrong types": "hooks: [" + "1," * 20_000 + "]",
    "binary": "\0\1\2" * 1000,
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_work_grows_no_faster_than_the_document(kind: str, tmp_path: Path) -> None:
    text = HOSTILE[kind]
    outcome(b"env: CartPole-v1", tmp_path / "warm.yaml")
    work = calls(lambda: outcome(text.encode(), tmp_path / "hostile.yaml"))
    assert work < 60_000 + 60 * len(text), f"{work} calls for {len(text)} bytes"
