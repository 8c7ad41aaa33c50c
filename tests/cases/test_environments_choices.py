"""More choices than a row can hold one-hot are refused, whatever the algorithm and wherever they stand."""

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from tests import small

MANY = spaces.Discrete(150_000)
ACTIONS: dict[str, Any] = {"actions": spaces.Discrete(3_000_000), "few actions": spaces.Discrete(1000)}
SPACES: dict[str, Any] = {
    "alone": MANY,
    "multi": spaces.MultiDiscrete([149_999, 2]),
    "entry": spaces.Dict({"place": MANY, "speed": spaces.Box(-1, 1, (2,), np.float32)}),
    "few": spaces.Discrete(1000),
}


class Choices(gymnasium.Env[Any, Any]):
    """Observes samples of a space."""

    def __init__(self, name: str, render_mode: str | None = None) -> None:
        self.action_space = ACTIONS.get(name, spaces.Discrete(2))
        self.observation_space = SPACES.get(name, spaces.Box(-1, 1, (2,), np.float32))

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        return self.observation_space.sample(), {}

    def step(self, action: Any) -> Any:
        return self.observation_space.sample(), 1.0, True, False, {}


gymnasium.register("Choices-v0", Choices)  # type: ignore[arg-type]  # it takes a name


@pytest.mark.parametrize("algorithm", ["ppo", "a2c", "reinforce"])
@pytest.mark.parametrize("name", ["alone", "multi", "entry"])
def test_too_many_choices_are_refused(algorithm: str, name: str) -> None:
    env = {"env_name": "Choices-v0", "kwargs": {"name": name}}
    recipe = {
        "env": env,
        "algorithm": algorithm,
        "collector": {"frames_per_batch": 64},
        "trainer": {"total_frames": 64},
    }
    found = {problem[0]: problem for problem in small.problems(recipe)}
    assert found["E301"][1] == "env.env_name" or found["E301"][1] == "env"
    assert "one for each choice" in found["E301"][2]
    assert "observes a Box" in found["E301"][3]


@pytest.mark.parametrize("name", ["alone", "actions"])
@pytest.mark.parametrize("algorithm", ["ppo", "a2c", "reinforce", "dqn"])
def test_too_many_choices_of_either_kind_are_one_problem(algorithm: str, name: str) -> None:
    env = {"env_name": "Choices-v0", "kwargs": {"name": name}}
    (problem,) = small.problems({"env": env, "algorithm": algorithm, "trainer": {"total_frames": 500_000}})
    assert problem[:2] == ("E301", "env")
    assert "one for each choice" in problem[2]
    assert f"it {'takes' if name == 'actions' else 'observes'} a Box" in problem[3]


@pytest.mark.parametrize("name", ["few", "few actions"])
def test_a_thousand_are_taken(name: str) -> None:
    env = {"env_name": "Choices-v0", "kwargs": {"name": name}, "num_envs": 2}
    assert small.problems({**small.CARTPOLE, "env": env}) == []
