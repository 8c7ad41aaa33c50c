"""Whatever the bounds of a Box are, every action that an environment is given lies inside of them."""

from typing import Any

import gymnasium
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlrecipe.interfaces import Distribution
from rlrecipe.recipe.slots import Slot

SPACE = gymnasium.spaces.Box(np.float32(-3.63), np.float32(0.17), (1,), np.float32)
#: Stored actions: the ends of the range, what lies near them, and what only a normal draws.
STORED = [-1.0, np.nextafter(-1.0, 0.0), -0.5, 0.0, 1 / 3, np.nextafter(1.0, 0.0), 1.0, 40.0, -3e38]
DISTRIBUTIONS = [
    {"name": "normal"},
    {"name": "tanh"},
    {"name": "tanh_normal"},
    {"name": "tanh_normal", "state_dependent": True},
]


def make(options: dict[str, Any], space: gymnasium.spaces.Box) -> Distribution:
    chosen = Slot("distribution").read(options)
    made: Distribution = chosen.component.build(chosen, space)
    return made


@st.composite
def boxes(draw: st.DrawFn) -> gymnasium.spaces.Box:
    """Bounded spaces of any width in each of numpy's floats."""
    kind: Any = draw(st.sampled_from([np.float16, np.float32, np.float64]))
    width: Any = np.finfo(kind).bits
    number = st.floats(width=width, allow_nan=False, allow_infinity=False)
    # No minus zero: numpy draws nothing between 0.0 and -0.0.
    low, high = sorted(x + 0.0 for x in draw(st.tuples(number, number)))
    return gymnasium.spaces.Box(np.array([low], kind), np.array([high], kind), dtype=kind)


@given(boxes(), st.sampled_from(DISTRIBUTIONS), st.sampled_from([np.float32, np.float64]))
@settings(max_examples=300, deadline=None)
def test_every_action_is_contained(space: gymnasium.spaces.Box, options: dict[str, Any], kind: Any) -> None:
    distribution = make(options, space)
    bounded = options["name"] == "tanh" or options.get("state_dependent", False)
    stored = np.array([x for x in STORED if abs(x) <= 1 or not bounded]).astype(kind)[:, None]
    drawn = distribution.random(np.random.default_rng(0), 20)
    for actions in (distribution.to_env(stored), distribution.to_env(drawn)):
        assert all(space.contains(action) for action in actions), (space, actions)


@pytest.mark.parametrize("options", DISTRIBUTIONS[1:], ids=lambda options: "-".join(map(str, options.values())))
def test_the_ends_of_the_range_are_the_bounds(options: dict[str, Any]) -> None:
    """The best action may be the bound itself: it must not be lost by staying clear of it."""
    ends = np.array([[-1.0], [1.0]], np.float32)
    if not options.get("state_dependent") and options["name"] == "tanh_normal":
        ends = np.array([[-40.0], [40.0]], np.float32)
    low, high = make(options, SPACE).to_env(ends)[:, 0]
    assert low == pytest.approx(-3.63, abs=1e-6)
    assert high == pytest.approx(0.17, abs=1e-6)


def test_bounds_further_apart_than_the_largest_number_are_reached() -> None:
    space = gymnasium.spaces.Box(np.float32(-3e38), np.float32(3e38), (1,), np.float32)
    taken = make({"name": "tanh"}, space).to_env(np.array([[-1.0], [0.0], [1.0]], np.float32))
    assert taken[:, 0].tolist() == [space.low[0], 0.0, space.high[0]]


def test_actions_without_bounds_keep_their_values() -> None:
    space = gymnasium.spaces.Box(-np.inf, np.inf, (1,), np.float32)
    assert make({"name": "normal"}, space).to_env(np.array([[1e30]], np.float32)).tolist() == [[np.float32(1e30)]]
