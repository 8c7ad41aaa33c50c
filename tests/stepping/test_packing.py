"""Rows of numbers with their pictures as bytes."""

from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from rlrecipe.stepping.observations import Rows, packing_of
from tests.parts import IMAGE, PARTS

ODD = spaces.Box(0, 255, (3, 3), np.uint8)
SPACES = {
    "a choice, a picture, numbers": PARTS,
    "an odd number of bytes first": spaces.Tuple([ODD, spaces.Discrete(3)]),
    "two pictures": spaces.Dict({"left": ODD, "right": IMAGE}),
    "numbers between pictures": spaces.Tuple([IMAGE, spaces.Box(-np.inf, np.inf, (2,), np.float32), ODD]),
}


@pytest.mark.parametrize("name", SPACES)
def test_a_row_is_the_same_before_and_after(name: str) -> None:
    space: Any = SPACES[name]
    space.seed(0)
    rows = np.stack([Rows(space).row(space.sample()) for _ in range(6)]).reshape(2, 3, -1)
    packing = packing_of(Rows(space))
    assert packing is not None
    packed = np.full((2, 3, packing.size), 7, np.uint8)
    packing.pack(rows, packed)
    back = packing.unpack(packed)
    assert back.dtype == np.float32
    assert back.tobytes() == rows.tobytes()
    pictures = sum(int(np.prod(part.shape)) for part in Rows(space).parts.values() if part in (ODD, IMAGE))
    assert 0 <= packing.size - (pictures + 4 * (rows.shape[-1] - pictures)) < 4
    # What fills a row up is the same in every run.
    assert (packed[..., pictures + 4 * packing.numbers :] == 0).all()


def test_numbers_that_no_arithmetic_leaves_alone_are_kept() -> None:
    packing = packing_of(Rows(spaces.Tuple([ODD, spaces.Box(-np.inf, np.inf, (3,), np.float32)])))
    assert packing is not None
    row = np.concatenate([np.arange(9), [np.nan, np.inf, -0.0]]).astype(np.float32)[None]
    packed = np.empty((1, packing.size), np.uint8)
    packing.pack(row, packed)
    assert packing.unpack(packed).tobytes() == row.tobytes()


@pytest.mark.parametrize("value", [0.5, -1.0, 256.0, np.nan])
def test_pictures_of_other_numbers_are_told(value: float) -> None:
    packing = packing_of(Rows(spaces.Tuple([ODD, spaces.Discrete(3)])))
    assert packing is not None
    row = np.zeros((1, packing.width), np.float32)
    assert packing.holds(row)
    # A number beside them may be anything.
    row[0, 9] = value
    assert packing.holds(row)
    row[0, 4] = value
    assert not packing.holds(row)


@pytest.mark.parametrize(
    "space", [IMAGE, Rows(spaces.Discrete(4)), Rows(spaces.Tuple([spaces.Box(0, 255, (9,), np.uint8)]))], ids=str
)
def test_what_has_no_picture_beside_others_stays_as_it_is(space: Any) -> None:
    assert packing_of(space) is None
