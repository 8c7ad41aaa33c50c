"""Pydantic's findings in this package's words: what was expected, what was there, what is near."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable
from typing import Any, get_args

from pydantic import ValidationError
from pydantic_core.core_schema import ErrorType

from rlrecipe.recipe.errors import MOST_PROBLEMS, Path, Problem
from rlrecipe.recipe.names import CODES, LONGEST_NAME, expanded, expansion, shortened
from rlrecipe.recipe.scalars import NotANumber, resolve
from rlrecipe.recipe.schema import RESERVED, Recipe
from rlrecipe.recipe.shape import RECIPE, at
from rlrecipe.recipe.tree import INVALID, Node
from rlrecipe.recipe.words import hint

#: What each type of Pydantic's errors says was expected; the fields are of the error's context.
_EXPECTED = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a smaller whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "a text",
    "list_type": "a list",
    "tuple_type": "a list",
    "set_type": "a list",
    "dict_type": "a mapping",
    "mapping_type": "a mapping",
    "model_type": "a mapping of options",
    "none_required": "null",
    "greater_than": "a number above {gt}",
    "greater_than_equal": "a number of at least {ge}",
    "less_than": "a number below {lt}",
    "less_than_equal": "a number of at most {le}",
    "multiple_of": "a multiple of {multiple_of}",
    "literal_error": "{expected}",
    "enum": "{expected}",
    "string_pattern_mismatch": "a text that matches {pattern}",
    "string_too_short": "a text of at least {min_length} characters",
    "string_too_long": "a text of at most {max_length} characters",
    "too_short": "at least {min_length} entries",
    "too_long": "at most {max_length} entries",
    "component_type": "the name of {a_kind} or a mapping with its name",
    "name_type": "the name of {a_kind} as text",
}


def problems_of(error: ValidationError, root: Node) -> list[Problem]:
    """What Pydantic found, one problem for each place, in this package's words; no more than can be read."""
    found: dict[tuple[Path, str], list[dict[str, Any]]] = {}
    for detail in error.errors(include_url=False)[:MOST_PROBLEMS]:
        path = _path(root, detail["loc"], detail["type"])
        node = root.get(*path)
        # What could not be read has been told already.
        if detail["type"] != "extra_forbidden" and node is not None and node.value is INVALID:
            continue
        group = detail["type"] if detail["type"] in _PROBLEMS else _group(detail["type"])
        found.setdefault((path, group), []).append(dict(detail))
    return [_PROBLEMS.get(group, _expected)(root, path, details) for (path, group), details in found.items()]


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The valid name that is most like ``name``, if one is."""
    if len(name) > 2 * LONGEST_NAME:
        return None
    lower = {valid.lower(): valid for valid in names}
    near = difflib.get_close_matches(name.lower(), lower, 1, 0.6)
    return lower[near[0]] if near else None


def unknown_key(root: Node, path: Path, names: Iterable[str], what: str) -> Problem:
    """E101: the key is no such thing; ``names`` are those that are."""
    key, valid = str(path[-1]), list(names)
    # What else a word is nearest to, it means what it means elsewhere.
    suggestion = hint(root, path) or nearest(key, valid) or _elsewhere(root, key, path)
    listed = f"expected one of {', '.join(valid)}" if valid else "it has no options"
    return Problem("E101", path, f"{shortened(key)!r} is no {what}; {listed}", suggestion)


def got(value: Any) -> str:
    """A value as an error message shows it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    if isinstance(value, str):
        return f"the text {value if len(value) <= 40 else value[:37] + '...'!r}"
    return repr(value)


def _group(kind: str) -> str:
    """Readings of one union that failed are told together; messages of custom types are kept."""
    return "expected" if kind in _EXPECTED or kind in get_args(ErrorType) else "custom"


def _path(root: Node, loc: tuple[int | str, ...], kind: str) -> Path:
    """The parts of Pydantic's location that are in the tree: it also names members of unions."""
    path: list[int | str] = []
    node = root
    for index, part in enumerate(loc):
        child = node.child(part)
        if child is not None:
            path.append(part)
            node = child
        elif kind == "missing" and index == len(loc) - 1:
            path.append(part)
    return tuple(path)


def _extra(root: Node, path: Path, _: list[dict[str, Any]]) -> Problem:
    key, parent = str(path[-1]), path[:-1]
    if not parent and key in RESERVED:
        message = f"{key!r} is reserved for a later version of the recipe format"
        return Problem("E101", path, message, "remove it: this version has no use for it")
    shape = at(root, parent) or RECIPE
    node = root.get(*parent) or root
    model = shape.options(node)
    names = [*model.model_fields] if model else []
    holder = shape.name(node) or ".".join(map(str, parent))
    return unknown_key(root, path, names, f"option of {holder}" if parent else "section of a recipe")


def _elsewhere(root: Node, key: str, path: Path) -> str | None:
    """The section that has an option of this name."""
    for section in Recipe.model_fields:
        shape, node = at(root, (section,)), root.get(section)
        model = shape.options(node) if shape is not None and node is not None else None
        if model is not None and key in model.model_fields and (section, key) != path:
            return f"{section}.{key}"
    return None


