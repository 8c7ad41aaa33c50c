from functools import partial
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

from rlrecipe.collectors.sync import SyncCollector, SyncOptions
from rlrecipe.interfaces import Transform
from rlrecipe.recipe.slots import Slot
from rlrecipe.stepping.vector import Vector
from tests import small
from tests.envs.counting import Counting, Ends

BOX = gymnasium.spaces.Box(-np.inf, np.inf, (1,), np.float32)
BOTH = (2, True, True)
TERMINATED = (3, True, False)
TRUNCATED = (4, False, True)


class One:
    """Acts on one number; this test's policy has no network."""

    packing = None

    def __init__(self) -> None:
        self.acted: list[float] = []

    def act(self, observation: np.ndarray, noise: np.ndarray | None) -> np.ndarray:
        self.acted += observation[:, 0].tolist()
        return (observation[:, 0] % 2).astype(np.int64)

    def shape(self, observation: tuple[int, ...]) -> tuple[int, ...]:
        return observation

    def begin(self, observation: np.ndarray) -> np.ndarray:
        return observation

    def recall(
        self, row: np.ndarray, following: np.ndarray, final: np.ndarray, done: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        return following, final

    def noise(self, rng: np.random.Generator, rows: int) -> np.ndarray:
        return np.zeros(rows)

    def to_env(self, action: np.ndarray) -> np.ndarray:
        return action


def collector(*ends: Ends, frames: int, transforms: list[Transform] | None = None, start: int = 0) -> SyncCollector:
    envs = Vector([partial(Counting, one) for one in ends], int)
    acting: Any = One()
    return SyncCollector(
        envs, acting, transforms or [], SyncOptions(frames_per_batch=frames), np.random.default_rng(0), lambda: start
    )


def transform(name: str, envs: int, **options: Any) -> Transform:
    chosen = Slot("transform").read({"name": name, **options})
    made: Transform = chosen.component.build(chosen, BOX, envs, 0.9)
    return made


def columns(batch: Any) -> dict[str, list[Any]]:
    return {
        "observation": batch["observation"][..., 0].T.tolist(),
        "next": batch["next", "observation"][..., 0].T.tolist(),
        **{key: batch["next", key].T.tolist() for key in ("reward", "terminated", "truncated", "done")},
    }


def test_a_batch_over_two_episodes() -> None:
    batch = columns(collector([TERMINATED, TRUNCATED], frames=8).collect())
    # An ended episode is followed at once by the next one's first observation: no frame is lost.
    assert batch["observation"] == [[0, 1, 2, 100, 101, 102, 103, 200]]
    # Its true last observation stands in "next", not the reset's.
    assert batch["next"] == [[1, 2, 3, 101, 102, 103, 104, 201]]
    assert batch["reward"] == [[1, 2, 3, 1, 2, 3, 4, 1]]
    assert np.flatnonzero(batch["terminated"]).tolist() == [2]
    assert np.flatnonzero(batch["truncated"]).tolist() == [6]
    assert np.flatnonzero(batch["done"]).tolist() == [2, 6]


def test_both_flags_mean_terminated() -> None:
    batch = columns(collector([BOTH], frames=4).collect())
    assert batch["terminated"] == [[False, True, False, True]]
    assert batch["truncated"] == [[False] * 4]
    assert batch["done"] == [[False, True, False, True]]
    assert batch["next"] == [[1, 2, 101, 102]]


def test_environments_end_on_their_own() -> None:
    batch = columns(collector([TERMINATED], [BOTH], frames=8).collect())
    assert batch["observation"] == [[0, 1, 2, 100], [0, 1, 100, 101]]
    assert batch["next"] == [[1, 2, 3, 101], [1, 2, 101, 102]]


def test_batches_go_on_where_the_last_one_ended() -> None:
    collecting = collector([TERMINATED], frames=2)
    seen = [columns(collecting.collect())["observation"][0] for _ in range(3)]
    assert seen == [[0, 1], [2, 100], [101, 102]]


def test_the_policy_acts_on_what_is_stored() -> None:
    collecting = collector([TERMINATED], frames=5)
    acting: Any = collecting.policy
    acting.acted.clear()
    batch = collecting.collect()
    assert acting.acted == batch["observation"].flatten().tolist()
    assert batch["action"].flatten().tolist() == [0, 1, 0, 0, 1]


def test_a_batch_is_the_collectors_own_memory() -> None:
    collecting = collector([TERMINATED], frames=3)
    batch = collecting.collect()
    assert batch["observation"].data_ptr() == collecting.arrays["observation"].ctypes.data
    assert batch["next", "reward"].data_ptr() == collecting.arrays["reward"].ctypes.data
    again = collecting.collect()
    assert again["observation"].data_ptr() == batch["observation"].data_ptr()
    assert torch.equal(batch["observation"], again["observation"])


def test_shapes_and_types_are_torchrls() -> None:
    batch = collector([TERMINATED], [TERMINATED], frames=6).collect()
    assert {key: (tuple(tensor.shape), tensor.dtype) for key, tensor in batch.items()} == {
        "observation": ((3, 2, 1), torch.float32),
        "action": ((3, 2), torch.int64),
        ("next", "observation"): ((3, 2, 1), torch.float32),
        ("next", "reward"): ((3, 2), torch.float32),
        ("next", "terminated"): ((3, 2), torch.bool),
        ("next", "truncated"): ((3, 2), torch.bool),
        ("next", "done"): ((3, 2), torch.bool),
    }


def test_episodes_have_frames_return_and_length() -> None:
    collecting = collector([TERMINATED, TRUNCATED], [BOTH], frames=16, start=1000)
    collecting.collect()
    # A frame is one environment's step: two pass at each vector step.
    assert collecting.episodes.take() == [
        (1004, 3.0, 2), (1006, 6.0, 3), (1008, 3.0, 2), (1012, 3.0, 2), (1014, 10.0, 4), (1016, 3.0, 2)
    ]  # fmt: skip
    assert collecting.episodes.take() == []


def test_returns_are_raw_while_rewards_are_normalised() -> None:
    collecting = collector([TERMINATED], frames=6, transforms=[transform("reward_norm", 1)])
    reward = collecting.collect()["next", "reward"]
    assert [value for _, value, _ in collecting.episodes.take()] == [6.0, 6.0]
    assert reward[:, 0].tolist() != [1, 2, 3, 1, 2, 3]


def test_observations_are_normalised_final_ones_included() -> None:
    norm: Any = transform("observation_norm", 1)
    collecting = collector([TRUNCATED], frames=4, transforms=[norm])
    batch = collecting.collect()
    # Counted: the first of both episodes and steps 1 to 3; the last observation, 4, is not.
    assert norm.moments.count == 5
    assert norm.moments.mean[0] == pytest.approx((0 + 1 + 2 + 3 + 100) / 5)
    final = batch["next", "observation"][3, 0]
    np.testing.assert_allclose(final, norm.apply(np.array([[4.0]]))[0], rtol=1e-6)


def test_a_collector_goes_on_in_the_middle_of_an_episode() -> None:
    built, other = small.build(small.PENDULUM), small.build(small.PENDULUM)
    for assembly in (built, other):
        assembly.trainer.collector.collect()
    other.trainer.collector.collect()
    other.trainer.load_state_dict(built.trainer.state_dict())
    expected = {k: v.clone() for k, v in built.trainer.collector.collect().items()}
    actual = other.trainer.collector.collect()
    assert all(torch.equal(expected[key], actual[key]) for key in expected)


class Marking:
    """Turns the policy's actions into ones of its own, and keeps what it is told."""

    def __init__(self) -> None:
        self.ended: list[list[bool]] = []

    def __call__(self, action: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return action + 20

    def reset(self, done: np.ndarray) -> None:
        self.ended.append(done.tolist())


class Sevens(One):
    """Whose random actions can be told from its own."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[list[int]] = []

    def random(self, rng: np.random.Generator, rows: int) -> np.ndarray:
        return np.full(rows, 7)

    def to_env(self, action: np.ndarray) -> np.ndarray:
        self.taken.append(action.tolist())
        return action


def test_first_random_actions_then_explored_ones() -> None:
    envs = Vector([partial(Counting, one) for one in ([TERMINATED], [BOTH])], int)
    frames, acting, marking = [0], Sevens(), Marking()
    given: Any = (acting, marking)
    options = SyncOptions(frames_per_batch=6, init_random_frames=8)
    collecting = SyncCollector(
        envs, given[0], [], options, np.random.default_rng(0), lambda: frames[0], exploration=given[1]
    )
    actions = []
    for frames[0] in (0, 6):
        actions += collecting.collect()["action"].tolist()
    assert actions[:4] == [[7, 7]] * 4
    assert (np.array(actions[4:]) >= 20).all()
    assert acting.taken == actions
    assert marking.ended == [[False, True], [True, False], [False, True], [True, True]]
    collecting.restart()
    assert marking.ended[4:] == [[True, True]]
