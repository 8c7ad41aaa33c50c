from typing import Any

import pytest

from rlrecipe.recipe.describe import components, describe, kinds, unknown
from rlrecipe.recipe.json_schema import json_schema
from rlrecipe.recipe.load import load
from rlrecipe.recipe.registry import KINDS, UnknownComponent, search
from rlrecipe.recipe.schema import Recipe
from rlrecipe.recipe.template import template
from rlrecipe.recipe.yaml import read

EVERY = [component for kind in KINDS for component in search(kind)]


def test_a_description_says_type_default_meaning_and_origin() -> None:
    found = describe("algorithm", "ppo")
    options = {one.name: one for one in found.options}
    assert options["gamma"].type == "number at least 0 and at most 1"
    assert options["clip_epsilon"].type == "number of at least 0 or schedule"
    assert options["target_kl"].type == "number above 0 or null"
    assert options["num_epochs"].default == 10
    assert found.file.endswith("algorithms/ppo.py")
    assert found.line > 1


def test_sections_are_described_too() -> None:
    options = {one.name: one for one in describe("recipe", "trainer").options}
    assert options["log_interval"].type == "duration"
    assert options["log_interval"].default == 2000
    assert {one.name for one in components("recipe")} >= {
        "recipe",
        "trainer",
        "evaluation",
        "checkpoint",
        "runtime",
    }


@pytest.mark.parametrize(("kind", "name"), [("algorithm", "ppp"), ("algoritm", "ppo"), ("recipe", "trainr")])
def test_what_does_not_exist(kind: str, name: str) -> None:
    with pytest.raises(UnknownComponent) as caught:
        describe(kind, name)
    assert "did you mean" in unknown(caught.value)
    with pytest.raises(UnknownComponent):
        components("nothing")


@pytest.mark.parametrize("component", EVERY, ids=lambda one: f"{one.kind}/{one.name}")
def test_each_component_is_declared_in_full(component: Any) -> None:
    found = describe(component.kind, component.name)
    assert found.meaning
    for one in found.options:
        assert one.meaning.endswith((".", ")")), f"{one.name} has no meaning that is a sentence"
    assert component.kind in kinds()
    needed = {name: info for name, info in component.options.model_fields.items() if info.is_required()}
    if not needed:
        component.options()


@pytest.mark.parametrize("model", [*(one.options for one in EVERY), Recipe], ids=lambda model: model.__name__)
def test_an_option_that_may_be_null_is_null_by_default(model: Any) -> None:
    # Null in a recipe restores the default; another default would leave no way to write null.
    for name, info in model.model_fields.items():
        if type(None) in getattr(info.annotation, "__args__", ()):
            assert info.default is None, name


# -- JSON Schema


def valid(schema: Any, value: Any, root: dict[str, Any]) -> bool:
    """Whether a value fits a schema: the words of JSON Schema that are used here."""
    if isinstance(schema, bool):
        return schema
    if "$ref" in schema:
        kind = schema["$ref"].removeprefix("#/$defs/")
        if not valid(root["$defs"][kind], value, root):
            return False
    types = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}
    kind = schema.get("type")
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind in types and not isinstance(value, types[kind]):
        return False
    if kind in ("number", "integer") and not (is_number and (kind == "number" or isinstance(value, int))):
        return False
    checks = [
        "const" not in schema or value == schema["const"],
        "enum" not in schema or value in schema["enum"],
        "anyOf" not in schema or any(valid(one, value, root) for one in schema["anyOf"]),
        "oneOf" not in schema or sum(valid(one, value, root) for one in schema["oneOf"]) == 1,
    ]
    if is_number:
        checks += [value >= schema.get("minimum", value), value <= schema.get("maximum", value)]
        checks += ["exclusiveMinimum" not in schema or value > schema["exclusiveMinimum"]]
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        more = schema.get("additionalProperties", True)
        checks += [key in value for key in schema.get("required", ())]
        checks += [valid(properties.get(key, more), item, root) for key, item in value.items()]
        checks += [valid(schema.get("propertyNames", True), key, root) for key in value]
    if isinstance(value, list):
        checks += [valid(schema.get("items", True), item, root) for item in value]
    return all(checks)


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return json_schema()


GOOD = [
    "env: CartPole-v1\nalgorithm: ppo\ntrainer: {total_frames: 1}",
    "env: {env_name: A, num_envs: 8}\nalgorithm: {name: ppo, clip_epsilon: {name: linear}}\noptimizer: {lr: 1e-4}",
    "extends: ppo/cartpole\noptimizer: null\ntrainer: {clip_norm: null, log_interval: {updates: 3}}\nloggers: [csv]",
    template({"env": "CartPole-v1", "algorithm": "ppo", "trainer": {"total_frames": 9}}),
]
BAD = [
    "env: CartPole-v1",
    "env: 3\nalgorithm: ppo",
    "env: A\nalgorithm: nothing",
    "env: {env_nam: A}\nalgorithm: ppo",
    "env: A\nalgorithm: {name: ppo, epochs: 3}",
    "env: A\nalgorithm: {name: ppo, gamma: 2}",
    "env: A\nalgorithm: ppo\noptimizer: {name: adam, lr: fast}",
    "env: A\nalgorithm: ppo\noptimizer: {rate: 1}",
    "env: A\nalgorithm: ppo\nsede: 1",
    "env: A\nalgorithm: ppo\ntrainer: {log_interval: {hours: 1}}",
]  # fmt: skip


@pytest.mark.parametrize(("text", "fits"), [*((text, True) for text in GOOD), *((text, False) for text in BAD)])
def test_the_json_schema_tells_good_from_bad(schema: dict[str, Any], text: str, fits: bool) -> None:
    root = read(text, "f").root
    assert root is not None
    assert valid(schema, root.data(), schema) == fits


def test_a_resolved_recipe_fits_the_json_schema(schema: dict[str, Any]) -> None:
    from rlrecipe.recipe.dump import data

    recipe = load({"env": "A", "algorithm": "ppo", "trainer": {"total_frames": 1}}).recipe
    assert valid(schema, data(recipe), schema)


def test_every_component_stands_in_the_json_schema(schema: dict[str, Any]) -> None:
    for component in EVERY:
        (choice,) = [one for one in schema["$defs"][component.kind]["anyOf"] if "oneOf" in one]
        names = [one["properties"]["name"]["const"] for one in choice["oneOf"]]
        assert component.name in names
