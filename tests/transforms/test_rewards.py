"""What learning sees of rewards, and what reports see."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rlrecipe.recipe.errors import RecipeError
from rlrecipe.recipe.load import load
from rlrecipe.recipe.slots import Slot
from tests import small

REWARDS = np.array([-7.5, -0.5, 0.0, 0.25, 3.0])


def transform(name: str, **options: Any) -> Any:
    chosen = Slot("transform").read({"name": name, **options})
    return chosen.component.build(chosen, None, 5, 0.99)


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("sign_reward", {}, [-1, -1, 0, 1, 1]),
        ("clip_reward", {}, [-1, -0.5, 0, 0.25, 1]),
        ("clip_reward", {"min": 0.0, "max": 2.0}, [0, 0, 0, 0.25, 2]),
        ("reward_scaling", {"scale": 0.5, "loc": 1.0}, [-2.75, 0.75, 1, 1.125, 2.5]),
    ],
)
def test_rewards_change_and_nothing_else(name: str, options: dict[str, Any], expected: list[float]) -> None:
    change, rng = transform(name, **options), np.random.default_rng(0)
    observation, final = rng.random((2, 5, 3))
    shown, last, reward = change.step(observation, final, REWARDS, np.zeros(5, bool))
    assert shown is observation
    assert last is final
    assert change.apply(observation) is observation
    assert change.reset(observation) is observation
    np.testing.assert_allclose(reward, expected)
    np.testing.assert_allclose(change.apply_reward(REWARDS), expected)


@pytest.mark.parametrize("recipe", [small.PENDULUM, small.TD3], ids=["on-policy", "off-policy"])
def test_returns_in_reports_stay_raw(recipe: small.Recipe, tmp_path: Path) -> None:
    changed = small.changed(recipe, ("env", "transforms"), [{"name": "reward_scaling", "scale": 100.0}])
    # Before anything is learned both take the same actions.
    still = ["optimizer.lr=0", "trainer.total_frames=512"]
    for name, one in (("raw", recipe), ("scaled", changed)):
        small.train(one, tmp_path / name, *still)
    raw, scaled = (small.rows(tmp_path / name, "episodes.jsonl") for name in ("raw", "scaled"))
    assert raw == scaled
    evaluations = [
        [value for row in small.rows(tmp_path / name) for key, value in row.items() if key.startswith("eval/")]
        for name in ("raw", "scaled")
    ]
    assert evaluations[0] == evaluations[1]
    assert evaluations[0]


def test_changed_rewards_are_for_training_only() -> None:
    recipe = small.changed(small.CARTPOLE, ("env", "transforms"), [{"name": "sign_reward", "phase": "both"}])
    with pytest.raises(RecipeError, match="expected train"):
        load(recipe)
