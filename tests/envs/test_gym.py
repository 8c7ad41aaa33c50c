from typing import Any

import gymnasium
import numpy as np
import pytest

from rlrecipe.assembly.environments import make_env
from rlrecipe.recipe.errors import RecipeError
from rlrecipe.recipe.load import load
from rlrecipe.recipe.slots import Slot
from rlrecipe.stepping.observations import AsRows
from tests import small


def make(env_name: str, **options: Any) -> gymnasium.Env[Any, Any]:
    return make_env(Slot("env", default="gym").read({"env_name": env_name, **options}))


def test_it_is_gymnasiums_environment_with_its_arguments() -> None:
    env = make("FrozenLake-v1", kwargs={"map_name": "8x8", "is_slippery": False})
    assert isinstance(env, AsRows)
    assert env.rows.origin == gymnasium.spaces.Discrete(64)
    assert env.spec is not None
    assert env.spec.max_episode_steps == gymnasium.spec("FrozenLake-v1").max_episode_steps


def test_a_frame_is_one_decision_after_the_skip() -> None:
    plain, skipping = make("Pendulum-v1"), make("Pendulum-v1", frame_skip=3)
    plain.reset(seed=0)
    skipping.reset(seed=0)
    action = np.array([0.5], np.float32)
    steps = [plain.step(action) for _ in range(3)]
    observation, reward, *_ = skipping.step(action)
    assert np.array_equal(observation, steps[-1][0])
    assert reward == pytest.approx(sum(float(step[1]) for step in steps))


def test_an_episodes_end_ends_the_skip() -> None:
    env, lengths = make("CartPole-v1", frame_skip=1000), []
    for seed in range(3):
        env.reset(seed=seed)
        _, reward, terminated, _, _ = env.step(1)
        assert terminated
        lengths.append(float(reward))
    assert all(8 <= length <= 11 for length in lengths)


@pytest.mark.parametrize("env_name", ["BipedalWalker-v3", "LunarLander-v3", "HalfCheetah-v5"])
def test_an_episode_does_not_depend_on_the_episodes_before(env_name: str) -> None:
    def episode(*before: int) -> list[bytes]:
        env = make(env_name)
        env.action_space.seed(0)
        for seed in before:
            env.reset(seed=seed)
            for _ in range(30):
                env.step(env.action_space.sample())
        first, _ = env.reset(seed=3)
        env.action_space.seed(1)
        steps = [env.step(env.action_space.sample())[0] for _ in range(60)]
        return [np.asarray(one).tobytes() for one in (first, *steps)]

    assert episode() == episode(1, 2) == episode(5, 6, 7)


def test_a_skip_on_top_of_the_emulators_is_refused() -> None:
    recipe = small.changed(small.CARTPOLE, ("env",), {"env_name": "ALE/Pong-v5", "frame_skip": 4, "num_envs": 2})
    with pytest.raises(RecipeError) as caught:
        load(recipe)
    assert [problem.code for problem in caught.value.problems] == ["E302"]
    assert "makes 16" in str(caught.value)


def test_a_picture_follows_what_runs_unless_somebody_chose_a_camera() -> None:
    options = Slot("env", default="gym").read
    env: Any = make_env(options({"env_name": "HalfCheetah-v5"}), render_mode="rgb_array").unwrapped
    assert env.model.camera(env.mujoco_renderer.camera_id).name == "track"
    chosen = options({"env_name": "HalfCheetah-v5", "kwargs": {"default_camera_config": {"distance": 9.0}}})
    free: Any = make_env(chosen, render_mode="rgb_array").unwrapped
    assert free.mujoco_renderer.camera_id == -1
