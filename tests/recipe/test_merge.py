from typing import Any

import pytest

from rlrecipe.recipe.merge import merge
from rlrecipe.recipe.overrides import override
from rlrecipe.recipe.tree import unmarked


def merged(*layers: dict[str, Any], defaults: dict[str, Any] | None = None) -> Any:
    root, problems = merge([unmarked(layer) for layer in layers], unmarked(defaults or {}))
    assert problems == []
    return root.data()


ADAM = {"name": "adam", "lr": 1, "eps": 2}


@pytest.mark.parametrize(
    ("low", "high", "result"),
    [
        (
            {"trainer": {"clip_norm": 1}},
            {"trainer": {"total_frames": 2}},
            {"trainer": {"clip_norm": 1, "total_frames": 2}},
        ),
        ({"hooks": [1, 2]}, {"hooks": [3]}, {"hooks": [3]}),
        # Names of components.
        ({"optimizer": ADAM}, {"optimizer": {"lr": 3}}, {"optimizer": {"name": "adam", "lr": 3, "eps": 2}}),
        (
            {"optimizer": ADAM},
            {"optimizer": {"name": "adam", "lr": 3}},
            {"optimizer": {"name": "adam", "lr": 3, "eps": 2}},
        ),
        (
            {"optimizer": ADAM},
            {"optimizer": {"name": "sgd", "lr": 3}},
            {"optimizer": {"name": "sgd", "lr": 3}},
        ),
        ({"optimizer": ADAM}, {"optimizer": "sgd"}, {"optimizer": {"name": "sgd"}}),
        ({"optimizer": ADAM}, {"optimizer": "adam"}, {"optimizer": ADAM}),
        ({"optimizer": "adam"}, {"optimizer": {"lr": 3}}, {"optimizer": {"name": "adam", "lr": 3}}),
        (
            {"collector": {"frames_per_batch": 8}},
            {"collector": "sync"},
            {"collector": {"name": "sync", "frames_per_batch": 8}},
        ),
        ({"collector": {"frames_per_batch": 8}}, {"collector": "other"}, {"collector": {"name": "other"}}),
        (
            {"networks": {"policy": {"name": "mlp", "num_cells": [1]}}},
            {"networks": {"policy": "conv"}},
            {"networks": {"policy": {"name": "conv"}}},
        ),
        (
            {"optimizer": {**ADAM, "schedule": {"name": "linear", "end": 1}}},
            {"optimizer": {"schedule": "cosine"}},
            {"optimizer": {**ADAM, "schedule": {"name": "cosine"}}},
        ),
        (
            {"algorithm": {"name": "ppo", "clip_epsilon": {"name": "linear", "end": 1}}},
            {"algorithm": {"clip_epsilon": 0.1}},
            {"algorithm": {"name": "ppo", "clip_epsilon": 0.1}},
        ),
        # The root's name is the run's.
        ({"name": "a", "seed": 1}, {"name": "b"}, {"name": "b", "seed": 1}),
        # Environments.
        (
            {"env": {"env_name": "A", "num_envs": 2, "kwargs": {"x": 1}}},
            {"env": "B"},
            {"env": {"env_name": "B", "num_envs": 2}},
        ),
        (
            {"env": {"env_name": "A", "kwargs": {"x": 1}}},
            {"env": "A"},
            {"env": {"env_name": "A", "kwargs": {"x": 1}}},
        ),
        (
            {"env": {"env_name": "A", "kwargs": {"x": 1}}},
            {"env": {"env_name": "B", "kwargs": {"y": 1}}},
            {"env": {"env_name": "B", "kwargs": {"y": 1}}},
        ),
        ({"env": "A"}, {"env": {"num_envs": 2}}, {"env": {"env_name": "A", "num_envs": 2}}),
        ({"env": {"env_name": "A", "num_envs": 2}}, {"env": {"name": "maze"}}, {"env": {"name": "maze"}}),
        (
            {"env": {"env_name": "A", "num_envs": 2}},
            {"env": {"name": "gym"}},
            {"env": {"name": "gym", "env_name": "A", "num_envs": 2}},
        ),
        # A name inside plain data is no component's.
        (
            {"env": {"env_name": "A", "kwargs": {"name": "x", "y": 1}}},
            {"env": {"kwargs": {"name": "z"}}},
            {"env": {"env_name": "A", "kwargs": {"name": "z", "y": 1}}},
        ),
        # Durations have one unit.
        (
            {"evaluation": {"every": {"updates": 1}}},
            {"evaluation": {"every": {"seconds": 2}}},
            {"evaluation": {"every": {"seconds": 2}}},
        ),
        (
            {"evaluation": {"every": {"updates": 1}}},
            {"evaluation": {"every": 2}},
            {"evaluation": {"every": 2}},
        ),
        # Null.
        (
            {"trainer": {"clip_norm": 1, "total_frames": 2}},
            {"trainer": {"clip_norm": None}},
            {"trainer": {"total_frames": 2}},
        ),
        ({"trainer": {"clip_norm": None}}, {"trainer": {"clip_norm": 1}}, {"trainer": {"clip_norm": 1}}),
        ({"optimizer": ADAM}, {"optimizer": None}, {}),
        (
            {},
            {"env": {"kwargs": {"x": None}}, "hooks": [{"name": "h", "key": None}]},
            {"env": {"kwargs": {}}, "hooks": [{"name": "h"}]},
        ),
        # Components that do not exist still keep to their names.
        (
            {"exploration": {"name": "a", "x": {"name": "b", "y": 1}}},
            {"exploration": {"x": {"name": "c"}}},
            {"exploration": {"name": "a", "x": {"name": "c"}}},
        ),
    ],
)
def test_two_layers(low: dict[str, Any], high: dict[str, Any], result: dict[str, Any]) -> None:
    assert merged(low, high) == result


