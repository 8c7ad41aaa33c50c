"""Environments of which one can live at a time, and those that take long to build."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

from rlrecipe.cli import main
from rlrecipe.recipe import registry
from rlrecipe.runs.evaluate import evaluate
from rlrecipe.runs.load_policy import load_policy
from tests import small
from tests.cases import environments  # noqa: F401 - registers the environments


class Counted(gymnasium.Env[Any, Any]):
    """Its numbers are random; counts how many were built and how many live, and how many may.

    ``hidden`` keeps its step where nothing but replay can save it; ``random`` where nothing can at all.
    """

    built = live = most = 0
    may_live = 100
    log: list[str] = []  # noqa: RUF012 - shared on purpose

    def __init__(self, hidden: str = "", render_mode: str | None = None) -> None:
        self.observation_space = gymnasium.spaces.Box(-1, 1, (2,), np.float32)
        self.action_space = gymnasium.spaces.Discrete(2)
        self.hidden, self.t = hidden, {0: 0} if hidden else [0]
        if Counted.live >= Counted.may_live:
            raise RuntimeError("the simulator runs already")
        Counted.built, Counted.live = Counted.built + 1, Counted.live + 1
        Counted.most = max(Counted.most, Counted.live)
        Counted.log.append(f"built, {Counted.live} live")

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.t[0] = 0
        if self.hidden == "random":
            self.draws = iter(np.random.default_rng().normal(size=99))
        return self._seen(), {}

    def step(self, action: Any) -> Any:
        self.t[0] += 1
        return self._seen(), float(action) + self.t[0], self.t[0] == 9, False, {}

    def _seen(self) -> Any:
        drawn = next(self.draws) if self.hidden == "random" else self.np_random.uniform(-1, 1)
        return np.array([drawn, self.t[0] / 9], np.float32)

    def close(self) -> None:
        Counted.live -= 1


entry: Any = Counted
gymnasium.register("Counted-v0", entry)

RECIPE: dict[str, Any] = {
    **small.CARTPOLE,
    "env": {"env_name": "Counted-v0", "num_envs": 1},
    "trainer": {"total_frames": 256},
    "evaluation": {"every": 64, "episodes": 2},
}


@pytest.fixture(autouse=True)
def counted() -> None:
    Counted.built = Counted.live = Counted.most = 0
    Counted.may_live = 100
    Counted.log.clear()


def recipe(hidden: str = "", **evaluation: Any) -> dict[str, Any]:
    env = {**RECIPE["env"], "kwargs": {"hidden": hidden}}
    return {**RECIPE, "env": env, "evaluation": {**RECIPE["evaluation"], **evaluation}}


@pytest.mark.parametrize("hidden", ["", "replay"])
def test_a_run_with_one_evaluation_builds_four(hidden: str, tmp_path: Path) -> None:
    small.train(recipe(hidden, every=None), tmp_path / "run")
    # Two are tried, one after the other; evaluation's lives beside the one that trains.
    assert Counted.log == ["built, 1 live", "built, 1 live", "built, 1 live", "built, 2 live"]
    assert Counted.live == 0


def test_the_other_commands_build_as_few(tmp_path: Path) -> None:
    run = tmp_path / "run"
    small.train(recipe(every=None), run)
    Counted.log.clear()
    small.go_on(run, "trainer.total_frames=320")
    assert len(Counted.log) == 4
    Counted.log.clear()
    evaluate(load_policy(run), 3)
    assert Counted.log == ["built, 1 live"] * 2
    Counted.log.clear()
    small.go_on(run)
    assert Counted.log == []
    path = tmp_path / "recipe.yaml"
    path.write_text(small.dump_of(recipe()))
    assert main(["validate", str(path)]) == 0
    assert Counted.log == ["built, 1 live"]


@pytest.mark.parametrize("hidden", ["", "replay"])
def test_evaluation_borrows_the_one_that_trains(hidden: str, tmp_path: Path) -> None:
    beside = small.train(recipe(hidden), tmp_path / "beside")
    Counted.may_live, Counted.most = 1, 0
    alone = small.train(recipe(hidden), tmp_path / "alone")
    assert (Counted.most, Counted.live) == (1, 0)
    assert alone.summary["exact"] == beside.summary["exact"] == "exact"
    # Training and evaluations are what they are where there is room for two.
    assert small.outcome_of(tmp_path / "alone") == small.outcome_of(tmp_path / "beside")


def test_one_that_was_lent_is_resumed_exactly(tmp_path: Path) -> None:
    Counted.may_live = 1
    whole, killed = small.snapshots(recipe(), tmp_path)
    for left in killed[1:-1:3]:
        small.go_on(left)
        assert small.outcome_of(left) == small.outcome_of(whole)
    assert Counted.most == 1


def test_what_cannot_be_put_back_is_evaluated_after_training(tmp_path: Path, capsys: Any) -> None:
    Counted.may_live = 1
    path = tmp_path / "recipe.yaml"
    path.write_text(small.dump_of(recipe("random")))
    assert main(["run", str(path), "--run-dir", str(tmp_path / "run")]) == 0
    err = capsys.readouterr().err
    assert err.count("the simulator runs already; the policy is evaluated once, after training") == 1
    assert "resume level continue" in err
    evaluations = [row for row in small.rows(tmp_path / "run") if "eval/episode_return_mean" in row]
    assert [row["frames"] for row in evaluations] == [256]
    assert Counted.most == 1
    # What was put away is saved: the run can be made longer.
    assert small.go_on(tmp_path / "run", "trainer.total_frames=320").outcome.code == 0


def test_the_singleton_of_the_cases_trains(tmp_path: Path) -> None:
    env = {"env_name": "Odd-v0", "num_envs": 1, "kwargs": {"odd": "singleton"}}
    result = small.train({**RECIPE, "env": env}, tmp_path / "run")
    assert (result.outcome.code, result.summary["eval_return_mean"], result.summary["exact"]) == (0, 20.0, "exact")
    assert evaluate(load_policy(tmp_path / "run"), 2)["lengths"] == [20, 20]


def test_two_to_train_in_where_one_can_live_are_refused_with_the_cure(tmp_path: Path, capsys: Any) -> None:
    Counted.may_live = 1
    path = tmp_path / "recipe.yaml"
    path.write_text(small.dump_of(small.changed(recipe(), ("env", "num_envs"), 2)))
    assert main(["run", str(path), "--run-dir", str(tmp_path / "run")]) == 3
    err = capsys.readouterr().err
    assert "E301 at env: Counted-v0: 2 to train in cannot be built: RuntimeError: the simulator runs already" in err
    assert "env.num_envs to 1" in err
    assert Counted.live == 0


def test_a_random_rollout_borrows_the_one_that_trains(tmp_path: Path) -> None:
    norm = {"name": "observation_norm", "statistics": {"random_rollout": 30}}
    normed = small.changed(recipe(), ("env", "transforms"), [norm])
    small.train(normed, tmp_path / "beside")
    Counted.may_live, Counted.most = 1, 0
    small.train(normed, tmp_path / "alone")
    assert Counted.most == 1
    assert small.outcome_of(tmp_path / "alone") == small.outcome_of(tmp_path / "beside")


@pytest.mark.parametrize("hook", ["log_validation_reward", "video_recorder"])
def test_hooks_that_cannot_evaluate_say_so_once_and_training_goes_on(hook: str, tmp_path: Path, capsys: Any) -> None:
    Counted.may_live = 1
    path = tmp_path / "recipe.yaml"
    options = {**small.required_of(registry.find("hook", hook)), **({"record_interval": 1} if "log" in hook else {})}
    path.write_text(small.dump_of({**recipe("random"), "hooks": [{"name": hook, **options, "every": 64}]}))
    assert main(["run", str(path), "--run-dir", str(tmp_path / "run")]) == 0
    said = [line for line in capsys.readouterr().err.splitlines() if hook in line]
    assert len(said) == 1
    assert said[0].endswith("training goes on")
