"""Pictures changed: each against numpy, on an environment of random ones."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest

from rlrecipe.errors import UnbuildableError
from rlrecipe.stepping.wrappers.stack_frames import StackFrames
from tests.envs.pictures import NAME
from tests.transforms.made import made


def pair(*transforms: Any, **more: Any) -> tuple[gymnasium.Env[Any, Any], list[np.ndarray], list[np.ndarray]]:
    """The changed environment, what it shows over an episode's start, and what is shown without the transforms."""
    changed, plain = made(NAME, *transforms, **more), made(NAME, **more)
    shown, raw = [changed.reset(seed=4)[0]], [plain.reset(seed=4)[0]]
    for _ in range(5):
        shown.append(changed.step(0)[0])
        raw.append(plain.step(0)[0])
    assert all(changed.observation_space.contains(one) for one in shown)
    return changed, shown, raw


@pytest.mark.parametrize(("name", "count"), [("frame_stack", "size"), ("cat_frames", "N")])
def test_frames_are_stacked_channels_first_oldest_first(name: str, count: str) -> None:
    env, shown, raw = pair({"name": name, count: 3})
    assert env.observation_space == gymnasium.spaces.Box(0, 255, (9, 8, 6), np.uint8)
    first = [one.transpose(2, 0, 1) for one in raw]
    assert np.array_equal(shown[0], np.concatenate([first[0]] * 3))
    assert np.array_equal(shown[1], np.concatenate([first[0], first[0], first[1]]))
    assert np.array_equal(shown[5], np.concatenate(first[3:]))


def test_an_observation_that_was_shown_stays_as_it_was() -> None:
    env = made(NAME, "frame_stack")
    first, _ = env.reset(seed=0)
    kept = first.copy()
    env.step(0)
    assert np.array_equal(first, kept)


def test_a_new_episode_forgets_the_frames_of_the_last() -> None:
    env = made(NAME, {"name": "frame_stack", "size": 2})
    env.reset(seed=0)
    env.step(0)
    shown, _ = env.reset()
    assert np.array_equal(shown[:3], shown[3:])


@pytest.mark.parametrize(
    ("channels", "transforms", "shape"),
    [
        (0, ["frame_stack"], (4, 8, 6)),
        (1, ["frame_stack"], (4, 8, 6)),
        (3, ["to_tensor_image", "frame_stack"], (12, 8, 6)),
        (3, ["grayscale", "frame_stack"], (4, 8, 6)),
        (3, [{"name": "cat_frames", "N": 2, "dim": -1}], (8, 6, 6)),
        (3, [{"name": "cat_frames", "N": 2, "dim": 0}], (16, 6, 3)),
        (3, [{"name": "resize", "size": [4, 5]}], (4, 5, 3)),
        (3, [{"name": "grayscale", "keep_dim": True}], (8, 6, 1)),
        (0, ["to_tensor_image"], (1, 8, 6)),
    ],
)
def test_shapes(channels: int, transforms: list[Any], shape: tuple[int, ...]) -> None:
    env, shown, _ = pair(*transforms, kwargs={"channels": channels})
    assert env.observation_space == gymnasium.spaces.Box(0, 255, shape, np.uint8)
    assert env.observation_space.contains(shown[0])


def test_vectors_lie_end_to_end() -> None:
    env = made("CartPole-v1", {"name": "cat_frames", "N": 2})
    plain = made("CartPole-v1")
    first, second = plain.reset(seed=0)[0], plain.step(1)[0]
    assert np.array_equal(env.reset(seed=0)[0], np.concatenate([first, first]))
    assert np.array_equal(env.step(1)[0], np.concatenate([first, second]))


def test_a_tensor_image_is_the_picture_channels_first() -> None:
    _, shown, raw = pair("to_tensor_image")
    assert np.array_equal(shown[2], raw[2].transpose(2, 0, 1))
    env, scaled, _ = pair({"name": "to_tensor_image", "from_int": True})
    assert env.observation_space.dtype == scaled[2].dtype == np.float32
    np.testing.assert_allclose(scaled[2], raw[2].transpose(2, 0, 1) / 255, rtol=1e-6)


def test_resizing_averages_areas() -> None:
    _, shown, raw = pair({"name": "resize", "size": [4, 3]})
    areas = raw[1].reshape(4, 2, 3, 2, 3).mean((1, 3))
    assert np.abs(shown[1] - areas).max() <= 0.5


def test_doubles_become_floats_in_a_dict_too() -> None:
    env = made("HalfCheetah-v5", {"name": "step_counter", "step_count_key": "count"}, "double_to_float")
    assert isinstance(env.observation_space, gymnasium.spaces.Dict)
    assert env.observation_space["observation"].dtype == np.float32
    assert env.reset(seed=0)[0]["observation"].dtype == np.float32


@pytest.mark.parametrize(
    ("env_name", "transform", "said"),
    [
        ("CartPole-v1", "grayscale", r"bytes \(H, W, 3\)"),
        ("CartPole-v1", "resize", r"bytes \(H, W\)"),
        ("CartPole-v1", "to_tensor_image", "observes nothing to change"),
        ("CartPole-v1", "double_to_float", "observes nothing to change"),
        ("FrozenLake-v1", "frame_stack", r"observes Discrete\(16\)"),
        ("CartPole-v1", {"name": "cat_frames", "N": 2, "dim": 1}, "have no dimension 1"),
    ],
)
def test_what_does_not_fit_is_told_at_its_place(env_name: str, transform: Any, said: str) -> None:
    with pytest.raises(UnbuildableError, match=said) as caught:
        made(env_name, "flatten_observation" if env_name == "CartPole-v1" else {"name": "step_counter"}, transform)
    assert caught.value.path == ("transforms", 1)


def test_frames_can_be_stacked_in_python_alone() -> None:
    env = StackFrames(gymnasium.make("CartPole-v1"), 3)
    assert env.observation_space.shape == (12,)
