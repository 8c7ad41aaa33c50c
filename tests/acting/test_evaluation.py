from functools import partial
from types import SimpleNamespace
from typing import Any, cast

import gymnasium
import numpy as np
import pytest

from rlrecipe.acting.evaluation import WIDTH, Evaluation, Evaluator, Stage
from rlrecipe.assembly.environments import make_env
from rlrecipe.streams import Stream, Streams
from tests import small


def evaluator(seed: int = 0, recipe: Any = small.CARTPOLE, **options: Any) -> Evaluator:
    built = small.build(recipe)
    assert built.trainer.stage is not None
    return Evaluator(built.trainer.stage, Streams(seed), **options)


def test_each_episode_is_the_one_of_its_seed() -> None:
    """However many are run beside it, and whichever ends first."""
    built = small.build(small.CARTPOLE)
    env, expected = gymnasium.make("CartPole-v1"), []
    for episode in range(20):
        seen, _ = env.reset(seed=Streams(0).integer(Stream.EVALUATION, episode))
        length, over = 0, False
        while not over:
            seen, _, terminated, truncated, _ = env.step(int(built.policy.act(seen[None], None)[0]))
            length, over = length + 1, terminated or truncated
        expected.append(length)
    one = evaluator()
    for episodes in (20, 3, WIDTH + 1):
        evaluation = one.run(episodes)
        assert evaluation is not None
        assert evaluation.lengths == evaluation.returns == expected[:episodes]
    assert len(set(expected)) > 1


def test_the_same_each_time_and_another_with_another_seed() -> None:
    one = evaluator()
    for deterministic in (True, False):
        assert one.run(5, deterministic) == one.run(5, deterministic)
    assert one.run(5) != one.run(5, deterministic=False)
    assert one.run(5) != evaluator(1).run(5)


def test_an_interrupted_evaluation_has_no_result() -> None:
    one = evaluator()
    one.interrupted = lambda: True
    assert one.run(2) is None


def test_rewards_are_raw_and_statistics_frozen() -> None:
    recipe = {**small.PENDULUM, "env": {**small.PENDULUM["env"], "transforms": ["observation_norm", "reward_norm"]}}
    built = small.build(recipe)
    built.trainer.collector.collect()
    norm = built.transforms["observation_norm"]
    before = {key: np.array(value) for key, value in norm.state_dict()["statistics"].items()}
    one = Evaluator(Stage(partial(make_env, built.recipe.env, "eval"), built.policy, [norm]), Streams(0))
    evaluation = one.run(2)
    assert evaluation is not None
    # An episode of Pendulum costs hundreds; scaled rewards would add up to a few.
    assert max(evaluation.returns) < -200
    after = norm.state_dict()["statistics"]
    assert all(np.array_equal(before[key], after[key]) for key in before)


def test_the_interval_holds_the_mean_and_is_the_same_each_time() -> None:
    evaluation = Evaluation(np.random.default_rng(0).normal(10, 2, 50).tolist(), [1] * 50)
    low, high = evaluation.interval()
    assert (low, high) == evaluation.interval()
    half = 1.96 * evaluation.std / 50**0.5
    assert (low, high) == pytest.approx((evaluation.mean - half, evaluation.mean + half), abs=0.1)


# -- environments that are kept open


@pytest.mark.parametrize(
    ("env_name", "kept"), [("CartPole-v1", True), ("HalfCheetah-v5", True), ("BipedalWalker-v3", False)]
)
def test_kept_open_where_a_used_environment_is_as_good_as_a_new_one(env_name: str, kept: bool) -> None:
    recipe = {**small.PENDULUM, "env": {"env_name": env_name}}
    one, fresh = evaluator(recipe=recipe, keep=True), evaluator(recipe=recipe)
    expected = fresh.run(3, frames=20)
    before: list[Any] = []
    for _ in range(3):
        assert one.run(3, frames=20) == expected
        assert bool(one.envs) == kept
        assert not kept or not before or one.envs == before
        before = list(one.envs)
    one.close()


class Remembering(gymnasium.Env[Any, Any]):
    """Pays more with each episode that it has lived."""

    observation_space = gymnasium.spaces.Box(0, 1, (1,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, hidden: bool, render_mode: str | None = None) -> None:
        self.lived: Any = {1: 0} if hidden else 0

    def reset(self, **arguments: Any) -> Any:
        super().reset(seed=arguments.get("seed"))
        self.lived = {1: self.lived[1] + 1} if isinstance(self.lived, dict) else self.lived + 1
        return np.zeros(1, np.float32), {}

    def step(self, action: Any) -> Any:
        lived = self.lived[1] if isinstance(self.lived, dict) else self.lived
        return np.zeros(1, np.float32), float(lived), True, False, {}


@pytest.mark.parametrize("hidden", [False, True], ids=["put back", "built anew"])
def test_what_an_environment_remembers_is_gone_in_the_next_evaluation(hidden: bool) -> None:
    built: list[Any] = []

    def make() -> Any:
        built.append(Remembering(hidden))
        return built[-1]

    policy = SimpleNamespace(
        front=None, noise=None, act=lambda x, _: np.zeros(len(x), np.int64), to_env=lambda action: action
    )
    one = Evaluator(Stage(make, cast(Any, policy), []), Streams(0), keep=True, width=1)
    returns, counts = list[list[float]](), list[int]()
    for _ in range(3):
        evaluation = one.run(2)
        assert evaluation is not None
        returns.append(evaluation.returns)
        counts.append(len(built))
    assert returns == [[1.0, 2.0]] * 3
    assert (counts[2] > counts[0]) == hidden


def test_every_transition_can_be_watched() -> None:
    seen: list[Any] = []
    evaluation = evaluator().run(2, watch=seen.append)
    assert evaluation is not None
    assert len(seen) == sum(evaluation.lengths)
    assert sum(each["next", "reward"] for each in seen) == sum(evaluation.returns)
    assert sum(each["next", "terminated"] or each["next", "truncated"] for each in seen) == 2
    assert not np.array_equal(seen[0]["observation"], seen[0]["next", "observation"])
