"""JSON Schema of a recipe file, for editors: every section, every registered component.

A file is one layer of several, so nothing in a component is required, and null restores a default.
"""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from rlrecipe.recipe.options import Component
from rlrecipe.recipe.registry import KINDS, search
from rlrecipe.recipe.schema import Recipe
from rlrecipe.recipe.shape import fields

Schema = dict[str, Any]
#: The kinds whose slot in the recipe takes a component where a mapping gives no name.
_DEFAULTS = {shape.slot.kind: shape.slot for shape in fields(Recipe).values() if shape.slot and shape.slot.default}


class _Generator(GenerateJsonSchema):
    def encode_default(self, dft: Any) -> Any:
        # Pydantic makes a validator for each: four fifths of them only to find plain values plain.
        if dft is None or isinstance(dft, (bool, int, float, str)):
            return dft
        return super().encode_default(dft)


def json_schema() -> Schema:
    """The schema of a whole recipe, with the components of each kind under ``$defs/<kind>``."""
    root = _options(Recipe.model_json_schema(schema_generator=_Generator))
    root["properties"]["extends"] = _nullable(
        {"type": "string", "description": "A bundled recipe, or a relative path inside this file's folder."}
    )
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "rlrecipe recipe",
        **root,
        "anyOf": [{"required": ["extends"]}, {"required": ["env", "algorithm"]}],
        "$defs": {kind: _kind(kind) for kind in KINDS},
    }


def _kind(kind: str) -> Schema:
    """A bare string, a mapping with a name, or a mapping that changes a lower layer's component."""
    components = [_component(component) for component in search(kind)]
    slot = _DEFAULTS.get(kind)
    names = {} if slot and slot.bare != "name" else {"enum": [c["properties"]["name"]["const"] for c in components]}
    alternatives: list[Schema] = [{"type": "string", **names}]
    if components:
        alternatives.append({"oneOf": components})
    nameless = next((c for c in components if slot and c["properties"]["name"]["const"] == slot.default), None)
    keys = sorted({key for c in ([nameless] if nameless else components) for key in c["properties"]} - {"name"})
    if nameless is not None:
        options = {key: value for key, value in nameless["properties"].items() if key != "name"}
        alternatives.append({"type": "object", "properties": options, "additionalProperties": False})
    else:
        alternatives.append({"type": "object", "propertyNames": {"enum": keys}})
    return {"anyOf": alternatives}


def _component(component: Component) -> Schema:
    schema = _options(component.options.model_json_schema(schema_generator=_Generator))
    schema["properties"] = {"name": {"const": component.name}, **schema["properties"]}
    return {**schema, "title": f"{component.kind}/{component.name}", "required": ["name"]}


def _options(schema: Schema) -> Schema:
    """Pydantic's schema of an options model, on its own feet and as one layer sees it."""
    inlined: Schema = _inline(schema, schema.get("$defs", {}))
    inlined.pop("$defs", None)
    return inlined


def _inline(part: Any, definitions: Schema) -> Any:
    if isinstance(part, list):
        return [_inline(item, definitions) for item in part]
    if not isinstance(part, dict):
        return part
    if "$ref" in part:
        name = part["$ref"].rpartition("/")[2]
        rest = {key: value for key, value in part.items() if key != "$ref"}
        return _inline({**definitions[name], **rest}, definitions)
    if "x-component" in part:
        rest = {key: _inline(value, definitions) for key, value in part.items() if key != "x-component"}
        return {"$ref": f"#/$defs/{part['x-component']}", **rest}
    result = {key: _inline(value, definitions) for key, value in part.items() if key != "title"}
    if isinstance(part.get("properties"), dict):
        result["properties"] = {
            key: _nullable(_inline(value, definitions)) for key, value in part["properties"].items()
        }
        result.pop("required", None)
    return result


def _nullable(schema: Schema) -> Schema:
    """The schema or null, with description and default kept on the outside, where editors look."""
    outside: Schema = {key: schema[key] for key in ("description", "default") if key in schema}
    inside = {key: value for key, value in schema.items() if key not in outside}
    if {"type": "null"} in inside.get("anyOf", ()):
        return {**outside, **inside}
    return {**outside, "anyOf": [inside, {"type": "null"}]}
