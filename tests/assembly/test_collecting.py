import numpy as np
import pytest

from rlrecipe.assembly.collecting import columns, stored_action
from rlrecipe.assembly.constructors import options_of
from rlrecipe.assembly.environments import spaces_of
from rlrecipe.assembly.numbers import Numbers
from rlrecipe.builders import (
    make_collector_offpolicy,
    make_collector_onpolicy,
    make_loss,
    make_replay_buffer,
    transformed_env_constructor,
)
from rlrecipe.clock import Clock
from rlrecipe.recipe.values import Duration
from rlrecipe.streams import Stream, Streams
from tests import small

PENDULUM = {"env_name": "Pendulum-v1", "num_envs": 2, "transforms": ["observation_norm"]}
NETWORKS = {"policy": {"name": "mlp", "num_cells": [8]}, "value": {"name": "mlp", "num_cells": [8]}}
LEARNER = make_loss("ppo", env=PENDULUM, networks=NETWORKS)


def test_the_first_batch_is_that_of_a_recipe_with_the_same_seed() -> None:
    env = small.CARTPOLE["env"]
    built = small.build(small.CARTPOLE, "seed=4")
    policy = make_loss("ppo", env=env, networks=NETWORKS, seed=4).policy
    collector = make_collector_onpolicy(env, policy, frames_per_batch=64, streams=Streams(4))
    for _ in range(2):
        one, other = collector.collect(), built.trainer.collector.collect()
        assert one.keys() == other.keys()
        for key, value in one.items():
            np.testing.assert_array_equal(value, other[key])
    collector.close()


def test_on_policy_batches_are_normalised_and_off_policy_ones_raw() -> None:
    shown = make_collector_onpolicy(PENDULUM, LEARNER.policy, frames_per_batch=64).collect()["observation"]
    raw = make_collector_offpolicy(PENDULUM, LEARNER.policy, frames_per_batch=64).collect()["observation"]
    radius = raw[..., 0] ** 2 + raw[..., 1] ** 2
    np.testing.assert_allclose(radius, 1.0, atol=1e-5)
    assert (shown[..., 0] ** 2 + shown[..., 1] ** 2 - 1).abs().max() > 0.1


def test_a_batch_that_nobody_wrote_is_one_that_the_environments_can_share() -> None:
    env = {"env_name": "Pendulum-v1", "num_envs": 3, "transforms": ["observation_norm"]}
    for make in (make_collector_onpolicy, make_collector_offpolicy):
        assert make(env, LEARNER.policy).collect()["observation"].shape[:2] == (683, 3)


def test_actions_are_random_until_the_collector_has_its_frames() -> None:
    collector = make_collector_offpolicy(PENDULUM, LEARNER.policy, frames_per_batch=4, init_random_frames=4)
    even = LEARNER.policy.random(Streams(0).generator(Stream.ACTION), 2)
    np.testing.assert_array_equal(collector.collect()["action"][0], even)
    collector.exploration = _Zeros()  # type: ignore[attr-defined] # a collector in this process has one
    assert not collector.collect()["action"].any()


class _Zeros:
    def __call__(self, action: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return np.zeros_like(action)

    def reset(self, done: np.ndarray) -> None:
        """Nothing to forget."""


def test_exploration_by_its_section() -> None:
    policy = make_loss("ddpg", env="Pendulum-v1").policy
    plain, noisy = (
        make_collector_offpolicy("Pendulum-v1", policy, frames_per_batch=8, exploration=section).collect()["action"]
        for section in (None, {"name": "gaussian", "sigma": 0.5})
    )
    assert not np.array_equal(plain, noisy)


def test_a_schedule_without_a_clock_is_refused() -> None:
    with pytest.raises(ValueError, match="the schedule linear is read on a clock"):
        make_collector_offpolicy("CartPole-v1", LEARNER.policy, frames_per_batch=8, exploration="egreedy")
    with pytest.raises(ValueError, match="the schedule linear is read on a clock"):
        make_replay_buffer("prioritized", beta={"name": "linear", "start": 0.4, "end": 1.0}, env="CartPole-v1")
    numbers = Numbers(Clock(Duration(100)))
    beta = {"name": "linear", "start": 0.4, "end": 1.0}
    make_replay_buffer("prioritized", beta=beta, env="CartPole-v1", numbers=numbers)
    assert [number.value for number in numbers.scheduled] == [0.4]


def test_a_constructor_says_the_environment_too() -> None:
    constructor = transformed_env_constructor(PENDULUM, num_envs=4)
    collector = make_collector_onpolicy(constructor, LEARNER.policy, frames_per_batch=8)
    assert collector.collect()["observation"].shape == (2, 4, 3)
    assert options_of(constructor) is constructor.options


@pytest.mark.parametrize(("algorithm", "env"), [("dqn", "CartPole-v1"), ("sac", "Pendulum-v1")])
def test_without_a_policy_actions_are_stored_as_the_policies_of_this_package_do(algorithm: str, env: str) -> None:
    options = transformed_env_constructor(env).options
    spaces, policy = spaces_of(options), make_loss(algorithm, env=env).policy
    assert columns(spaces, stored_action(spaces)) == columns(spaces, stored_action(spaces, policy))


def test_a_buffer_gives_back_the_rows_that_came_in() -> None:
    collector = make_collector_offpolicy(PENDULUM, LEARNER.policy, frames_per_batch=64)
    storage = {"name": "memory", "max_size": 1000}
    buffer = make_replay_buffer({"name": "uniform", "batch_size": 32, "storage": storage}, env=PENDULUM)
    batch = collector.collect()
    buffer.extend(batch)
    drawn = next(buffer.sample(1))
    seen = {row.tobytes() for row in batch["observation"].numpy().reshape(64, 3)}
    assert len(drawn["observation"]) == 32
    assert {row.tobytes() for row in drawn["observation"].numpy()} <= seen


def test_n_step_rewards_are_summed_and_discounted() -> None:
    collector = make_collector_offpolicy("CartPole-v1", make_loss("dqn", env="CartPole-v1").policy, frames_per_batch=9)
    buffer = make_replay_buffer(batch_size=64, env="CartPole-v1", n_steps=2, gamma=0.5)
    buffer.extend(collector.collect())
    assert set(next(buffer.sample(1))["next", "reward"].tolist()) <= {1.0, 1.5}
