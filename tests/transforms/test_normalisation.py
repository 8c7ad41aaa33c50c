"""Both normalisations against stable-baselines3's, fed the same episodes."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.wrappers import FlattenObservation
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from rlrecipe.assembly.environments import make_env, make_transforms, spaces_of
from rlrecipe.interfaces import Transform
from rlrecipe.recipe.load import load
from rlrecipe.recipe.slots import Slot
from rlrecipe.stepping.rollout import random_rollout
from rlrecipe.streams import Streams
from rlrecipe.transforms.base import RunningMoments
from tests import small

GAMMA, ENVS, STEPS = 0.97, 3, 200
BOX = gymnasium.spaces.Box(-np.inf, np.inf, (4,), np.float32)


def transform(name: str, **options: Any) -> Any:
    chosen = Slot("transform").read({"name": name, **options})
    made: Transform = chosen.component.build(chosen, BOX, ENVS, GAMMA)
    return made


class Scripted(gymnasium.Env[Any, Any]):
    """Random observations and rewards; episodes end after a random while, in one way or the other."""

    observation_space = BOX
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def _observe(self) -> Any:
        return (5 + 3 * self.rng.standard_normal(4)).astype(np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        return self._observe(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        terminated, truncated = (bool(x) for x in self.rng.random(2) < 0.05)
        return self._observe(), float(10 * self.rng.standard_normal()), terminated, truncated, {}


@pytest.mark.parametrize("clip", [10.0, 0.5])
def test_observations_and_rewards_are_stable_baselines3s(clip: float) -> None:
    raw = DummyVecEnv([lambda seed=seed: Scripted(seed) for seed in range(ENVS)])
    reference = VecNormalize(raw, clip_obs=clip, clip_reward=clip, gamma=GAMMA)
    for statistics in (reference.obs_rms, reference.ret_rms):
        statistics.count = 0.0  # without their prior, of a weight of 1e-4 rows at mean 0
    observations, rewards = transform("observation_norm", clip=clip), transform("reward_norm", clip=clip)
    shown = reference.reset()
    np.testing.assert_allclose(observations.reset(reference.get_original_obs()), shown, rtol=1e-6, atol=1e-6)
    ends = 0
    for _ in range(STEPS):
        shown, reward, done, infos = reference.step(np.zeros(ENVS, int))
        seen, final = reference.get_original_obs(), reference.get_original_obs().copy()
        expected_final = shown.copy()
        for i in np.flatnonzero(done):
            expected_final[i] = infos[i]["terminal_observation"]
            final[i] = reference.unnormalize_obs(infos[i]["terminal_observation"])
        original = reference.get_original_reward().astype(np.float64)
        ours, our_final, _ = observations.step(seen, final, original, done)
        _, _, our_reward = rewards.step(seen, final, original, done)
        np.testing.assert_allclose(ours, shown, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(our_reward, reward, rtol=1e-5, atol=1e-6)
        if clip > 5:  # An observation that was clipped cannot be taken back.
            np.testing.assert_allclose(our_final, expected_final, rtol=1e-4, atol=1e-4)
        ends += done.sum()
    assert ends > 30
    np.testing.assert_allclose(rewards.returns, reference.returns, rtol=1e-5, atol=1e-5)
    for ours, theirs in ((observations.moments, reference.obs_rms), (rewards.moments, reference.ret_rms)):
        np.testing.assert_allclose(ours.mean, theirs.mean, rtol=1e-6)
        np.testing.assert_allclose(ours.var, theirs.var, rtol=1e-5)
        np.testing.assert_allclose(ours.count, theirs.count)


def test_the_last_step_of_an_episode_counts_then_its_return_resets() -> None:
    norm = transform("reward_norm")
    nothing = np.zeros((ENVS, 4))
    norm.step(nothing, nothing, np.array([1.0, 2.0, 3.0]), np.array([False, True, False]))
    assert norm.returns.tolist() == [1.0, 0.0, 3.0]
    assert norm.moments.mean == pytest.approx(2.0, rel=1e-3)


def test_moments_are_those_of_all_rows_in_float64() -> None:
    rows = (1e4 + np.random.default_rng(0).standard_normal((1000, 3))).astype(np.float32)
    moments = RunningMoments((3,))
    for part in np.split(rows, 10):
        moments.update(part)
    assert moments.count == len(rows)
    np.testing.assert_allclose(moments.mean, rows.mean(0, dtype=np.float64), rtol=1e-12)
    np.testing.assert_allclose(moments.var, rows.var(0, dtype=np.float64), rtol=1e-9)


@pytest.mark.parametrize("row", [[0.1, 101325.1], [0.0, 0.0]])
def test_the_variance_is_1_while_every_row_is_the_same(row: list[float]) -> None:
    moments = RunningMoments((2,))
    assert moments.var.tolist() == [1.0, 1.0]
    for n in (1, 3, 7):
        moments.update(np.array([row] * n))
        assert (moments.mean.tolist(), moments.var.tolist()) == (row, [1.0, 1.0])
    same = RunningMoments((2,))
    same.load_state_dict(moments.state_dict())
    for one in (moments, same):
        one.update(np.array([[row[0] + 12.0, row[1]]]))
        # Of the rows alone: eleven are there, and one is 12 away.
        assert one.var == pytest.approx([144 * 11 / 144, 0.0], abs=1e-9)


def test_a_state_of_before_goes_on_with_its_prior() -> None:
    moments = RunningMoments(())
    moments.load_state_dict({"mean": np.zeros(()), "var": np.ones(()), "count": np.array(1e-4)})
    moments.update(np.array([5.0]))
    assert moments.var == pytest.approx((1e-4 + 25 * 1e-4 / 1.0001) / 1.0001)


def test_frozen_statistics_do_not_move() -> None:
    norm = transform("observation_norm")
    norm.reset(np.ones((ENVS, 4)))
    before = norm.moments.count.copy(), norm.moments.mean.copy()
    norm.apply(np.full((ENVS, 4), 7.0))
    assert (norm.moments.count, norm.moments.mean.tolist()) == (before[0], before[1].tolist())


@pytest.mark.parametrize("name", ["observation_norm", "reward_norm"])
def test_a_saved_normalisation_goes_on_as_the_first(name: str) -> None:
    rng = np.random.default_rng(0)
    one, other = transform(name), transform(name)

    def step(norm: Any, draw: np.random.Generator) -> Any:
        seen = draw.standard_normal((ENVS, 4))
        return norm.step(seen, seen, draw.standard_normal(ENVS), draw.random(ENVS) < 0.2)

    for _ in range(5):
        step(one, rng)
    other.load_state_dict(one.state_dict())
    for _ in range(5):
        seed = int(rng.integers(2**31))
        results = [step(norm, np.random.default_rng(seed)) for norm in (one, other)]
        for a, b in zip(*results, strict=True):
            assert np.array_equal(a, b)


def test_what_travels_with_the_policy_are_the_statistics() -> None:
    assert transform("observation_norm").state_dict().keys() == {"statistics"}
    assert transform("reward_norm").state_dict().keys() == {"statistics", "returns"}


@pytest.mark.parametrize("statistics", ["running", {"random_rollout": 40}])
def test_pictures_among_the_entries_stay_bytes_and_the_rest_is_normalised(statistics: Any) -> None:
    env = Slot("env").read({"name": "parts", "transforms": [{"name": "observation_norm", "statistics": statistics}]})
    space = spaces_of(env).observation
    norm: Any = make_transforms(env, space, GAMMA, Streams(0))["observation_norm"]
    plain: Any = make_transforms(env, gymnasium.spaces.Box(-9, 9, (6,)), GAMMA)["observation_norm"]
    plain.rollout = 0
    image, numbers = space.entries["image"], np.r_[0:4, 436:438]
    assert (image.start, image.stop) == (4, 436)
    rows = np.concatenate(list(random_rollout(lambda: make_env(env), 40, 0)))
    done = np.arange(len(rows)) == 2
    for step in (lambda t, x: (t.reset(x), t.apply(x)), lambda t, x: t.step(x, x[::-1], np.zeros(len(x)), done)[:2]):
        shown, expected = step(norm, rows), step(plain, rows[:, numbers])
        if statistics == "running":
            assert all(np.array_equal(a[:, numbers], b) for a, b in zip(shown, expected, strict=True))
        assert not np.array_equal(shown[0][:, numbers], rows[:, numbers])
        assert np.array_equal(shown[0][:, 4:436], rows[:, 4:436])
        assert shown[0].max() == 200
    assert norm.moments.mean.shape == (6,)


@pytest.mark.parametrize("phase", ["train", "both"])
def test_over_a_picture_alone_it_is_refused(phase: str) -> None:
    encoder = {"name": "conv", "channels": [4]}
    norm = {"name": "observation_norm", "phase": phase}
    env = {"name": "parts", "observes": "image", "transforms": ["reward_norm", norm]}
    (problem,) = small.probe(load({**small.CARTPOLE, "env": env, "networks": {"encoder": encoder}}).recipe)
    assert (problem.code, problem.path, problem.suggestion) == ("E301", ("env", "transforms", 1), "remove it")
    assert "divide the bytes of a picture by 255" in problem.message
    scaled = {"name": "gymnasium_wrapper", "wrapper": "RescaleObservation", "kwargs": {"min_obs": 0, "max_obs": 1}}
    floats = {**env, "transforms": [*env["transforms"], scaled]}
    assert small.probe(load({**small.CARTPOLE, "env": floats, "networks": {"encoder": encoder}}).recipe) == []


def test_flatten_observation_is_gymnasiums() -> None:
    chosen = Slot("transform").read("flatten_observation")
    env = chosen.component.build(chosen, gymnasium.make("FrozenLake-v1"))
    expected = FlattenObservation(gymnasium.make("FrozenLake-v1"))
    assert env.observation_space == expected.observation_space
    assert env.reset(seed=0)[0].tolist() == expected.reset(seed=0)[0].tolist() == [1] + [0] * 15
