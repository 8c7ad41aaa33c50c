"""Environments of torchrl's, as gymnasium's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from rlrecipe.assembly.environments import make_env
from rlrecipe.envs.torchrl import REFUSED, environments
from rlrecipe.recipe.slots import Slot
from rlrecipe.runs.evaluate import evaluate
from rlrecipe.runs.load_policy import load_policy
from rlrecipe.stepping.capture import choose
from rlrecipe.stepping.observations import AsRows
from tests import small

STEPS = {"name": "step_counter", "max_steps": 20}


def options(env: str, *transforms: Any, **more: Any) -> Any:
    return Slot("env").read({"name": "torchrl", "env": env, "transforms": list(transforms), **more})


def made(env: str, *transforms: Any, **more: Any) -> Any:
    built = make_env(options(env, *transforms, **more))
    return built.env if isinstance(built, AsRows) else built


def recipe(env: str, *transforms: Any, **more: Any) -> small.Recipe:
    return {
        **small.CARTPOLE,
        "env": {"name": "torchrl", "env": env, "num_envs": 2, "transforms": list(transforms), **more},
    }


PENDULUM = recipe("PendulumEnv", STEPS, "flatten_observation", observation_keys=["th", "thdot"])


@pytest.mark.filterwarnings("ignore:.*WARN")
def test_gymnasiums_checker_finds_nothing() -> None:
    for env in (made("GymEnv", env_name="CartPole-v1"), made("PendulumEnv", observation_keys=["th", "thdot"])):
        check_env(env, skip_render_check=True)


def test_an_environment_of_gymnasiums_is_the_same_through_torchrl() -> None:
    env, plain = made("GymEnv", env_name="CartPole-v1"), gymnasium.make("CartPole-v1")
    assert isinstance(env.action_space, gymnasium.spaces.Discrete)
    assert env.observation_space.shape == (4,)
    # torchrl seeds by a reset of its own and gives the episode after it.
    plain.reset(seed=3)
    assert np.array_equal(env.reset(seed=3)[0], plain.reset()[0])
    for i in range(5):
        ours, theirs = env.step(i % 2), plain.step(i % 2)
        assert np.array_equal(ours[0], theirs[0])
        assert ours[1:4] == theirs[1:4]


@pytest.mark.parametrize(
    ("env", "more", "space"),
    [
        ("PendulumEnv", {"observation_keys": ["th"]}, (-np.pi, np.pi)),
        ("PendulumEnv", {"observation_keys": ["params.g"]}, (-np.inf, np.inf)),
        ("TicTacToeEnv", {"observation_keys": ["board"], "reward_key": "player0.reward"}, (-(2**31), 2**31 - 1)),
    ],
)
def test_entries_are_observed_by_name(env: str, more: dict[str, Any], space: tuple[float, float]) -> None:
    observed = made(env, **more).observation_space
    assert isinstance(observed, gymnasium.spaces.Box)
    assert (observed.low.min(), observed.high.max()) == pytest.approx(space)


def test_several_entries_are_a_dict_with_dotted_names() -> None:
    env = made("PendulumEnv")
    assert {"th", "thdot", "params.g"} < env.observation_space.spaces.keys()
    assert env.observation_space.contains(env.reset(seed=0)[0])


def test_episodes_follow_from_the_seed_and_from_nothing_before() -> None:
    def episodes(*before: int) -> list[Any]:
        env = made("PendulumEnv", STEPS, observation_keys=["th"])
        for seed in before:
            env.reset(seed=seed)
            env.step(np.zeros(1, np.float32))
        first = env.reset(seed=3)[0].tolist()
        return [first, [env.step(np.ones(1, np.float32))[0].tolist() for _ in range(20)], env.reset()[0].tolist()]

    assert episodes() == episodes(1, 2)
    assert episodes()[0] != episodes()[2]


def test_it_is_captured_by_replay() -> None:
    choice = choose(lambda: make_env(options("PendulumEnv", STEPS)))
    assert (choice.method, choice.level) == ("replay", "exact")
    assert choose(lambda: make_env(options("TicTacToeEnv", reward_key="player0.reward"))).level == "exact"


def test_it_trains_resumes_exactly_and_is_evaluated(tmp_path: Path) -> None:
    small.train(PENDULUM, tmp_path / "whole")
    code = small.train(PENDULUM, tmp_path / "stopped", "trainer.time_limit=1").outcome.code
    while code == 75:
        code = small.go_on(tmp_path / "stopped").outcome.code
    assert code == 0
    assert small.outcome_of(tmp_path / "stopped") == small.outcome_of(tmp_path / "whole")
    policy = load_policy(tmp_path / "whole")
    assert policy(np.zeros(2, np.float32)).shape == (1,)
    changed = {"transforms": [{**STEPS, "max_steps": 7}, "flatten_observation"]}
    assert evaluate(policy, 3)["lengths"] == [20] * 3
    assert evaluate(policy, 3, changes=changed)["lengths"] == [7] * 3


def test_torchrls_transforms_share_its_environment() -> None:
    renamed = {"name": "rename_transform", "in_keys": ["th"], "out_keys": ["angle"], "create_copy": True}
    env = made("PendulumEnv", "init_tracker", renamed)
    assert len(env.unwrapped.played.inner.transform) == 2
    seen = env.reset(seed=0)[0]
    assert seen["angle"] == seen["th"]
    assert env.step(env.action_space.sample())[0]["is_init"].tolist() == [0]


def test_pictures_are_rendered() -> None:
    env = make_env(options("GymEnv", env_name="CartPole-v1"), render_mode="rgb_array")
    env.reset(seed=0)
    picture: Any = env.render()
    assert (picture.shape[2], picture.dtype) == (3, np.uint8)
    env.close()
    with pytest.raises(NotImplementedError, match="shows no pictures"):
        made("PendulumEnv").render()


@pytest.mark.parametrize(
    ("env", "more", "code", "path", "said"),
    [
        ("PendulumEnvs", {}, "E302", "env.env", "there are: "),
        ("ParallelEnv", {}, "E302", "env.env", "several environments in one"),
        ("DreamerEnv", {}, "E302", "env.env", "needs a network"),
        ("GymEnv", {"env_name": "CartPolo-v1"}, "E102", "env.env_name", "no environment is registered as"),
        (
            "GymEnv",
            {"env_name": "CartPole-v1", "kwargs": {"num_envs": 2}},
            "E301",
            "env.kwargs",
            "batch of environments",
        ),
        ("TicTacToeEnv", {}, "E301", "env.reward_key", "several rewards: player0.reward, player1.reward"),
        ("PendulumEnv", {"reward_key": "pay"}, "E301", "env.reward_key", "there are: reward"),
        ("PendulumEnv", {"observation_keys": ["x"]}, "E301", "env.observation_keys", "there are: "),
        ("PendulumEnv", {"kwargs": {"g": 1}}, "E102", "env.kwargs", "unexpected keyword argument 'g'"),
        ("LLMHashingEnv", {}, "E302", "env.env", "no tensors"),
    ],
)
def test_what_cannot_work_is_told_at_its_place(env: str, more: dict[str, Any], code: str, path: str, said: str) -> None:
    ((found, place, message, suggestion),) = small.problems(recipe(env, **more))
    assert (found, place) == (code, path)
    assert said in message
    assert suggestion == "PendulumEnv" or env != "PendulumEnvs"


def test_every_environment_of_torchrls_is_offered_or_refused() -> None:
    import torchrl.envs

    for name in environments() | REFUSED.keys():
        assert issubclass(getattr(torchrl.envs, name), torchrl.envs.EnvBase), name
