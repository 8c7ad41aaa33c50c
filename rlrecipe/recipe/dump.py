"""A recipe as plain data and as YAML text that loads to an equal recipe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from rlrecipe.recipe.scalars import NotANumber, resolve
from rlrecipe.recipe.schema import Recipe
from rlrecipe.recipe.traits import AlgorithmTraits
from rlrecipe.recipe.yaml import DEEPEST


class TooDeep(ValueError):  # noqa: N818 - shown as a recipe problem
    """Mappings and lists are nested more deeply than recipes may be, or hold themselves."""


def data(recipe: Recipe) -> dict[str, Any]:
    """Every option of a recipe as plain data, fit for JSON; loading it gives an equal recipe."""
    plain: dict[str, Any] = _plain(recipe.model_dump())
    # Mappings merge, so an entry of the algorithm's defaults that is not there has to be taken away.
    _take_away(plain, AlgorithmTraits.of(recipe.algorithm).defaults)
    return plain


def dump(recipe: Recipe) -> str:
    """``data`` as YAML text."""
    return to_yaml(data(recipe))


def to_yaml(value: Mapping[str, Any]) -> str:
    """Plain data as YAML text that this package reads back as it was.

    Raises:
        TypeError: a value is no text, number, boolean, None, list or mapping of these.
        TooDeep: mappings and lists are nested more deeply than recipes may be.
    """
    text: str = yaml.dump(
        _plain(value), Dumper=Dumper, sort_keys=False, allow_unicode=True, default_flow_style=None, width=110
    )
    return text


def _plain(value: Any, depth: int = 0) -> Any:
    if depth > DEEPEST + 1:
        raise TooDeep(f"more than {DEEPEST} levels are not allowed")
    if isinstance(value, Mapping):
        wrong = next((key for key in value if not isinstance(key, str)), None)
        if wrong is not None:
            raise TypeError(f"the keys of a recipe are text, got {wrong!r}")
        return {str(key): _plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, depth + 1) for item in value]
    if value is None or isinstance(value, bool):
        return value
    for kind in (str, int, float):
        # The bare type: a subclass such as numpy's float64 would be written as a Python object.
        if isinstance(value, kind):
            return kind(value)
    raise TypeError(f"a recipe holds text, numbers, booleans, lists and mappings, got {type(value).__name__}")


def _take_away(plain: dict[str, Any], defaults: Mapping[str, Any]) -> None:
    if "name" in defaults and defaults["name"] != plain.get("name"):
        return
    for key, default in defaults.items():
        if key not in plain:
            plain[key] = None
        elif isinstance(default, Mapping) and isinstance(plain[key], dict):
            _take_away(plain[key], default)


class Dumper(yaml.SafeDumper):
    """Writes what ``rlrecipe.recipe.yaml`` reads."""

    def ignore_aliases(self, data: Any) -> bool:
        """Shared values are written out: recipes have no aliases."""
        return True


#: Line breaks of YAML 1.1 besides the usual one: next line, line and paragraph separator.
RARE_BREAKS = frozenset("\x85\u2028\u2029")


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    try:
        quoted = not isinstance(resolve(text), str)
    except NotANumber:
        quoted = True
    # YAML 1.1, which the dumper knows, takes fewer words for numbers than recipes do.
    style = "'" if quoted else None
    if RARE_BREAKS & set(text):
        # Between single quotes they are folded into a space; between double ones they are escaped.
        style = '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


Dumper.add_representer(str, _represent_text)
