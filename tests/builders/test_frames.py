from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlrecipe.builders import correct_for_frame_skip
from rlrecipe.builders.frames import DURATIONS, FRAMES
from rlrecipe.recipe.load import load
from rlrecipe.recipe.options import Options
from rlrecipe.recipe.registry import KINDS, search
from rlrecipe.recipe.schema import Recipe
from rlrecipe.recipe.shape import fields
from tests import small

ATARI: dict[str, Any] = {
    **small.DQN,
    "env": {"env_name": "CartPole-v1", "num_envs": 2, "frame_skip": 4},
    "collector": {"frames_per_batch": 64, "init_random_frames": 80_000},
    "trainer": {"total_frames": 10_000_000, "log_interval": {"frames": 4000}, "updates_per_frame": 0.25},
    "evaluation": {"every": {"updates": 4000}},
    "exploration": {"name": "egreedy", "eps": {"name": "linear", "start": 1, "end": 0.1, "until": 1_000_000}},
}


def test_counts_of_the_environments_frames_become_decisions() -> None:
    recipe = load(correct_for_frame_skip(ATARI)).recipe
    collector: Any = recipe.collector
    assert recipe.trainer.total_frames == 2_500_000
    assert recipe.trainer.log_interval.amount == 1000
    assert (collector.frames_per_batch, collector.init_random_frames) == (16, 20_000)
    eps: Any = recipe.exploration
    assert eps.eps.until.amount == 250_000


def test_what_counts_something_else_stays() -> None:
    corrected = correct_for_frame_skip(ATARI)
    assert corrected["evaluation"] == ATARI["evaluation"]
    assert corrected["replay_buffer"] == ATARI["replay_buffer"]
    assert corrected["trainer"]["updates_per_frame"] == 0.25
    assert correct_for_frame_skip({"until": 0.5, "init_random_frames": 0}, 4) == {"until": 0.5, "init_random_frames": 0}


def test_one_section_alone() -> None:
    given_options = {"frames_per_batch": 2048, "init_random_frames": 3}
    assert correct_for_frame_skip(given_options, 4) == {"frames_per_batch": 512, "init_random_frames": 1}
    assert given_options["frames_per_batch"] == 2048
    unskipped = {"env": "CartPole-v1", "trainer": {"total_frames": 5}}
    assert correct_for_frame_skip(unskipped) == unskipped


@given(st.integers(1, 10**9), st.integers(1, 100))
def test_no_more_frames_of_the_environment_than_were_asked_for(frames: int, skip: int) -> None:
    corrected = correct_for_frame_skip({"total_frames": frames}, skip)["total_frames"]
    assert corrected == 1 or frames - skip < corrected * skip <= frames


@pytest.mark.parametrize("skip", [0, -1, 1.5, True])
def test_a_frame_skip_that_is_none(skip: Any) -> None:
    with pytest.raises(ValueError, match="frame_skip: expected a whole number of at least 1"):
        correct_for_frame_skip({"total_frames": 10}, skip)


def models(model: type[Options]) -> list[type[Options]]:
    inner = [shape.model for shape in fields(model).values() if shape.model is not None]
    return [model, *(each for part in inner for each in models(part))]


def test_every_option_that_counts_frames_is_known() -> None:
    components = [component for kind in KINDS for component in search(kind)]
    durations: set[str] = set()
    others: set[str] = set()
    for model in [*models(Recipe), *(model for component in components for model in models(component.options))]:
        for name, shape in fields(model).items():
            (durations if shape.duration else others).add(name)
    assert durations == DURATIONS
    assert DURATIONS & others <= {"every"}
    # How many are seen at once is no count of a run's.
    assert {name for name in others if "frames" in name} - {"num_frames"} == FRAMES