DEFAULTS = {
    "optimizer": ADAM,
    "trainer": {"clip_norm": 5},
    "networks": {"policy": {"name": "mlp", "num_cells": [1]}},
}


@pytest.mark.parametrize(
    ("layers", "changed"),
    [
        ([{"optimizer": "sgd"}, {"optimizer": None}], {"optimizer": ADAM}),
        (
            [{"networks": {"policy": {"num_cells": [2]}}}, {"networks": {"policy": None}}],
            {"networks": DEFAULTS["networks"]},
        ),
        # What has a default of its own gets that, for null has to mean "none" somewhere.
        ([{"trainer": {"clip_norm": None}}], {"trainer": {}}),
        ([{"optimizer": {"name": "sgd"}}, {"optimizer": {"lr": None}}], {"optimizer": {"name": "sgd"}}),
    ],
)
def test_null_restores_what_the_algorithm_says(layers: list[dict[str, Any]], changed: dict[str, Any]) -> None:
    assert merged(*layers, defaults=DEFAULTS) == {**DEFAULTS, **changed}


def test_layers_merge_from_the_lowest() -> None:
    found = merged({"optimizer": "sgd"}, {"optimizer": {"name": "adam", "lr": 7}}, defaults=DEFAULTS)
    assert found["optimizer"] == {"name": "adam", "lr": 7}


def changed(data: dict[str, Any], *options: str) -> Any:
    layers = [unmarked(data)]
    for text in options:
        layer, problems = override(text)
        assert problems == []
        assert layer is not None
        layers.append(layer)
    root, problems = merge(layers)
    return problems or root.data()


@pytest.mark.parametrize(
    ("option", "result"),
    [
        ("hooks.0.key=[a, b]", {"hooks": [{"name": "log_scalar", "key": ["a", "b"]}, "csv"]}),
        ("hooks.1.key=1", {"hooks": [{"name": "log_scalar", "key": 1}, {"name": "csv", "key": 1}]}),
        ("hooks.0=nan_guard", {"hooks": [{"name": "nan_guard"}, "csv"]}),
        ("hooks=[x]", {"hooks": ["x"]}),
        ("seed=", {"hooks": [{"name": "log_scalar", "key": 1}, "csv"]}),
        (
            "env.kwargs={a: 1}",
            {"hooks": [{"name": "log_scalar", "key": 1}, "csv"], "env": {"kwargs": {"a": 1}}},
        ),
    ],
)
def test_options_of_the_command_line(option: str, result: dict[str, Any]) -> None:
    assert changed({"hooks": [{"name": "log_scalar", "key": 1}, "csv"]}, option) == result


@pytest.mark.parametrize(("option", "column"), [("hooks.2.key=1", 7), ("hooks.x=1", 7), ("loggers.0=a", 9)])
def test_indexes_that_a_list_does_not_have(option: str, column: int) -> None:
    (problem,) = changed({"hooks": ["a", "b"], "loggers": []}, option)
    assert (problem.code, problem.place.column, problem.place.option) == ("E102", column, True)
    assert "in a list of" in problem.problem.message


@pytest.mark.parametrize(
    ("option", "code", "message"),
    [
        ("seed", "E102", "no '=' in the option"),
        ("=1", "E102", "expected a dotted key"),
        ("a..b=1", "E102", "expected a dotted key"),
        (" a=1", "E102", "expected a dotted key"),
        ("a=[1", "E105", "cannot be read as YAML"),
        ("a=.inf", "E102", "expected a finite number"),
        ("a=!x 1", "E105", "the tag !x is not allowed"),
        ("a={b: 1, b: 2}", "E104", "given twice"),
        ("a." * 30 + "b=1", "E102", "more than 20 levels"),
    ],
)
def test_malformed_options_are_pointed_at(option: str, code: str, message: str) -> None:
    _, (problem,) = override(option)
    assert (problem.code, problem.data()["line"]) == (code, None)
    assert message in problem.problem.message
    assert problem.place.source == option
    assert "^" in problem.text()
