"""Wrappers of gymnasium's by name."""

from __future__ import annotations

from typing import Any

import gymnasium
import pytest

from rlrecipe.errors import UnbuildableError
from rlrecipe.transforms.gymnasium_wrapper import REFUSED, wrappers
from tests import small
from tests.envs.pictures import NAME
from tests.transforms.made import made

#: Arguments and environment of those that cannot do without.
NEEDS: dict[str, tuple[str, dict[str, Any]]] = {
    "AddRenderObservation": ("CartPole-v1", {}),
    "AddWhiteNoise": ("CartPole-v1", {"probability_of_noise_per_pixel": 0.1}),
    "ObstructView": ("CartPole-v1", {"obstructed_pixels_ratio": 0.1, "obstruction_width": 20}),
    "AtariPreprocessing": ("ALE/Pong-v5", {"screen_size": 42}),
    "ClipAction": ("Pendulum-v1", {}),
    "DelayObservation": ("CartPole-v1", {"delay": 2}),
    "DiscretizeAction": ("Pendulum-v1", {"bins": 5}),
    "DiscretizeObservation": ("MountainCar-v0", {"bins": 4}),
    "DtypeObservation": ("CartPole-v1", {"dtype": "float64"}),
    "FilterObservation": ("Blackjack-v1", {"filter_keys": [0, 1]}),
    "FlattenObservation": ("FrozenLake-v1", {}),
    "FrameStackObservation": ("CartPole-v1", {"stack_size": 2}),
    "GrayscaleObservation": (NAME, {}),
    "MaxAndSkipObservation": (NAME, {"skip": 2}),
    "RepeatAction": ("CartPole-v1", {"num_repeats": 2}),
    "RescaleAction": ("Pendulum-v1", {"min_action": [-1.0], "max_action": [1.0]}),
    "RescaleObservation": ("MountainCar-v0", {"min_obs": [-1.0, -1.0], "max_obs": [1.0, 1.0]}),
    "ReshapeObservation": (NAME, {"shape": [16, 9]}),
    "ResizeObservation": (NAME, {"shape": [4, 4]}),
    "StickyAction": ("CartPole-v1", {"repeat_action_probability": 0.2}),
    "TimeLimit": ("CartPole-v1", {"max_episode_steps": 5}),
}


@pytest.mark.parametrize("name", sorted(wrappers()))
def test_each_wrapper_wraps(name: str) -> None:
    env_name, kwargs = NEEDS.get(name, ("CartPole-v1", {}))
    rendered = {"render_mode": "rgb_array"} if name in ("AddRenderObservation", "AddWhiteNoise", "ObstructView") else {}
    options = {"frameskip": 1} if env_name.startswith("ALE/") else rendered
    env = made(env_name, {"name": "gymnasium_wrapper", "wrapper": name, "kwargs": kwargs}, kwargs=options)
    assert type(env).__name__ == name
    env.action_space.seed(0)
    first, _ = env.reset(seed=0)
    assert env.observation_space.contains(first)
    assert env.observation_space.contains(env.step(env.action_space.sample())[0])
    env.close()


def test_every_wrapper_of_gymnasiums_is_offered_or_refused() -> None:
    public = {name for name in gymnasium.wrappers.__all__ if name[0].isupper()}
    assert wrappers() | REFUSED.keys() == public


def _wrapper(**options: Any) -> small.Recipe:
    return small.changed(small.CARTPOLE, ("env", "transforms"), [{"name": "gymnasium_wrapper", **options}])


def test_an_unknown_wrapper_is_told_with_the_nearest() -> None:
    ((code, path, message, suggestion),) = small.problems(_wrapper(wrapper="TimeAware"))
    assert (code, path, suggestion) == ("E302", "env.transforms.0.wrapper", "TimeAwareObservation")
    assert message.startswith("gymnasium has no wrapper 'TimeAware'; there are: ")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("TransformReward", "needs a function"),
        ("NormalizeObservation", "use observation_norm"),
        ("ClipReward", "use clip_reward"),
        ("JaxToTorch", "numpy"),
    ],
)
def test_a_refused_wrapper_is_told_with_the_reason(name: str, reason: str) -> None:
    ((code, _, message, _),) = small.problems(_wrapper(wrapper=name))
    assert code == "E302"
    assert reason in message
    with pytest.raises(UnbuildableError, match=reason):
        made("CartPole-v1", {"name": "gymnasium_wrapper", "wrapper": name})


def test_a_wrong_argument_is_told_at_the_transform() -> None:
    ((code, path, message, _),) = small.problems(_wrapper(wrapper="StickyAction", kwargs={"chance": 1}))
    assert (code, path) == ("E301", "env.transforms.0")
    assert "unexpected keyword argument 'chance'" in message
