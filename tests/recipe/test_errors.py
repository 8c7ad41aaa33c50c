import json

import pytest

from rlrecipe.recipe.errors import CODES, Place, PlacedProblem, Problem, RecipeError, exit_code, render_json


def placed(code: str = "E102", path: tuple[str | int, ...] = ("a", 0), **place: object) -> PlacedProblem:
    return PlacedProblem(Problem(code, path, "expected x, got y", "z"), Place(**{"file": "f.yaml", **place}))  # type: ignore[arg-type]


def test_text_shows_place_line_caret_and_cure() -> None:
    problem = placed(line=12, column=5, source="    key: value", width=3)
    assert problem.text().split("\n") == [
        "f.yaml:12:5: E102 at a.0: expected x, got y",
        "  12 |     key: value",
        "     |     ^^^",
        "  did you mean z?",
    ]


def test_the_caret_stands_under_wide_characters() -> None:
    _, line, caret, _ = placed(line=1, column=4, source="名前: x", width=1).text().split("\n")
    assert (line, caret) == ("  1 | 名前: x", "    |      ^")


def test_a_long_line_is_cut_around_the_caret() -> None:
    _, line, caret, _ = placed(line=1, column=5001, source="a" * 5000 + "X" + "b" * 5000).text().split("\n")
    assert len(line) < 120
    assert line[caret.index("^")] == "X"


def test_nothing_steers_the_terminal() -> None:
    problem = PlacedProblem(Problem("E102", ("\x1b[2J",), "\x1b[31m"), Place("\x1b", 1, 1, "\x1b]0;x\x07"))
    assert "\x1b" not in problem.text()


def test_json_has_the_fields_of_the_contract() -> None:
    document = json.loads(render_json([placed(line=2, column=3)]))
    assert document == {
        "valid": False,
        "errors": [
            {
                "code": "E102",
                "file": "f.yaml",
                "path": "a.0",
                "line": 2,
                "column": 3,
                "message": "expected x, got y",
                "suggestion": "z",
            }
        ],
    }
    assert json.loads(render_json([])) == {"valid": True, "errors": []}


def test_json_has_no_line_for_an_option() -> None:
    data = placed(line=1, column=3, option=True, file="-s").data()
    assert (data["file"], data["line"], data["column"]) == ("-s", None, None)


def test_problems_are_sorted_by_place() -> None:
    option = placed(file="-s", line=1, column=1, option=True)
    missing, second, first = placed(), placed(line=10, column=1), placed(line=2, column=9)
    assert RecipeError([option, missing, second, first]).problems == (first, second, missing, option)


@pytest.mark.parametrize(
    ("codes", "code"),
    [([], 0), (["E401"], 4), (["E403", "E402"], 4), (["E101", "E401"], 3), (["E302"], 3), (["E201"], 3)],
)
def test_exit_codes(codes: list[str], code: int) -> None:
    assert exit_code([Problem(each, (), "") for each in codes]) == code
    assert RecipeError([placed(each) for each in codes]).exit_code == code


def test_a_code_that_is_none() -> None:
    with pytest.raises(ValueError, match="no problem has the code 'E999'"):
        Problem("E999", (), "")
    assert all(meaning for meaning in CODES.values())
