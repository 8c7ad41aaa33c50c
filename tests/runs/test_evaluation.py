from functools import partial

import gymnasium
import numpy as np
import pytest

from rlrecipe.builders.environments import make_env
from rlrecipe.runs.evaluation import WIDTH, Evaluation, Evaluator
from rlrecipe.runs.spaces import space_from_json, space_to_json
from rlrecipe.streams import Stream, Streams
from tests import small


def evaluator(seed: int = 0) -> Evaluator:
    built = small.build(small.CARTPOLE)
    make = partial(make_env, built.recipe.env, "eval")
    return Evaluator(make, built.policy, list(built.transforms.values()), Streams(seed))


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
    one = Evaluator(partial(make_env, built.recipe.env, "eval"), built.policy, [norm], Streams(0))
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


@pytest.mark.parametrize(
    "space",
    [
        gymnasium.spaces.Discrete(3, start=-1),
        gymnasium.spaces.Box(-np.inf, np.inf, (2, 3), np.float64),
        gymnasium.spaces.Box(np.array([-1.5, 0.1], np.float32), np.array([1.0, np.inf], np.float32)),
        gymnasium.spaces.Box(0, 255, (4, 4, 3), np.uint8),
    ],
    ids=str,
)
def test_spaces_as_json(space: gymnasium.Space[object]) -> None:
    assert space_from_json(space_to_json(space)) == space


def test_other_spaces_are_refused() -> None:
    with pytest.raises(TypeError, match="Box or Discrete"):
        space_to_json(gymnasium.spaces.MultiDiscrete([2, 2]))
