"""Every kind of answer that people's environments give."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from rlrecipe.errors import EnvironmentFault
from rlrecipe.stepping.wrappers.checked import Checked, checked, layer_of

BOX = spaces.Box(-10, 10, (2,), np.float32)
GOOD = np.zeros(2, np.float32)
PARTS = spaces.Dict({"near": BOX, "far": spaces.Tuple([spaces.Discrete(3), spaces.MultiBinary(2)])})


class Answering(gymnasium.Env[Any, Any]):
    """Answers what it is told to."""

    action_space = spaces.Discrete(2)

    def __init__(self, space: Any = BOX, observation: Any = GOOD, step: Any = None, info: Any = None) -> None:
        self.observation_space, self.observation = space, observation
        self.answer = step
        self.info = {} if info is None else info

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        return self.observation, self.info

    def step(self, action: Any) -> Any:
        return (self.observation, 1.0, False, False, {}) if self.answer is None else self.answer


def stepped(**answers: Any) -> tuple[Any, Checked]:
    env = Checked(Answering(**answers), "Mine-v0")
    env.reset(seed=0)
    return env.step(0), env


@pytest.mark.parametrize(
    "observation", [GOOD, [0.0, 1.0], (0, 1), np.zeros(2), np.zeros(2, np.int64), np.zeros(2, bool)]
)
def test_numbers_of_the_right_shape_are_taken_and_have_the_spaces_type(observation: Any) -> None:
    (seen, *_), env = stepped(observation=observation)
    assert (seen.dtype, seen.tolist()) == (np.float32, [float(x) for x in observation])
    told = np.asarray(observation).dtype != np.float32
    assert bool(env.hints) == told


@pytest.mark.parametrize(
    "observation", [None, "text", 0.0, np.zeros(3), np.zeros((1, 2)), [0.0, [1.0]], np.zeros(2, complex), {"a": GOOD}]
)
def test_anything_else_is_told_with_what_came(observation: Any) -> None:
    with pytest.raises(EnvironmentFault, match=r"Mine-v0: reset\(\) returned .* as the observation, but .*Box"):
        stepped(observation=observation)


@pytest.mark.parametrize(
    "reward", [1, True, 1.0, np.float32(1), np.int8(1), np.bool_(True), np.array(1.0), np.array([1.0]), [1.0]]
)
def test_a_reward_is_one_number_of_any_type(reward: Any) -> None:
    (_, given, *_), _ = stepped(step=(GOOD, reward, False, False, {}))
    assert float(given) == 1.0
    assert np.asarray(given).shape == ()


def test_a_reward_that_is_not_finite_is_a_number() -> None:
    for reward in (float("nan"), np.float32("inf")):
        (_, given, *_), _ = stepped(step=(GOOD, reward, False, False, {}))
        assert not np.isfinite(given)


@pytest.mark.parametrize("reward", [None, "nan", b"1", 1j, np.zeros(2), [], {}, np.array("1")])
def test_anything_else_is_no_reward(reward: Any) -> None:
    with pytest.raises(EnvironmentFault, match=r"step\(\) returned .* as the reward.* one number"):
        stepped(step=(GOOD, reward, False, False, {}))


@pytest.mark.parametrize("flag", [True, np.True_, 1, np.int64(1), np.array(True), np.array([1])])
def test_a_flag_is_true_or_false(flag: Any) -> None:
    (_, _, terminated, truncated, _), _ = stepped(step=(GOOD, 1.0, flag, 0, {}))
    assert (bool(terminated), bool(truncated)) == (True, False)


@pytest.mark.parametrize("flag", [None, "True", 2, -1, 0.5, np.array([True, False]), {}])
def test_anything_else_is_no_flag(flag: Any) -> None:
    with pytest.raises(EnvironmentFault, match=r"as truncated, but .* true or false"):
        stepped(step=(GOOD, 1.0, False, flag, {}))


@pytest.mark.parametrize("answer", [None, (GOOD, 1.0), (GOOD, 1.0, False, {}), (GOOD, 1.0, False, False, {}, 6), 5])
def test_a_step_has_five_values(answer: Any) -> None:
    with pytest.raises(EnvironmentFault, match=r"step\(\) returned .* 5 values"):
        Checked(Answering(step=answer if answer is not None else 0), "Mine-v0").step(0)


def test_an_info_that_is_no_dict_is_a_hint() -> None:
    (*_, info), env = stepped(step=[GOOD, 1.0, False, False, None])
    assert info == {}
    assert list(env.hints) == ["info is None, but gymnasium's interface says a dict"]


def test_parts_are_looked_at_each() -> None:
    whole = {"near": [0, 1], "far": (np.int64(2), [1, 0])}
    (seen, *_), env = stepped(space=PARTS, observation={**whole, "further": 3})
    assert seen["near"].dtype == np.float32
    assert seen["far"][0] == 2
    assert any("further" in hint for hint in env.hints)
    for wrong, told in (
        ({"near": GOOD}, "a dict without 'far'"),
        ({**whole, "near": np.zeros(3)}, r"shape \(3,\) as the entry near"),
        ({**whole, "far": (3, [1, 0])}, r"\[3\]|3 as the entry far\[0\]"),
        ({**whole, "far": (1,)}, "2 parts"),
        (GOOD, "Dict of"),
    ):
        with pytest.raises(EnvironmentFault, match=told):
            stepped(space=PARTS, observation=wrong)


def test_bytes_are_not_made_of_fractions() -> None:
    picture = spaces.Box(0, 255, (2, 2), np.uint8)
    (seen, *_), _ = stepped(space=picture, observation=np.full((2, 2), 7.0))
    assert (seen.dtype, seen[0, 0]) == (np.uint8, 7)
    with pytest.raises(EnvironmentFault, match=r"float64 numbers from 0\.5 to 0\.5"):
        stepped(space=picture, observation=np.full((2, 2), 0.5))


def test_an_older_reset_that_knows_no_options_is_called_without() -> None:
    class Older(Answering):
        def reset(self, seed: int | None = None) -> Any:  # type: ignore[override]  # that is what older ones are like
            return np.full(2, seed, np.float32), {}

    assert Checked(Older(), "Mine-v0").reset(seed=3, options={})[0].tolist() == [3, 3]


class Left(BaseException):
    """What no library catches."""


def test_what_no_exception_handler_would_catch_is_the_environments() -> None:
    class Leaving(Answering):
        def reset(self, **_: Any) -> Any:
            raise Left("gone")

    with pytest.raises(EnvironmentFault, match=r"Mine-v0: reset\(\) raised Left: gone"):
        Checked(Leaving(), "Mine-v0").reset()


def test_it_stands_below_the_wrappers_that_an_environment_came_with() -> None:
    wrapped = gymnasium.wrappers.TimeLimit(Answering(step=(GOOD, 1.0, False, {})), 5)
    env = checked(wrapped, "Mine-v0")
    layer = layer_of(env)
    assert env is wrapped
    assert layer is not None
    assert layer.base is not None
    assert layer.base() is wrapped
    env.reset()
    # The wrapper would say that there are not enough values to unpack.
    with pytest.raises(EnvironmentFault, match="a tuple of 4"):
        env.step(0)


def test_what_layers_above_may_keep_is_copied() -> None:
    same = np.zeros(2, np.float32)
    stacked = gymnasium.wrappers.FrameStackObservation(checked(Answering(observation=same), "Mine-v0", copies=True), 2)
    stacked.reset()
    same += 1
    assert stacked.step(0)[0].tolist() == [[0, 0], [1, 1]]


def test_an_environment_without_spaces_is_told_of() -> None:
    with pytest.raises(EnvironmentFault, match="Mine-v0 has no observation_space"):
        Checked(Answering(space=None), "Mine-v0")
