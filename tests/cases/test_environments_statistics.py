"""Running statistics have no prior: numbers far from 0 and close together have their own deviation."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import small
from tests.cases import environments  # noqa: F401 - registers the environments

#: The rows of a run: first observations, and those after each of its 512 frames.
RUNNING = {"name": "observation_norm"}
ROLLOUT = {"name": "observation_norm", "statistics": {"random_rollout": 2000}}


@pytest.mark.parametrize("norm", [RUNNING, ROLLOUT], ids=["running", "random_rollout"])
def test_the_deviation_of_a_pressure_is_1(norm: Any, tmp_path: Path) -> None:
    recipe = {**small.CARTPOLE, "env": {"env_name": "Pressure-v0", "num_envs": 2, "transforms": [norm]}}
    assert small.train(recipe, tmp_path / "run").outcome.code == 0
    saved = small.saved_policy(tmp_path / "run")
    # Of 512 rows and more the deviation is within 1 +- 0.1 for three deviations of its own.
    assert float(saved["observation_norm.var"]) ** 0.5 == pytest.approx(1.0, rel=0.05 if norm is ROLLOUT else 0.1)
    assert float(saved["observation_norm.mean"]) == pytest.approx(101325, abs=0.2)


def test_the_first_rewards_are_scaled_by_themselves() -> None:
    """The first return of each of two environments is 1: no two of them differ, and nothing is scaled yet."""
    trainer = small.build(small.changed(small.CARTPOLE, ("env", "transforms"), ["reward_norm"])).trainer
    batch = trainer.collector.collect()
    first, second = np.asarray(batch["next", "reward"])[:2]
    assert first.tolist() == [1.0, 1.0]
    # Returns of 1, 1, 1.99 and 1.99 have a deviation of 0.495.
    assert second == pytest.approx([1 / 0.495] * 2, rel=1e-6)
