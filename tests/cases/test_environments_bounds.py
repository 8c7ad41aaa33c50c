"""Actions of every kind of policy lie inside the bounds of their space, wherever they are taken."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rlrecipe.runs.evaluate import evaluate
from rlrecipe.runs.load_policy import load_policy
from tests import small
from tests.cases import environments  # noqa: F401 - registers the environments
from tests.transforms.made import made

STRICT: dict[str, Any] = {"env": {"env_name": "StrictBounds-v0", "num_envs": 2}, "evaluation": {"episodes": 2}}
TANH = {"name": "mlp", "num_cells": [8], "distribution": "tanh_normal"}
#: So much noise that most actions are bounds.
NOISE = {"name": "gaussian", "sigma": 5.0}
ENDS = {"min_action": [-0.7], "max_action": [1.3]}
RECIPES = {
    **{name: {**small.TD3, "algorithm": name, "exploration": NOISE} for name in ("td3", "ddpg")},
    "sac": {**small.TD3, "algorithm": "sac"},
    "ppo": small.CARTPOLE,
    "ppo-tanh": {**small.CARTPOLE, "networks": {**small.CARTPOLE["networks"], "policy": TANH}},
}


@pytest.mark.parametrize("name", RECIPES)
def test_training_and_evaluation_stay_inside(name: str, tmp_path: Path) -> None:
    """The best action there is is the bound itself."""
    result = small.train({**RECIPES[name], **STRICT}, tmp_path / "run", "trainer.total_frames=256")
    assert result.outcome.code == 0, result.outcome.reason
    policy = load_policy(tmp_path / "run")
    assert evaluate(policy, 2, deterministic=False)["lengths"] == [20, 20]
    seen = np.linspace(-1, 1, 50, dtype=np.float32)[:, None]
    assert all(policy.action_space.contains(action) for action in policy(seen, deterministic=False))


@pytest.mark.parametrize(
    "transform",
    [
        {
            "name": "gymnasium_wrapper",
            "wrapper": "RescaleAction",
            "kwargs": {"min_action": [-0.7], "max_action": [1.3]},
        },
        "action_scaling",
    ],
    ids=["RescaleAction", "action_scaling"],
)
def test_what_wrappers_make_of_an_action_stays_inside(transform: Any) -> None:
    env = made("StrictBounds-v0", transform)
    space: Any = env.action_space
    env.reset(seed=0)
    for action in [*np.linspace(space.low, space.high, 40), space.low, space.high]:
        env.step(action.astype(np.float32))
    env.close()
