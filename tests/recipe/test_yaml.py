import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlrecipe.recipe.dump import to_yaml
from rlrecipe.recipe.errors import MOST_PROBLEMS
from rlrecipe.recipe.yaml import decode, read


def only(text: str) -> Any:
    """The single problem of a text."""
    problems = read(text, "f.yaml").problems
    assert len(problems) == 1, problems
    return problems[0]


def test_values_and_their_places() -> None:
    root = read("a: 1\nb:\n  - {c: x}\n", "f.yaml").root
    assert root is not None
    assert root.data() == {"a": 1, "b": [{"c": "x"}]}
    node = root.get("b", 0, "c")
    assert node is not None
    assert node.key is not None
    assert node.mark is not None
    assert (node.key.line, node.key.column, node.mark.column) == (2, 5, 8)


@pytest.mark.parametrize(
    ("text", "code", "place", "message"),
    [
        ("a: 1\na: 2", "E104", (2, 1), "the key 'a' is given twice; it is first given in line 1"),
        ("a: {x: 1, x: 2}", "E104", (1, 11), "the key 'x' is given twice"),
        ("a: .nan", "E102", (1, 4), "expected a finite number, got .nan"),
        ("a: 1e400", "E102", (1, 4), "expected a finite number"),
        ("a: [99999999999999999]", "E102", (1, 5), "expected a whole number of at most 2**53"),
        ("a: !!int 3", "E105", (1, 4), "the tag tag:yaml.org,2002:int is not allowed"),
        ("a: !x 3", "E105", (1, 4), "the tag !x is not allowed"),
        ("a: &x 3", "E105", (1, 4), "the anchor &x is not allowed"),
        ("1: 2", "E105", (1, 1), "a key that is a number"),
        ("null: 2", "E105", (1, 1), "a key that is nothing"),
        ("[a]: 2", "E105", (1, 1), "a key that is a list"),
        ("? {a: 1}\n: 2", "E105", (1, 3), "a key that is a mapping"),
        ("a: 1\n---\nb: 2", "E105", (2, 1), "a second document is not allowed"),
        ("a: b: c", "E105", (1, 5), "cannot be read as YAML: mapping values are not allowed"),
        ("\ta: 1", "E105", (1, 1), "cannot be read as YAML"),
        ("a: [1", "E105", (1, 6), "cannot be read as YAML"),
        ("a: 'x", "E105", (1, 6), "cannot be read as YAML"),
        ("", "E105", (1, 1), "expected a mapping with env, algorithm and trainer, got nothing"),
        ("- 1", "E105", (1, 1), "got a list"),
        ("x", "E105", (1, 1), "got a text"),
        ("a: \x00", "E105", (1, 4), r"the character '\x00' is not allowed in YAML"),
        ("a: \x1b[0m", "E105", (1, 4), r"the character '\x1b' is not allowed in YAML"),
        ("a: " + "[" * 30 + "]" * 30, "E105", (1, 24), "more than 20 levels"),
    ],
)
def test_what_is_refused(text: str, code: str, place: tuple[int, int], message: str) -> None:
    problem = only(text)
    assert (problem.code, (problem.place.line, problem.place.column)) == (code, place)
    assert message in problem.problem.message


@pytest.mark.parametrize("text", ["env: {env_name: ${ENV}, num_envs: 2}", "a: [${X}]"])
def test_who_expects_variables_is_told_that_nothing_is_expanded(text: str) -> None:
    problem = only(text)
    assert (problem.code, text[problem.place.column - 2]) == ("E105", "$")
    assert "recipes expand nothing" in problem.problem.suggestion


def test_an_alias_is_refused_without_being_followed() -> None:
    codes = [problem.problem.message for problem in read("a: &x [*x]\nb: *x", "f").problems]
    assert codes == [f"the {what} is not allowed" for what in ("anchor &x", "alias *x", "alias *x")]


def test_the_rest_is_read_after_a_duplicate_key() -> None:
    problems = read("a: 1\na: .inf\nb: !t 1\nc: {d: 1, d: 2}", "f").problems
    assert [problem.code for problem in problems] == ["E102", "E104", "E105", "E104"]


def test_twenty_levels_are_accepted() -> None:
    text = "a: " + "[" * 19 + "]" * 19
    assert read(text, "f").problems == []


def test_so_many_problems_end_the_reading() -> None:
    assert len(read("a: 1\n" * 10_000, "f").problems) == MOST_PROBLEMS


def test_bytes_that_are_no_utf8() -> None:
    text, (problem,) = decode(b"a: 1\nb: \xff", "f")
    assert text == ""
    assert (problem.code, problem.place.line, problem.place.column) == ("E105", 2, 4)
    assert problem.problem.message == "byte 0xff is no UTF-8"


def test_too_many_bytes() -> None:
    assert decode(b"#" * 2**20, "f")[1] == []
    (problem,) = decode(b"#" * (2**20 + 1), "f")[1]
    assert (problem.code, problem.problem.message) == ("E105", "a recipe of more than 1 MiB")


def test_a_byte_order_mark_is_no_part_of_the_text() -> None:
    assert decode(b"\xef\xbb\xbfa: 1", "f") == ("a: 1", [])
    (problem,) = decode(b"\xef\xbb\xbfa: 1\nb: \x80", "f")[1]
    assert (problem.code, problem.place.line, problem.place.column) == ("E105", 2, 4)
    assert problem.problem.message == "byte 0x80 is no UTF-8"


@pytest.mark.parametrize("text", ["{a: " * 200_000, "[" * 2**20, "a: " + "1" * (2**20 - 3), "a: " + "'" * 999_999])
def test_hostile_texts_cost_little(text: str) -> None:
    started = time.process_time()
    assert read(text, "f").problems
    assert time.process_time() - started < 2


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abz_1. ", min_size=1), inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["env", "a b", "1e5", "no", "null", "012"]), plain, max_size=4))
def test_what_is_written_is_read_back(data: dict[str, Any]) -> None:
    result = read(to_yaml(data), "f")
    assert result.problems == []
    assert result.root is not None
    assert result.root.data() == data


@pytest.mark.parametrize("text", ["\x85", "a\u2028b", "\u2029 ", "\n\x85", "1\x85"])
def test_rare_line_breaks_are_read_back(text: str) -> None:
    root = read(to_yaml({"env": text}), "f").root
    assert root is not None
    assert root.data() == {"env": text}


@given(st.text(max_size=60))
def test_no_text_breaks_the_reader(text: str) -> None:
    result = read(text, "f")
    assert result.problems or result.root is not None
    for problem in result.problems:
        assert problem.text()


@pytest.mark.parametrize(
    ("value", "error"), [({"a": object()}, TypeError), ({1: 2}, TypeError), ({"a": b"x"}, TypeError)]
)
def test_values_that_no_recipe_holds(value: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="recipe"):
        to_yaml(value)


def test_a_circle_is_too_deep() -> None:
    circle: dict[str, Any] = {}
    circle["a"] = circle
    with pytest.raises(ValueError, match="more than 20 levels"):
        to_yaml(circle)
