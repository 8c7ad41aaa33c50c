import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlrecipe.recipe import registry
from rlrecipe.recipe.dump import data, dump
from rlrecipe.recipe.load import load
from rlrecipe.recipe.options import Options, option
from rlrecipe.recipe.template import template
from rlrecipe.recipe.traits import AlgorithmTraits

duration = (
    st.integers(1, 10**9)
    | st.floats(0.1, 1e9)
    | st.builds(
        lambda unit, n: {unit: n},
        st.sampled_from(["frames", "updates", "episodes", "seconds"]),
        st.integers(1, 10**6),
    )
)
number = st.floats(0, 1, allow_subnormal=False)
schedule = st.builds(
    lambda name, start, until: {
        "name": name,
        "start": start,
        **({"until": until} if until is not None else {}),
    },
    st.sampled_from(["linear", "cosine"]),
    st.floats(0, 10),
    st.none() | number.filter(bool) | duration,
)
text = st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn"]), min_size=1, max_size=12)
name = text.filter(lambda t: not set(":$~") & set(t))
# Arguments of environments that nobody consented to hold no texts.
plain = st.recursive(
    st.booleans() | st.integers(-100, 100) | st.floats(-1e3, 1e3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(text, inner, max_size=2),
    max_leaves=5,
)
recipes = st.fixed_dictionaries(
    {
        "env": st.fixed_dictionaries({"env_name": name}, optional={"kwargs": st.dictionaries(text, plain, max_size=3)}),
        "algorithm": st.fixed_dictionaries(
            {"name": st.just("ppo")},
            optional={"gamma": number, "clip_epsilon": number | schedule, "target_kl": st.none() | st.floats(0.1, 1)},
        ),
        "trainer": st.fixed_dictionaries(
            {"total_frames": st.integers(1, 2**53)},
            optional={"clip_norm": st.none() | st.floats(0.1, 9), "log_interval": duration, "time_limit": duration},
        ),
    },
    optional={
        "optimizer": st.sampled_from(["sgd", "adam", {"lr": 1e-5}, {"groups": {"value": {"lr": 1e-3}}}, None])
        | st.builds(lambda s: {"schedule": s}, schedule),
        "evaluation": st.builds(lambda d: {"every": d}, duration),
        "networks": st.sampled_from([{"policy": {"num_cells": []}}, {"value": {"layer_norm": True}}, None]),
        "seed": st.integers(0, 2**53),
        "loggers": st.sampled_from([[], ["csv"]])
        | st.dictionaries(text, text, max_size=3).map(lambda tags: [{"name": "mlflow", "tags": tags}]),
    },
)  # fmt: skip


@given(recipes)
def test_a_dumped_recipe_loads_to_an_equal_one(tmp_path_factory: Any, recipe: dict[str, Any]) -> None:
    first = load(recipe).recipe
    file = Path(str(tmp_path_factory.getbasetemp())) / "round.yaml"
    file.write_text(dump(first), encoding="utf-8")
    assert load(file).recipe == first
    assert load(json.loads(json.dumps(data(first)))).recipe == first


class Shaped(Options):
    """Has what YAML cannot write."""

    shape: tuple[int, tuple[float, ...]] = option((1, (0.5,)), "A tuple of tuples.")
    extra: dict[str, float] = option({}, "A mapping that an algorithm's defaults may fill.")


@pytest.mark.usefixtures("own_registry")
def test_tuples_and_taken_away_defaults_survive() -> None:
    defaults = {
        "optimizer": {"name": "shaped", "extra": {"a": 1, "b": 2}},
        "collector": {"name": "sync", "frames_per_batch": 8},
        "trainer": {"clip_norm": 0.5},
    }

    @registry.register("optimizer", "shaped")
    def make_optimizer(options: Shaped) -> Any: ...

    traits = AlgorithmTraits(slots=(), heads=lambda distribution, options, spaces: {}, acts_in={}, defaults=defaults)

    @registry.register("algorithm", "tried", traits=traits)
    def make(options: Shaped) -> Any: ...

    changes = {
        "trainer": {"total_frames": 8, "clip_norm": None},
        "optimizer": {"extra": {"a": None, "c": 3}, "shape": [2, [1, 2]]},
    }
    recipe = load({"env": "A", "algorithm": "tried", **changes}).recipe
    assert recipe.trainer.clip_norm is None
    options: Any = recipe.optimizer
    assert (options.extra, options.shape) == ({"b": 2, "c": 3}, (2, (1, 2)))
    assert load(data(recipe)).recipe == recipe
    assert data(recipe)["optimizer"]["shape"] == [2, [1.0, 2.0]]


def test_a_dump_names_every_option() -> None:
    recipe = load({"env": "CartPole-v1", "algorithm": "ppo", "trainer": {"total_frames": 1}}).recipe
    found = data(recipe)
    assert set(found) == set(type(recipe).model_fields)
    assert {"name", *type(recipe.algorithm).model_fields} == set(found["algorithm"])
    assert found["checkpoint"]["every"] == 100_000


def test_the_template_loads_to_the_defaults(tmp_path: Path) -> None:
    file = tmp_path / "new.yaml"
    plainly = {"env": "Pendulum-v1", "algorithm": "ppo", "trainer": {"total_frames": 100_000}}
    file.write_text(template(plainly), encoding="utf-8")
    assert load(file).recipe == load(plainly).recipe


def test_every_option_of_the_template_is_explained() -> None:
    plainly = {"env": "CartPole-v1", "algorithm": "ppo", "trainer": {"total_frames": 100_000}}
    for line in template(plainly).split("\n"):
        assert not line or "#" in line or line in ("  policy:", "  value:"), line
