from typing import Any

import numpy as np
import pytest

from rlrecipe.builders import (
    make_collector_offpolicy,
    make_collector_onpolicy,
    make_loss,
    parallel_env_constructor,
    sync_async_collector,
    sync_sync_collector,
    transformed_env_constructor,
)
from rlrecipe.collectors.multi_sync import MultiSync
from rlrecipe.recipe.errors import RecipeError
from rlrecipe.recipe.slots import Slot

PENDULUM = {"env_name": "Pendulum-v1", "num_envs": 2, "kwargs": {"g": 5.0}}


def test_parallel_environments_step_as_one_by_one_in_processes_of_their_own() -> None:
    env = parallel_env_constructor(PENDULUM, num_workers=3, frame_skip=2)()
    assert env.num_envs == 3
    processes = [process.pid for process in env.processes]
    assert len(set(processes)) == 3
    alone = transformed_env_constructor(PENDULUM, frame_skip=2)()
    first, _ = env.reset(seed=[7, 8, 9])
    np.testing.assert_array_equal(first[1], alone.reset(seed=8)[0])
    for _ in range(3):
        seen, reward, *_ = env.step(np.full((3, 1), 0.5, np.float32))
        other, gained, *_ = alone.step(np.full(1, 0.5, np.float32))
        np.testing.assert_array_equal(seen[1], other)
        assert reward[1] == gained
    env.close()


def test_an_ended_episode_is_followed_by_the_next_in_the_same_step() -> None:
    env = parallel_env_constructor("CartPole-v1", num_workers=1)()
    env.reset(seed=0)
    for _ in range(100):
        seen, _, terminated, _, info = env.step(np.array([1]))
        if terminated[0]:
            break
    assert abs(seen[0]).max() <= 0.05
    assert abs(info["final_obs"][0]).max() > 0.2
    env.close()


def test_as_many_processes_as_the_section_has_environments() -> None:
    assert parallel_env_constructor(PENDULUM).num_workers == 2
    with pytest.raises(ValueError, match="num_workers is 0; environments need at least one process"):
        parallel_env_constructor(PENDULUM, num_workers=0)
    with pytest.raises(RecipeError, match="num_worker"):
        parallel_env_constructor(PENDULUM, num_worker=2)


def test_a_sync_sync_collectors_batch_is_that_of_one_process() -> None:
    policy = make_loss("ppo", env=PENDULUM).policy
    constructor = transformed_env_constructor(PENDULUM)
    for off_policy, make in ((False, make_collector_onpolicy), (True, make_collector_offpolicy)):
        one: Any = sync_sync_collector(
            constructor, policy, {"num_workers": 2}, off_policy=off_policy, frames_per_batch=8
        )
        other = make(PENDULUM, policy, frames_per_batch=8)
        batch, expected = one.collect(), other.collect()
        assert len(one.workers) == 2
        assert batch.keys() == expected.keys()
        for key, value in batch.items():
            np.testing.assert_allclose(value, expected[key], rtol=1e-4, atol=1e-5)
        one.close()
        other.close()


def test_a_sync_async_collector_takes_the_batch_of_one_process() -> None:
    policy = make_loss("sac", env="Pendulum-v1").policy
    collector: Any = sync_async_collector(PENDULUM, policy, num_workers=2, frames_per_batch=8, init_random_frames=8)
    assert collector.raw
    assert [collector.collect()["action"].shape for _ in range(3)] == [(8, 1, 1)] * 3
    assert len(collector.workers) == 2
    collector.close()


@pytest.mark.parametrize("given", ["multi_sync", {"name": "multi_sync"}, Slot("collector").read("multi_sync"), {}])
def test_a_sync_sync_collector_may_be_named(given: Any) -> None:
    policy = make_loss("ppo", env=PENDULUM).policy
    collector = sync_sync_collector(PENDULUM, policy, given, frames_per_batch=8)
    assert isinstance(collector, MultiSync)
    collector.close()


def test_what_does_not_fit_is_refused() -> None:
    policy = make_loss("ppo", env=PENDULUM).policy
    for given in ("sync", {"name": "sync"}):
        with pytest.raises(RecipeError, match="expected the collector multi_sync, which this function makes, got 'sy"):
            sync_sync_collector(PENDULUM, policy, given, frames_per_batch=8)
    wrong: Any = 7
    with pytest.raises(RecipeError, match="E102 at collector"):
        sync_async_collector(PENDULUM, policy, wrong)
    with pytest.raises(RecipeError, match="7 frames cannot be shared among 2 environments"):
        sync_sync_collector(PENDULUM, policy, frames_per_batch=7)
    with pytest.raises(RecipeError, match="3 workers cannot share 2 environments"):
        sync_sync_collector(PENDULUM, policy, frames_per_batch=8, num_workers=3)
