import math

import pytest

from rlrecipe.recipe.registry import find, search
from rlrecipe.recipe.values import Duration


@pytest.mark.parametrize(("name", "middle"), [("linear", 1.25), ("cosine", 1.25), ("exponential", 1.0)])
def test_values_along_the_run(name: str, middle: float) -> None:
    component = find("schedule", name)
    value = component.build(component.options.model_validate({"start": 2.0, "end": 0.5}))
    assert (value(0.0), value(1.0)) == (2.0, 0.5)
    assert value(0.5) == pytest.approx(middle)


def test_a_cosine_is_slow_at_its_ends() -> None:
    component = find("schedule", "cosine")
    value = component.build(component.options())
    assert value(0.25) == pytest.approx(0.5 * (1 + math.sqrt(0.5)))


@pytest.mark.parametrize("component", search("schedule"), ids=lambda one: one.name)
def test_each_goes_one_way_and_reaches_the_whole_run_by_default(component: object) -> None:
    options = component.options()  # type: ignore[attr-defined]
    value = component.build(options)  # type: ignore[attr-defined]
    values = [value(step / 20) for step in range(21)]
    assert values == sorted(values, reverse=True)
    assert (options.start, options.until) == (1.0, Duration(1))
