"""Environments that cannot be saved in the middle of an episode."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

from rlrecipe import register
from rlrecipe.envs.base import EnvOptions
from rlrecipe.runs.changes import RefusedChange
from tests import small


class HiddenOptions(EnvOptions):
    """Keeps its state behind a closure."""


class Hidden(gymnasium.Env[Any, Any]):
    observation_space = gymnasium.spaces.Box(-10, 10, (2,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        # A new generator with a state of its own, out of reach of every method.
        drawn: Iterator[Any] = iter(
            np.random.default_rng(self.np_random.integers(2**31)).normal(size=(60, 2)).astype(np.float32)
        )
        self.draw: Callable[[], Any] = lambda: next(drawn)
        self.left = 50
        return self.draw(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.left -= 1
        seen = self.draw()
        return seen, float(seen[action]), False, self.left == 0, {}


@pytest.fixture
def hidden(own_components: None) -> dict[str, Any]:
    @register("env", "hidden")
    def make(options: HiddenOptions, render_mode: str | None) -> gymnasium.Env[Any, Any]:
        return Hidden()

    return {**small.CARTPOLE, "env": {"name": "hidden", "num_envs": 2}}


def unsaveable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take replay away, which would put this environment back."""
    import rlrecipe.stepping.capture

    monkeypatch.delitem(rlrecipe.stepping.capture.METHODS, "replay")


def test_at_boundary_a_resumed_run_equals_one_that_was_not_stopped(
    hidden: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    unsaveable(monkeypatch)
    recipe = small.changed(hidden, ("checkpoint", "every"), 128)
    whole, killed = small.snapshots(recipe, tmp_path)
    status = json.loads((whole / "status.json").read_text())
    assert status["exact"] == "boundary"
    assert "scheduled checkpoint" in status["exact_reason"]
    for run_dir in killed:
        assert small.go_on(run_dir).outcome.code == 0
        assert small.outcome_of(run_dir) == small.outcome_of(whole), run_dir.name


def test_returns_do_not_reach_from_given_up_episodes_into_new_ones(
    hidden: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    unsaveable(monkeypatch)
    recipe = {**small.DQN, "env": hidden["env"]}
    one, other = small.build(recipe).trainer, small.build(recipe).trainer
    one.sampler.extend(one.update.params, one.collector.collect())
    with pytest.warns(UserWarning, match="start new episodes"):
        other.load_state_dict(one.state_dict())
    one.restart()
    for trainer in (one, other):
        buffer: Any = trainer.modules["replay_buffer"]
        cut = buffer.ring.arrays["next", "truncated"][: buffer.ring.total]
        assert cut[-1].all()
        assert not cut[:-1].any()


def test_at_boundary_the_schedule_of_checkpoints_is_part_of_the_work(
    hidden: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    unsaveable(monkeypatch)
    small.train(hidden, tmp_path / "run", "trainer.time_limit=100")
    with pytest.raises(RefusedChange, match=r"checkpoint\.every"):
        small.go_on(tmp_path / "run", "checkpoint.every=256")


def test_a_stop_between_two_boundaries_goes_on_as_continue(
    hidden: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    unsaveable(monkeypatch)
    recipe = small.changed(hidden, ("checkpoint", "every"), 256)
    small.train(recipe, tmp_path / "run", "trainer.time_limit=100")
    result = small.go_on(tmp_path / "run", "trainer.time_limit=null")
    assert result.outcome.code == 0
    assert result.summary["exact"] == "continue"
