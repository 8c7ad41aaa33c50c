import json
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from rlrecipe.runs.spaces import space_from_json, space_to_json
from rlrecipe.stepping.observations import Rows, as_rows, dtype_of, entries_of, is_pixels
from tests.parts import IMAGE, PARTS, Parts

NESTED = spaces.Dict(
    {"a": spaces.Tuple([spaces.Discrete(3, start=5), spaces.MultiBinary(2)]), "b": spaces.MultiDiscrete([2, 3])}
)


@pytest.mark.parametrize(
    "space", [PARTS, NESTED, spaces.Discrete(6), spaces.Tuple([IMAGE, spaces.Discrete(2)])], ids=str
)
def test_a_row_holds_every_entry_in_its_columns(space: spaces.Space[Any]) -> None:
    rows = Rows(space)
    space.seed(0)
    observation: Any = space.sample()
    row = rows.row(observation)
    assert row.dtype == np.float32
    assert row.shape == rows.shape
    assert rows.contains(row)
    for (key, entry), part in zip(rows.entries.items(), rows.parts.values(), strict=True):
        one = not isinstance(space, spaces.Dict | spaces.Tuple)
        value: Any = observation if one else observation[int(key) if isinstance(space, spaces.Tuple) else key]
        assert np.array_equal(row[entry.start : entry.stop], np.asarray(spaces.flatten(part, value)))


@pytest.mark.parametrize(
    "space", [Rows(PARTS), Rows(NESTED), Rows(spaces.Discrete(6))], ids=lambda space: str(space.origin)
)
def test_a_space_of_rows_is_written_and_read_back(space: Rows) -> None:
    # As a checkpoint writes it: mappings sorted by key.
    again = space_from_json(json.loads(json.dumps(space_to_json(space), sort_keys=True)))
    assert again == space
    assert again.entries == space.entries


def test_entries_say_what_they_were() -> None:
    entries = entries_of(Rows(PARTS))
    # gymnasium sorts the keys of a mapping's space.
    assert list(entries) == list(PARTS.spaces)
    assert entries["image"].shape == (12, 12, 3)
    assert entries["image"].pixels
    assert entries["direction"].choices == 4
    assert entries["speed"].choices is None
    assert entries_of(IMAGE)["observation"].pixels


def test_arrays_stay_as_they_are() -> None:
    env = Parts("image", "discrete")
    assert as_rows(env) is env
    assert dtype_of(IMAGE) == np.uint8
    assert dtype_of(Rows(PARTS)) == np.float32


@pytest.mark.parametrize(
    "space",
    [spaces.Box(0, 5, (8, 8), np.uint8), spaces.Box(0, 255, (9,), np.uint8), spaces.Box(0, 255, (8, 8), np.float32)],
    ids=["a grid of few values", "a vector", "no bytes"],
)
def test_what_is_no_image_of_bytes(space: spaces.Box) -> None:
    assert not is_pixels(space)


def test_text_is_left_to_the_user() -> None:
    env = Parts("image", "discrete")
    env.observation_space = spaces.Dict({"words": spaces.Text(5)})
    assert as_rows(env) is env
