"""What a component or a section of a recipe offers: its options, read from their declaration."""

from __future__ import annotations

import inspect
import types
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from rlrecipe.recipe.messages import nearest
from rlrecipe.recipe.options import Component, Options
from rlrecipe.recipe.registry import KINDS, UnknownComponent, find, reason_of, search
from rlrecipe.recipe.schema import Recipe
from rlrecipe.recipe.shape import fields
from rlrecipe.recipe.slots import Slot
from rlrecipe.recipe.values import Duration, Schedulable

#: The kind under which the sections of a recipe that are no components are described.
SECTIONS = "recipe"
_WORDS = {
    int: "whole number",
    float: "number",
    bool: "true or false",
    str: "text",
    type(None): "null",
    Any: "any",
}
_BOUNDS = {
    "gt": "above {}",
    "ge": "at least {}",
    "lt": "below {}",
    "le": "at most {}",
    "min_length": "of length {} or more",
    "max_length": "of length {} or less",
    "multiple_of": "multiple of {}",
}


@dataclass(frozen=True)
class OptionDescription:
    """One option, its type in words, its default as plain data."""

    name: str
    type: str
    required: bool
    default: Any
    meaning: str


@dataclass(frozen=True)
class Description:
    """A component or a section: where it is declared, what it needs, what its options are."""

    kind: str
    name: str
    meaning: str
    file: str
    line: int
    extras: tuple[str, ...]
    missing: tuple[str, ...]
    of: Component | type[Options]

    @cached_property
    def options(self) -> tuple[OptionDescription, ...]:
        """Its options, which are looked at when somebody asks."""
        return tuple(options(self.of.options if isinstance(self.of, Component) else self.of))

    def summary(self) -> dict[str, Any]:
        """What ``list --json`` says of it."""
        names = ("name", "meaning", "file", "line", "extras", "missing")
        return {name: getattr(self, name) for name in names}

    def data(self) -> dict[str, Any]:
        """The description for ``--json``."""
        return {"kind": self.kind, **self.summary(), "options": [asdict(option) for option in self.options]}


def kinds() -> list[str]:
    """What can be listed and described."""
    return [*KINDS, SECTIONS]


def describe(kind: str, name: str) -> Description:
    """The description of a component, or of a section of the recipe under the kind ``recipe``.

    Raises:
        UnknownComponent: there is none of this kind and name.
    """
    if kind == SECTIONS:
        return _section(name)
    if kind not in KINDS:
        raise UnknownComponent("kind", kind, kinds())
    return _component(find(kind, name))


def describe_any(name: str) -> Description:
    """The description of the component or section of this name, whatever its kind.

    Raises:
        UnknownComponent: there is none, or several kinds have one; the reason says what there is.
    """
    places = {f"{kind}/{each}": (kind, each) for kind in kinds() for each in _names(kind)}
    found = [place for place in places if places[place][1] == name]
    if len(found) == 1:
        return describe(*places[found[0]])
    if found:
        raise UnknownComponent("component", name, found, f"several are: {', '.join(found)}")
    if name in kinds() or name.rstrip("s") in kinds():
        kind = name if name in kinds() else name.rstrip("s")
        raise UnknownComponent("component", name, [], f"{kind} is a kind; `rlrecipe list {kind}` has what is of it")
    for kind in KINDS:
        reason = reason_of(kind, name)
        if reason is not None:
            raise UnknownComponent(kind, name, [], reason)
    near = nearest(name, (each for _, each in places.values()))
    like = [place for place in places if places[place][1] == near]
    hint = f"did you mean {' or '.join(like)}? " if like else ""
    raise UnknownComponent("component", name, [], f"{hint}`rlrecipe list` has all, as KIND/NAME")


def elsewhere(error: UnknownComponent) -> str | None:
    """Where there is a component of a name that its kind does not have."""
    return next((f"{kind}/{error.name}" for kind in kinds() if error.name in _names(kind)), None)


def _names(kind: str) -> list[str]:
    return [*_sections()] if kind == SECTIONS else [component.name for component in search(kind)]


