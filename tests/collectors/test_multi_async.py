from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rlrecipe.builders import make_collector_offpolicy, make_loss, sync_async_collector
from tests import small
from tests.collectors import multi

NORMALISED = {
    **small.TD3,
    "env": {"env_name": "Pendulum-v1", "num_envs": 4, "transforms": ["observation_norm", "reward_norm"]},
    "exploration": {"name": "gaussian", "sigma": 0.1},
    "collector": multi.MULTI_ASYNC["collector"],
    "trainer": {**multi.SHORT, "updates_per_frame": 0.15},
}


@pytest.mark.parametrize("recipe", [multi.MULTI_ASYNC, NORMALISED], ids=["dqn", "td3"])
def test_a_run_trains_stops_and_goes_on(recipe: Any, tmp_path: Path) -> None:
    first = small.train(recipe, tmp_path / "run", "trainer.time_limit=100")
    assert first.outcome.code == 75
    assert not multi.open_files()
    result = small.go_on(tmp_path / "run", "trainer.time_limit=null")
    assert result.outcome.code == 0
    assert result.summary["exact"] == "continue"
    assert result.summary["frames"] == 256
    episodes = small.rows(tmp_path / "run", "episodes.jsonl")
    assert [row["frames"] for row in episodes] == sorted(row["frames"] for row in episodes)


def test_batches_are_one_workers_and_every_frame_is_a_new_one() -> None:
    env = {"env_name": "CartPole-v1", "num_envs": 4}
    policy = make_loss("dqn", env=env).policy
    collector: Any = sync_async_collector(env, policy, frames_per_batch=20, num_workers=2, init_random_frames=40)
    follows: dict[bytes, Any] = {}
    ended = []
    for _ in range(8):
        batch = collector.collect()
        assert batch["observation"].shape == (10, 2, 4)
        first = batch["observation"][0].numpy().tobytes()
        # The first rows of a batch go on where the same worker's last batch ended, or are an episode's first.
        if follows:
            starts = np.abs(batch["observation"][0].numpy()).max(-1) <= 0.05
            assert starts.all() or any(_goes_on(first, last) for last in follows.values())
        follows[batch["next", "observation"][-1].numpy().tobytes()] = batch["next", "observation"][-1].numpy()
        ended += collector.episodes.take()
    collector.close()
    frames = [at for at, _, _ in ended]
    assert all(0 < at <= 160 for at in frames)
    # CartPole pays 1 a step.
    assert all(gained == length for _, gained, length in ended)


def _goes_on(first: bytes, last: np.ndarray) -> bool:
    rows = np.frombuffer(first, np.float32).reshape(last.shape)
    return any(np.array_equal(a, b) for a, b in zip(rows, last, strict=True))


def test_workers_go_on_with_weights_of_the_interval() -> None:
    built = small.build(multi.MULTI_ASYNC, "collector.update_weights_interval=2", "collector.num_workers=1")
    collector: Any = built.trainer.collector
    acted = []
    for step in range(6):
        built.trainer.update.parameters.flat.fill_(float(step))
        collector.collect()
        acted.append(float(collector.arrays["weights"][0, 0]))
    collector.close()
    # Sent at the first batch's start and every second batch from then on.
    assert acted == [0.0, 1.0, 1.0, 3.0, 3.0, 5.0]


def test_no_return_reaches_from_one_workers_batch_into_anothers(tmp_path: Path) -> None:
    recipe = small.changed(multi.MULTI_ASYNC, ("algorithm", "n_steps"), 3)
    session = small.open_session(recipe, tmp_path / "run")
    assert session.train().code == 0
    buffer: Any = session.trainer.modules["replay_buffer"]
    ring = buffer.ring
    assert ring.num_envs == 1
    ends = ring.arrays["next", "terminated"] | ring.arrays["next", "truncated"]
    # Batches are 64 steps of one environment.
    assert [bool(ends[(step - 1) % ring.steps, 0]) for step in (128, 192, 256)] == [True] * 3


def test_a_resumed_run_has_other_episodes() -> None:
    one, other = (small.build(multi.MULTI_ASYNC, "collector.num_workers=1").trainer for _ in range(2))
    first = one.collector.collect()["observation"].clone()
    other.load_state_dict(one.state_dict())
    second = other.collector.collect()["observation"]
    assert not np.array_equal(first[0], second[0])
    one.collector.close()
    other.collector.close()


def test_giving_episodes_up_starts_others() -> None:
    collector: Any = small.build(multi.MULTI_ASYNC, "collector.num_workers=1").trainer.collector
    first = collector.collect()["observation"].clone()
    collector.restart()
    assert not multi.open_files()
    assert not np.array_equal(first[0], collector.collect()["observation"][0])
    collector.close()


def test_on_policy_algorithms_are_refused() -> None:
    recipe = {**multi.MULTI_SYNC, "collector": {"name": "multi_async", "num_workers": 3, "frames_per_batch": 96}}
    [(code, path, message, cure)] = small.problems(recipe)
    assert (code, path, cure) == ("E302", "collector.name", "use multi_sync")
    assert message == "ppo takes a batch for the work of the newest weights; those of multi_async are older"


def test_workers_have_as_many_environments_each() -> None:
    recipe = small.changed(multi.MULTI_ASYNC, ("env", "num_envs"), 4)
    [(code, path, message, cure)] = small.problems(recipe, "collector.num_workers=3")
    assert (code, path, cure) == ("E302", "collector.num_workers", "choose one of 1, 2, 4")
    assert "3 workers cannot have as many each of 4 environments" in message
    policy = make_loss("dqn", env=recipe["env"]).policy
    collector: Any = make_collector_offpolicy(recipe["env"], policy, "multi_async", frames_per_batch=8)
    assert 4 % collector.options.num_workers == 0
