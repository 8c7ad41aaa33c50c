"""Slots: places of a recipe that hold a component."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from rlrecipe.recipe.options import Options
from rlrecipe.recipe.registry import UnknownComponent, find, package_of, search


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
