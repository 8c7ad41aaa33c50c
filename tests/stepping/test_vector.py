from functools import partial

import gymnasium
import numpy as np
import pytest

from rlrecipe.stepping.vector import Vector
from tests.envs.counting import Counting

make_cartpole = partial(gymnasium.make, "CartPole-v1", disable_env_checker=True)


def vector(capture: str | None = "attributes") -> Vector:
    return Vector([make_cartpole] * 3, lambda i: 11 + i, capture)


def walk(envs: Vector, steps: int, seed: int) -> list[list[list[float]]]:
    rng = np.random.default_rng(seed)
    return [
        [np.array(part, float).ravel().tolist() for part in envs.advance(rng.integers(0, 2, 3))] for _ in range(steps)
    ]


def test_each_environment_equals_one_stepped_alone() -> None:
    envs, alone = vector(), [make_cartpole() for _ in range(3)]
    first = envs.start()
    for i, env in enumerate(alone):
        assert np.array_equal(first[i], env.reset(seed=11 + i)[0])
    rng, ends = np.random.default_rng(0), 0
    for _ in range(100):
        action = rng.integers(0, 2, 3)
        observation, reward, terminated, truncated, final = envs.advance(action)
        for i, env in enumerate(alone):
            seen, paid, over, cut, _ = env.step(action[i])
            assert (paid, over, cut) == (reward[i], terminated[i], truncated[i])
            assert np.array_equal(final[i], seen)
            if over or cut:
                ends += 1
                seen, _ = env.reset()
            assert np.array_equal(observation[i], seen)
    assert ends > 3


def test_resets_are_in_the_same_step_and_keep_the_last_observation() -> None:
    envs = Vector([partial(Counting, [(2, False, True)]), partial(Counting, [(3, True, False)])], int)
    envs.start()
    envs.advance(np.zeros(2, int))
    observation, reward, terminated, truncated, final = envs.advance(np.zeros(2, int))
    assert observation[:, 0].tolist() == [100, 2]
    assert final[:, 0].tolist() == [2, 2]
    assert reward.tolist() == [2, 2]
    assert (terminated.tolist(), truncated.tolist()) == ([False, False], [True, False])


@pytest.mark.parametrize("capture", ["attributes", "replay"])
def test_saved_environments_go_on_bit_for_bit(capture: str) -> None:
    one, other = vector(capture), vector(capture)
    one.start()
    other.start()
    walk(one, 30, seed=0)
    walk(other, 7, seed=1)
    assert other.load_state_dict(one.state_dict())
    assert walk(one, 60, seed=2) == walk(other, 60, seed=2)


def test_without_a_capture_it_says_that_episodes_begin_anew() -> None:
    envs, other = vector(None), vector(None)
    first = np.array(envs.start())
    assert envs.state_dict() == {"starts": 1, "states": None}
    assert not other.load_state_dict(envs.state_dict())
    # And they are other episodes than the first ones.
    assert not np.array_equal(other.start(), first)


def test_a_state_of_other_kinds_is_tried_before_it_is_gone_on_from() -> None:
    one, other, broken = vector(), vector(), vector()
    one.start()
    walk(one, 8, seed=0)
    saved = one.state_dict()
    # CartPole keeps its state in an array; a tuple serves it as well, a text does not.
    saved["states"][1]["2"]["state"] = tuple(saved["states"][1]["2"]["state"].tolist())
    assert other.load_state_dict(saved)
    assert walk(one, 40, seed=1) == walk(other, 40, seed=1)
    saved["states"][1]["2"]["state"] = "x"
    with pytest.raises(ValueError, match="environment 1 cannot go on from its saved state"):
        broken.load_state_dict(saved)
