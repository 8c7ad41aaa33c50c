import pickle
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

from rlrecipe.builders import get_stats_random_rollout, make_dqn_loss, transformed_env_constructor
from rlrecipe.recipe.errors import RecipeError

NORMALISED = {"env_name": "Pendulum-v1", "transforms": ["observation_norm", {"name": "reward_norm", "phase": "train"}]}


def test_each_call_makes_an_environment() -> None:
    constructor = transformed_env_constructor("CartPole-v1", num_envs=2, kwargs={"sutton_barto_reward": True})
    one, other = constructor(), constructor()
    assert one is not other
    assert constructor.options.num_envs == 2
    one.reset(seed=0)
    assert one.step(0)[1] == 0.0


def test_frame_skip_adds_up_rewards() -> None:
    env = transformed_env_constructor("CartPole-v1", frame_skip=3)()
    env.reset(seed=0)
    assert env.step(0)[1] == 3.0


def test_what_stands_between_environments_and_policy_is_there_too() -> None:
    env, plain = transformed_env_constructor(NORMALISED)(), gymnasium.make("Pendulum-v1")
    np.testing.assert_allclose(env.reset(seed=1)[0], 0.0, atol=0.01, err_msg="the first one is its own mean")
    plain.reset(seed=1)
    for action in ([1.0], [-1.0], [0.5]):
        shown, raw = env.step(np.array(action, np.float32)), plain.step(np.array(action, np.float32))
    assert shown[0].dtype == np.float32
    assert shown[0] in env.observation_space
    assert not np.allclose(shown[0], raw[0])
    assert shown[1] != raw[1]


def test_evaluation_leaves_statistics_and_rewards_alone() -> None:
    env, plain = transformed_env_constructor(NORMALISED, phase="eval")(), gymnasium.make("Pendulum-v1")
    first, raw = env.reset(seed=1)[0], plain.reset(seed=1)[0]
    np.testing.assert_allclose(first, raw, rtol=1e-6)
    action = np.array([1.0], np.float32)
    assert env.step(action)[1] == plain.step(action)[1]


def test_a_constructor_can_be_sent_to_another_process() -> None:
    sent = pickle.loads(pickle.dumps(transformed_env_constructor(NORMALISED, gamma=0.9)))
    one, other = sent(), transformed_env_constructor(NORMALISED, gamma=0.9)()
    for env in (one, other):
        env.reset(seed=3)
    action = np.array([1.0], np.float32)
    np.testing.assert_array_equal(one.step(action)[0], other.step(action)[0])


def test_statistics_are_those_of_the_rollout() -> None:
    stats = get_stats_random_rollout("Pendulum-v1", steps=300)
    assert stats["loc"].shape == stats["scale"].shape == (3,)
    # cos and sin of one angle: their mean squares add up to 1.
    squares = stats["loc"] ** 2 + stats["scale"] ** 2 * 299 / 300
    np.testing.assert_allclose(squares[:2].sum(), 1.0, rtol=1e-6)


def test_statistics_are_the_same_for_the_same_seed() -> None:
    one, again, other = (get_stats_random_rollout("CartPole-v1", steps=50, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one["loc"], again["loc"])
    assert not np.array_equal(one["loc"], other["loc"])


def test_a_number_that_never_changes_is_left_as_it_is() -> None:
    stats = get_stats_random_rollout("CartPole-v1", ("next", "reward"), steps=20)
    assert stats["loc"] == 0.0
    assert stats["scale"] == 1.0


@pytest.mark.parametrize("key", ["action", "observation", ("next", "observation"), ("next", "reward")])
def test_statistics_of_each_key(key: str | tuple[str, ...]) -> None:
    shape = {"action": (1,), ("next", "reward"): ()}.get(key, (3,))
    assert get_stats_random_rollout("Pendulum-v1", key, steps=10)["loc"].shape == shape


def test_statistics_of_a_constructors_environments() -> None:
    options: dict[str, Any] = {"kwargs": {"g": 5.0}, "frame_skip": 2}
    constructor = transformed_env_constructor("Pendulum-v1", **options)
    expected = get_stats_random_rollout("Pendulum-v1", steps=20, **options)
    np.testing.assert_array_equal(get_stats_random_rollout(constructor, steps=20)["loc"], expected["loc"])
    shorter = transformed_env_constructor("Pendulum-v1", kwargs={"g": 5.0})
    np.testing.assert_array_equal(get_stats_random_rollout(shorter, steps=20, frame_skip=2)["scale"], expected["scale"])


def test_a_loss_over_a_constructors_environments() -> None:
    env = {"name": "parts", "observes": "parts"}
    networks: Any = {"qvalue": {"num_cells": [8], "inputs": ["speed"]}}
    one, other = (make_dqn_loss(env=each, networks=networks) for each in (transformed_env_constructor(env), env))
    assert torch.equal(one.parameters.flat, other.parameters.flat)
    with pytest.raises(RecipeError, match="no environment is registered as 'CartPol-v1'"):
        make_dqn_loss(env=transformed_env_constructor("CartPol-v1"))


def test_statistics_that_there_are_not() -> None:
    with pytest.raises(ValueError, match="has no 'pixels'; expected one of 'observation'"):
        get_stats_random_rollout("CartPole-v1", "pixels")
    with pytest.raises(ValueError, match="takes 2 steps or more, got steps=1"):
        get_stats_random_rollout("CartPole-v1", steps=1)