def _missing(root: Node, path: Path, _: list[dict[str, Any]]) -> Problem:
    shape = at(root, path[:-1])
    model = shape.options(root.get(*path[:-1]) or root) if shape else None
    info = model.model_fields.get(str(path[-1])) if model else None
    meaning = f": {info.description}" if info is not None and info.description else ""
    return Problem("E103", path, f"{'.'.join(map(str, path))} is missing{meaning}", f"add {path[-1]}: ...")


def _unknown(root: Node, path: Path, details: list[dict[str, Any]]) -> Problem:
    context = details[0]["ctx"]
    names = list(context["names"])
    part = expanded(str(context["name"]).strip("'\""))
    path = (*path, "name") if root.get(*path, "name") is not None else path
    name = context["name"].strip("'\"")
    if part is not None:
        return Problem("E201", path, *expansion(part))
    if context.get("reason"):
        message, package = f"no {context['kind']} is named {context['name']}: {context['reason']}", context["package"]
        if package is not None:
            return Problem("E401", path, f"{message}; the package {package} is not installed", f"pip install {package}")
        return Problem("E201", path, message)
    listed = f"expected one of {', '.join(names)}" if names else "there is none yet"
    parts = (f"no {context['kind']} is named {context['name']}", context["reason"], listed)
    return Problem("E201", path, "; ".join(filter(None, parts)), nearest(name, names))


def _nameless(_: Node, path: Path, details: list[dict[str, Any]]) -> Problem:
    kind = details[0]["ctx"]["kind"]
    return Problem(
        "E103", (*path, "name"), f"{'.'.join(map(str, path))} names no {kind}", f"add the name of {with_article(kind)}"
    )


def _own(_: Node, path: Path, details: list[dict[str, Any]]) -> Problem:
    """Messages that this package's validators, or a user's, wrote themselves."""
    detail = details[0]
    message = str(detail.get("ctx", {}).get("error", detail["msg"]))
    shown = "" if ", got " in message else f", got {got(detail['input'])}"
    return Problem("E102", path, f"{message}{shown}")


def _expected(root: Node, path: Path, details: list[dict[str, Any]]) -> Problem:
    wanted: list[str] = []
    for detail in details:
        phrase = _EXPECTED.get(detail["type"], "another value").format_map(_shown(detail))
        if phrase not in wanted:
            wanted.append(phrase)
    if path == ("name",) and details[0]["type"] == "string_pattern_mismatch":
        wanted = ["lower case letters, digits, '.', '_' and '-'"]
    node = root.get(*path)
    value = node.data() if node is not None else details[0]["input"]
    path = (*path, "name") if details[0]["type"] == "name_type" else path
    message = f"expected {' or '.join(wanted)}, got {got(value)}"
    return Problem("E102", path, message, _cure(path, value, details))


def _cure(path: Path, value: Any, details: list[dict[str, Any]]) -> str | None:
    types = {detail["type"] for detail in details}
    if path == ("name",) and isinstance(value, str):
        return run_name(value)
    if isinstance(value, str) and types & {"int_type", "float_type"}:
        try:
            unquoted = isinstance(resolve(value), int | float)
        except NotANumber:
            unquoted = False
        return "remove the quotes: a number stands without them" if unquoted else None
    if "bool_type" in types and isinstance(value, str) and value.lower() in _WORDS:
        return f"write {_WORDS[value.lower()]}: in recipes yes, no, on and off are texts"
    for detail in details:
        if detail["type"] in ("literal_error", "enum"):
            if isinstance(value, bool):
                value = "on" if value else "off"
            names = re.findall(r"'([^']*)'", detail["ctx"]["expected"])
            return value if value in names else nearest(str(value), names)
    return None


def with_article(kind: str) -> str:
    """``a schedule``, ``an optimizer``."""
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"


def run_name(text: str) -> str:
    """A text as the name of a run."""
    return re.sub(r"[^a-z0-9._-]", "-", text.lower())[:LONGEST_NAME] or "unnamed"


def _shown(detail: dict[str, Any]) -> dict[str, str]:
    """An error's context as text: 0 rather than 0.0, and names without quotes."""
    context = dict(detail.get("ctx", {}))
    if "kind" in context:
        context["a_kind"] = with_article(context["kind"])
    return {
        key: f"{value:.15g}" if isinstance(value, int | float) else str(value).replace("'", "")
        for key, value in context.items()
    }


def _name(_: Node, path: Path, details: list[dict[str, Any]]) -> Problem:
    """What ``names`` refused."""
    context = details[0]["ctx"]
    return Problem(CODES[details[0]["type"]], path, context["message"], context["cure"])


_WORDS = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}
_PROBLEMS: dict[str, Callable[[Node, Path, list[dict[str, Any]]], Problem]] = {
    "extra_forbidden": _extra,
    "missing": _missing,
    "unknown_component": _unknown,
    "missing_name": _nameless,
    **dict.fromkeys(CODES, _name),
    "duration": _own,
    "bounds": _own,
    "value_error": _own,
    "assertion_error": _own,
    "custom": _own,
}
