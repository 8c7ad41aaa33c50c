"""What each exploration does to actions, by its own definition."""

from typing import Any

import gymnasium
import numpy as np
import pytest

from rlrecipe.recipe.slots import Slot
from tests.replay.small import Fixed

BOX = gymnasium.spaces.Box(-3.0, 3.0, (2,), np.float32)


def make(name: str, space: Any, num_envs: int, **options: Any) -> Any:
    chosen = Slot("exploration").read({"name": name, **options})
    return chosen.component.build(chosen, space, num_envs, Fixed)


def test_gaussian_has_its_deviation_and_is_clipped() -> None:
    rng = np.random.default_rng(0)
    noisy = make("gaussian", BOX, 1, sigma=0.1)(np.full((5000, 2), 0.2, np.float32), rng)
    assert noisy.dtype == np.float32
    assert noisy.mean() == pytest.approx(0.2, abs=0.01)
    assert noisy.std() == pytest.approx(0.1, rel=0.05)
    wide = make("gaussian", BOX, 1, sigma=5.0)(np.zeros((500, 2), np.float32), rng)
    assert (wide.min(), wide.max()) == (-1.0, 1.0)


@pytest.mark.parametrize(("eps", "same"), [(0.0, 1.0), (0.2, 0.85), (1.0, 0.25)])
def test_egreedy_replaces_a_share_of_actions(eps: float, same: float) -> None:
    """By any of four actions, its own included."""
    taken = make("egreedy", gymnasium.spaces.Discrete(4), 1, eps=eps)(np.full(20_000, 3), np.random.default_rng(0))
    others = taken[taken != 3]
    assert 1 - len(others) / len(taken) == pytest.approx(same, abs=0.015)
    if len(others):
        assert np.bincount(others, minlength=3).min() > 0.9 * len(others) / 3


def test_ornstein_uhlenbeck_is_its_recurrence_and_starts_anew_where_an_episode_ends() -> None:
    noise = make("ornstein_uhlenbeck", BOX, 2, theta=0.5, mu=0.3, sigma=0.4, dt=0.25)
    rng, given, x = np.random.default_rng(1), np.random.default_rng(1), np.zeros((2, 2))
    for step in range(6):
        x = x + 0.5 * (0.3 - x) * 0.25 + 0.4 * 0.5 * rng.standard_normal((2, 2))
        np.testing.assert_allclose(noise(np.zeros((2, 2), np.float32), given), x.clip(-1, 1), rtol=1e-5, atol=1e-6)
        if step == 2:
            noise.reset(np.array([False, True]))
            x[1] = 0
    assert np.abs(noise(np.full((2, 2), 0.99, np.float32), given)).max() <= 1
