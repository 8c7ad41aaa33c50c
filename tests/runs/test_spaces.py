import gymnasium
import numpy as np
import pytest

from rlrecipe.runs.spaces import space_from_json, space_to_json


@pytest.mark.parametrize(
    "space",
    [
        gymnasium.spaces.Discrete(3, start=-1),
        gymnasium.spaces.Box(-np.inf, np.inf, (2, 3), np.float64),
        gymnasium.spaces.Box(np.array([-1.5, 0.1], np.float32), np.array([1.0, np.inf], np.float32)),
        gymnasium.spaces.Box(0, 255, (4, 4, 3), np.uint8),
    ],
    ids=str,
)
def test_spaces_as_json(space: gymnasium.Space[object]) -> None:
    assert space_from_json(space_to_json(space)) == space


def test_other_spaces_are_refused() -> None:
    with pytest.raises(TypeError, match="arrays and choices"):
        space_to_json(gymnasium.spaces.Text(5))
