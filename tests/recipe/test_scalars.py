import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlrecipe.recipe.scalars import LARGEST, NotANumber, resolve


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("true", True),
        ("False", False),
        ("0", 0),
        ("-5", -5),
        ("+7", 7),
        ("1_000_000", 1_000_000),
        ("3e-4", 3e-4),
        ("1e6", 1_000_000),
        ("1E+6", 1_000_000),
        ("1.0", 1),
        ("-0.0", 0),
        (".5", 0.5),
        ("1.", 1),
        ("0x10", 16),
        ("0o17", 15),
        ("1_0.5", 10.5),
        (str(2**53), 2**53),
        ("9007199254740993.0", 2**53),
    ],
)
def test_words_that_are_no_text(text: str, value: object) -> None:
    assert resolve(text) == value
    assert type(resolve(text)) is type(value)


@pytest.mark.parametrize(
    "text",
    [
        "no",
        "yes",
        "on",
        "off",
        "y",
        "NO",
        "1:30",
        "012",
        "-012",
        "1__0",
        "_1",
        "1_",
        "1e",
        "e5",
        ".",
        "-",
        "+",
        "0x",
        "inf",
        "nan",
        "Infinity",
        "1e6x",
        "--1",
        "1.2.3",
        "0b1",
        "2001-01-01",
        "=",
        "<<",
    ],
)
def test_words_that_stay_text(text: str) -> None:
    assert resolve(text) == text


@pytest.mark.parametrize(
    "text",
    [
        ".inf",
        "-.Inf",
        ".NaN",
        "1e999",
        "-1e999",
        str(2**53 + 1),
        "-" + "9" * 10**6,
        "1" * 10**6,
        "0x" + "f" * 100,
        "1." + "0" * 1000,
    ],
)
def test_numbers_that_are_refused(text: str) -> None:
    with pytest.raises(NotANumber, match="expected"):
        resolve(text)


@given(st.text())
def test_any_text_has_a_value_or_is_refused(text: str) -> None:
    try:
        value = resolve(text)
    except NotANumber:
        return
    assert value is None or isinstance(value, str | bool) or (math.isfinite(value))


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats_are_read_as_written(value: float) -> None:
    if abs(value) <= LARGEST:
        assert resolve(repr(value)) == value
