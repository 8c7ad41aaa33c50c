"""What options are made of: the base model, and slots that hold a component.

A component's options are one Pydantic model. From it come validation, ``describe``, the JSON Schema
and the reference documentation; nothing about an option is written anywhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler, PrivateAttr
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

if TYPE_CHECKING:
    from rlrecipe.recipe.registry import Component


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


class LoggerOptions(Options):
    """What every logger's options have, also of loggers whose model does not derive from this."""

    required: bool = option(
        False, "true: the run ends where it fails or does not answer; false: it is named and training goes on."
    )


class Slot:
    """A place for a component of one kind: a bare name, or a mapping with ``name`` and its options.

    Used as ``Annotated[Options, Slot("network")]``; ``default`` is the name taken where a mapping
    gives none; ``bare`` the key that a bare string stands for.
    """

    def __init__(self, kind: str, *, default: str | None = None, bare: str = "name") -> None:
        self.kind, self.default, self.bare = kind, default, bare

    def read(self, value: Any) -> Options:
        """Options of the component that ``value`` names.

        Raises:
            PydanticCustomError: of type ``unknown_component``, ``missing`` or ``component_type``.
        """
        from rlrecipe.recipe.registry import UnknownComponent, find, package_of

        if isinstance(value, Options):
            return self._take(value)
        if isinstance(value, str):
            value = {self.bare: value}
        if not isinstance(value, Mapping):
            raise PydanticCustomError(
                "component_type",
                "expected the name of a {kind} or a mapping with its name",
                {"kind": self.kind},
            )
        name = value.get("name", self.default)
        if name is None:
            raise PydanticCustomError("missing_name", "the {kind} has no name", {"kind": self.kind})
        if not isinstance(name, str):
            raise PydanticCustomError("name_type", "the name of a {kind} is text", {"kind": self.kind})
        try:
            component = find(self.kind, name)
        except UnknownComponent as error:
            missing = package_of(self.kind, name)
            raise PydanticCustomError(
                "unknown_component",
                "no {kind} is named {name}",
                {
                    "kind": self.kind,
                    "name": repr(name),
                    "names": error.names,
                    "reason": error.reason,
                    "package": missing,
                },
            ) from None
        options = component.options.model_validate({k: v for k, v in value.items() if k != "name"})
        options._component = component
        return options

    def _take(self, options: Options) -> Options:
        """Options that were read before; those built by hand belong to the one component that has their model."""
        from rlrecipe.recipe.registry import search

        if options._component is None:
            fitting = [each for each in search(self.kind) if each.model is type(options)]
            if len(fitting) == 1:
                options = options.model_copy()
                options._component = fitting[0]
        if options._component is None or options._component.kind != self.kind:
            raise PydanticCustomError(
                "component_type",
                "expected a {kind}, got {given}",
                {"kind": self.kind, "given": type(options).__name__},
            )
        return options

    def write(self, options: Options) -> dict[str, Any]:
        """The mapping that ``read`` turns into these options."""
        options = self._take(options)
        return {"name": options.component.name, **options.model_dump()}

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self.read, serialization=core_schema.plain_serializer_function_ser_schema(self.write)
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        # No $ref: Pydantic insists on knowing what it points to. ``json_schema`` turns it into one.
        return {"x-component": self.kind}
