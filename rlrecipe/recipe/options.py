"""What options are made of: the base model, and the registered component that a model belongs to.

A component's options are one Pydantic model. From it come validation, ``describe``, the JSON Schema
and the reference documentation; nothing about an option is written anywhere else.
"""

from __future__ import annotations

import importlib.util
import inspect
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, PrivateAttr
from pydantic_core import CoreSchema

from rlrecipe.system.moved import moved_name

if TYPE_CHECKING:
    from rlrecipe.recipe.errors import Problem

#: Components or layers in one list: more are a mistake, and each costs time at every batch.
MOST = 100


def option(default: Any = ..., meaning: str = "", **constraints: Any) -> Any:
    """An option: its default (``...`` if it is required), its meaning, and Pydantic's constraints."""
    return Field(default, description=meaning, **constraints)


def _accept_lists(schema: Any) -> None:
    """Let options that hold tuples take lists, which is all that YAML has; what they hold stays strict."""
    if isinstance(schema, dict):
        if schema.get("type") == "tuple":
            schema["strict"] = False
        for part in schema.values():
            _accept_lists(part)
    elif isinstance(schema, list):
        for part in schema:
            _accept_lists(part)


class Options(BaseModel):
    """Base of every options model: strict types, no unknown keys, immutable."""

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        validate_default=True,
        arbitrary_types_allowed=True,
    )
    _component: Component | None = PrivateAttr(None)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        schema = handler(source)
        _accept_lists(schema)
        return schema

    @property
    def component(self) -> Component:
        """The registered component that these options belong to.

        Raises:
            LookupError: the options were built by hand, and no slot has read them.
        """
        if self._component is None:
            raise LookupError(f"{type(self).__name__} was not read from a recipe: it names no component")
        return self._component


@dataclass(frozen=True, kw_only=True)
class Traits:
    """What a component says of itself besides its options; each kind has its own, in ``rlrecipe.recipe.traits``.

    Attributes:
        probe: asked when torch may be loaded: what the component misses on this machine, or that and its cure; None:
            it misses nothing.
    """

    probe: Callable[[], Problem | tuple[str, str] | None] | None = None

    def __new__(cls, **given: Any) -> Self:
        """Refuse what is no trait of this kind.

        Raises:
            TypeError: one is unknown; the message lists those that there are.
        """
        names = [each.name for each in fields(cls)]
        unknown = next((name for name in given if name not in names), None)
        if unknown is not None:
            raise TypeError(f"{cls.__name__} has no trait {unknown!r}; there are: {', '.join(names)}")
        return super().__new__(cls)

    def __getitem__(self, name: str) -> Any:
        """A trait by its name, as when traits were a mapping; deprecated.

        Raises:
            KeyError: there is no such trait.
        """
        if name not in {each.name for each in fields(self)}:
            raise KeyError(name)
        now = f"traits are attributes: {type(self).__name__}.of(options).{name}"
        warnings.warn(now, DeprecationWarning, stacklevel=2)
        return vars(self)[name]

    def get(self, name: str, default: Any = None) -> Any:
        """A trait by its name, as when traits were a mapping; deprecated."""
        return self[name] if name in {each.name for each in fields(self)} else default

    @classmethod
    def of(cls, one: Options | Component) -> Self:
        """The traits of a component, or of the one that options belong to.

        Raises:
            TypeError: it is of another kind.
        """
        component = one.component if isinstance(one, Options) else one
        if not isinstance(component.traits, cls):
            found = type(component.traits).__name__
            raise TypeError(f"the {component.kind} {component.name!r} has {found}, no {cls.__name__}")
        return component.traits


@dataclass(frozen=True)
class Component:
    """One registered component.

    Attributes:
        model: the Pydantic model of its options, or what makes it.
        build: the builder function; its first argument is an instance of its options.
        requires: importable modules that it needs, each with the extra that installs it.
        check: given the whole recipe, yields what in it cannot go with this component.
        traits: what else its kind asks of a component; ``AlgorithmTraits.of(component)`` has their type.
        said: what it does, where its options are made late.
    """

    kind: str
    name: str
    model: type[Options] | Callable[[], type[Options]]
    build: Callable[..., Any]
    file: str
    line: int
    requires: Mapping[str, str] = field(default_factory=dict)
    check: Callable[..., Iterable[Any]] | None = None
    traits: Traits = field(default_factory=Traits)
    said: str | None = None

    @cached_property
    def options(self) -> type[Options]:
        """The Pydantic model of its options."""
        return self.model if isinstance(self.model, type) else self.model()

    @property
    def meaning(self) -> str:
        """The first paragraph of the options' docstring, or what was said in its place."""
        if self.said is not None:
            return self.said
        return (inspect.getdoc(self.options) or "").split("\n\n")[0].replace("\n", " ")

    def missing(self) -> list[str]:
        """The extras that would have to be installed here for this component to work."""
        extras = (extra for module, extra in self.requires.items() if importlib.util.find_spec(module) is None)
        return list(dict.fromkeys(extras))


class LoggerOptions(Options):
    """What every logger's options have, also of loggers whose model does not derive from this."""

    required: bool = option(
        False, "true: the run ends where it fails or does not answer; false: it is named and training goes on."
    )


def __getattr__(name: str) -> Any:
    return moved_name(__name__, name, {"Slot": "rlrecipe.recipe.slots"})