def components(kind: str) -> list[Description]:
    """Every component of a kind, or every section of the recipe.

    Raises:
        UnknownComponent: there is no such kind.
    """
    if kind == SECTIONS:
        return [_section(name) for name in _sections()]
    if kind not in KINDS:
        raise UnknownComponent("kind", kind, kinds())
    return [_component(component) for component in search(kind)]


def unknown(error: UnknownComponent) -> str:
    """One line on a name that does not exist, with the nearest that does."""
    if error.reason:
        return f"no {error.kind} is named {error.name!r}: {error.reason}"
    near = nearest(error.name, error.names) or elsewhere(error)
    hint = f"; did you mean {near}?" if near else ""
    parts = (
        f"no {error.kind} is named {error.name!r}",
        error.reason,
        f"expected one of {', '.join(error.names)}{hint}",
    )
    return "; ".join(filter(None, parts))


def options(model: type[Options]) -> Iterator[OptionDescription]:
    """Each option of a model."""
    for name, info in model.model_fields.items():
        required = info.is_required()
        given = info.get_default(call_default_factory=True, validated_data={})
        default = None if required or given is PydanticUndefined else _plain(given)
        yield OptionDescription(name, type_text(info), required, default, info.description or "")


def type_text(info: FieldInfo) -> str:
    """An option's type and bounds in words."""
    return _text(info.annotation, tuple(info.metadata))


def _sections() -> dict[str, type[Options]]:
    shapes = fields(Recipe)
    return {
        "recipe": Recipe,
        **{name: shape.model for name, shape in shapes.items() if shape.model is not None},
    }


def _section(name: str) -> Description:
    sections = _sections()
    if name not in sections:
        raise UnknownComponent("section of a recipe", name, [*sections])
    model = sections[name]
    line = inspect.getsourcelines(model)[1]
    file = inspect.getsourcefile(model) or ""
    return Description(SECTIONS, name, _meaning(model), file, line, (), (), model)


def _component(component: Component) -> Description:
    extras = tuple(dict.fromkeys(component.requires.values()))
    return Description(
        component.kind,
        component.name,
        component.meaning,
        str(Path(component.file)),
        component.line,
        extras,
        tuple(dict.fromkeys(component.missing())),
        component,
    )


def _meaning(model: type[Options]) -> str:
    return (inspect.getdoc(model) or "").split("\n\n")[0].replace("\n", " ")


def _plain(value: Any) -> Any:
    if isinstance(value, Duration):
        return value.write()
    if isinstance(value, Options):
        return value.model_dump()
    return list(value) if isinstance(value, tuple) else value


def _text(annotation: Any, metadata: tuple[Any, ...] = ()) -> str:
    for extra in metadata:
        if isinstance(extra, Slot):
            return extra.kind
        if isinstance(extra, Schedulable):
            bounds = f" {extra.bounds()}" if (extra.low, extra.high) != (None, None) else ""
            return f"number{bounds} or schedule"
    bounds, words = _bounds(metadata), _plain_type(annotation)
    if not bounds:
        return words
    return f"{words.removesuffix(' or null')} {bounds}{' or null' if words.endswith(' or null') else ''}"


def _plain_type(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _text(arguments[0], arguments[1:])
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(_text(argument) for argument in arguments))
    if origin is Literal:
        return " | ".join(map(str, arguments))
    if origin is dict:
        return "mapping" if arguments[1] is Any else f"mapping of {_text(arguments[1])}"
    if origin in (list, tuple):
        return f"list of {_text(arguments[0])}"
    if annotation is Duration:
        return "duration"
    if isinstance(annotation, type) and issubclass(annotation, Options):
        return "section"
    # Some forms of typing have a name, others none.
    return _WORDS.get(annotation, getattr(annotation, "__name__", str(annotation)))


def _bounds(metadata: tuple[Any, ...]) -> str:
    found = []
    for extra in metadata:
        parts = [extra, *(extra.metadata if isinstance(extra, FieldInfo) else ())]
        for key, words in _BOUNDS.items():
            value = next((getattr(part, key) for part in parts if getattr(part, key, None) is not None), None)
            if value is not None:
                found.append(words.format(f"{value:.15g}"))
    return " and ".join(found)
