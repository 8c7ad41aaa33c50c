"""What plain words of YAML mean here: the core schema of YAML 1.2, with ``1_000_000`` and ``1e6``."""

from __future__ import annotations

import math
import re

#: Integers above it are not kept exactly by a float, nor by most readers of JSON.
LARGEST = 2**53
LONGEST = 500
_CONSTANTS: dict[str, bool | None] = {
    "": None,
    "~": None,
    "null": None,
    "Null": None,
    "NULL": None,
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}
_DIGITS = r"[0-9]+(?:_[0-9]+)*"
_INTEGER = re.compile(rf"[-+]?(?:0|(?!0){_DIGITS})")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(rf"[-+]?(?:\.{_DIGITS}|{_DIGITS}\.(?:{_DIGITS})?|{_DIGITS}(?=[eE]))(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")


class NotANumber(ValueError):  # noqa: N818 - said of a text, and shown as E102
    """A number that recipes do not hold: infinite, not a number, or too large an integer."""


def resolve(text: str) -> str | int | float | bool | None:
    """The value of a plain (unquoted) scalar.

    Raises:
        NotANumber: it is inf or nan, or an integer beyond 2**53.
    """
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    # A first look that spares long texts the patterns below.
    if not (text[0].isdigit() or text[0] in "+-."):
        return text
    if _INTEGER.fullmatch(text) or _BASED.fullmatch(text):
        return _integer(text)
    if _NOT_FINITE.fullmatch(text):
        raise NotANumber("expected a finite number")
    if _FLOAT.fullmatch(text):
        if len(text) > LONGEST:
            raise NotANumber(f"expected a number of at most {LONGEST} characters")
        return number(float(text.replace("_", "")))
    return text


def number(value: float) -> int | float:
    """A float, or the integer it equals.

    Raises:
        NotANumber: it is infinite or not a number.
    """
    if not math.isfinite(value):
        raise NotANumber("expected a finite number")
    return int(value) if value.is_integer() and abs(value) <= LARGEST else value


def _integer(text: str) -> int:
    digits = text.replace("_", "")
    # Counted before they are read: reading takes time that grows with the square of their number.
    value = int(digits, 0) if len(digits.lstrip("-+0xo")) <= 18 else LARGEST + 1
    if abs(value) > LARGEST:
        raise NotANumber("expected a whole number of at most 2**53 (9007199254740992)")
    return value
