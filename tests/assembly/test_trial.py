"""What only building tells of a recipe is asked once: environments and learners that a run makes."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import gymnasium
import pytest
import torch

from rlrecipe.assembly.assemble import assemble
from rlrecipe.assembly.learning import make_learner
from rlrecipe.assembly.trial import Trial
from rlrecipe.errors import EnvironmentFault
from rlrecipe.hooks.base import TrainerHookBase
from rlrecipe.recipe.dump import dump
from rlrecipe.recipe.load import load
from rlrecipe.recipe.options import Options
from rlrecipe.recipe.registry import register
from rlrecipe.recipe.traits import HookTraits
from tests import small
from tests.cli.command import Commands


class Bare(Options):
    """Without any option."""


ONE = {"env": {"env_name": "CartPole-v1", "num_envs": 1}, "evaluation": {"every": None, "episodes": 1}}
CARTPOLE = {**small.CARTPOLE, **ONE, "trainer": {"total_frames": 128}}
ENCODER = {**small.CARTPOLE["networks"], "encoder": {"name": "mlp", "num_cells": [8]}}
#: Each asks what only an update that is there can tell.
HOOKS = [
    {"name": "optimizer_hook", "optimizer": "adam"},
    {"name": "lr_scheduler_hook", "scheduler": "StepLR", "kwargs": {"step_size": 1}},
]
RECIPES = {
    "CartPole": CARTPOLE,
    "HalfCheetah": {
        **CARTPOLE,
        "env": {
            "env_name": "HalfCheetah-v5",
            "num_envs": 1,
            "kwargs": {"max_episode_steps": 20},
            "transforms": ["observation_norm", "reward_norm"],
        },
    },
    "hooks": {**CARTPOLE, "hooks": HOOKS},
    "an encoder": {**CARTPOLE, "networks": ENCODER},
    "a replay buffer": {**small.DQN, **ONE, "trainer": {"total_frames": 128}},
    "a loss of torchrl": {
        **small.OFF_POLICY,
        **ONE,
        "trainer": {"total_frames": 128},
        "algorithm": {"name": "torchrl_loss", "loss": "DQNLoss"},
        "networks": {"policy": small.QVALUE},
        "exploration": "egreedy",
        "hooks": HOOKS[:1],
    },
}


class Counted:
    """Counts environments of an id, how many live, and learners."""

    def __init__(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        module, _, kind = str(gymnasium.spec(name).entry_point).partition(":")
        made: Any = getattr(importlib.import_module(module), kind)
        begin, close = made.__init__, made.close
        self.log: list[str] = []
        self.live = self.learners = 0

        def counted_init(env: Any, *args: Any, **kwargs: Any) -> None:
            self.live += 1
            self.log.append(f"built, {self.live} live")
            begin(env, *args, **kwargs)

        def counted_close(env: Any) -> None:
            self.live -= 1
            close(env)

        def counted_learner(*args: Any) -> Any:
            self.learners += 1
            return make_learner(*args)

        monkeypatch.setattr(made, "__init__", counted_init)
        monkeypatch.setattr(made, "close", counted_close)
        monkeypatch.setattr("rlrecipe.assembly.fitted.make_learner", counted_learner)


#: Two are tried, one after the other, before the one that trains; evaluation's lives beside it.
FOUR = ["built, 1 live", "built, 1 live", "built, 1 live", "built, 2 live"]


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES.keys())
def test_a_run_builds_four_environments_and_one_learner(
    recipe: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = Counted(recipe["env"]["env_name"], monkeypatch)
    small.train(recipe, tmp_path / "run")
    assert (counted.log, counted.learners) == (FOUR, 1)
    counted.log.clear()
    small.go_on(tmp_path / "run", "trainer.total_frames=192")
    assert (counted.log, counted.learners) == (FOUR, 2)


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES.keys())
def test_validation_builds_one_environment(recipe: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    counted = Counted(recipe["env"]["env_name"], monkeypatch)
    assert small.problems(recipe) == []
    assert counted.log == FOUR[:1]
    assert counted.learners <= 1


def test_a_run_that_is_finished_is_left_without_building_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small.train(CARTPOLE, tmp_path / "run")
    counted = Counted("CartPole-v1", monkeypatch)
    small.go_on(tmp_path / "run")
    assert (counted.log, counted.learners) == ([], 0)


def test_an_environment_that_fails_is_not_tried_again() -> None:
    trial = Trial(load({**CARTPOLE, "env": "Odd-v9"}).recipe)
    fault = trial.fault
    assert [problem.code for problem in trial.problems] == ["E102"]
    with pytest.raises(gymnasium.error.UnregisteredEnv):
        dump(trial.recipe)
    assert trial.fault is fault
    assert not isinstance(fault, EnvironmentFault)


def test_resume_and_fork_say_what_the_run_said(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rlrecipe = Commands(capsys, tmp_path)

    def said(*words: str | Path) -> tuple[str, str]:
        lines = rlrecipe(*words).err.splitlines()
        updates = next(line for line in lines if line.startswith("updates are"))
        level = next(line.partition("; ")[2] for line in lines if "resume level" in line)
        return updates, level

    first = said("run", rlrecipe.recipe(CARTPOLE), "--run-dir", "run")
    assert first[0] == "updates are not compiled: 8 lie ahead (runtime.compile: auto does it from 5,000 on)"
    assert first[1] == "resume level exact (environments are captured by attributes, probed)"
    assert said("resume", "run", "-s", "trainer.total_frames=192") == first
    assert said("fork", "run", "-s", "trainer.total_frames=256", "--run-dir", "fork") == first
    again = ("--run-dir", "run", "--continue", "-s", "trainer.total_frames=320")
    assert said("run", rlrecipe.recipe(CARTPOLE), *again) == first
    assert said("resume", "fork", "-s", "trainer.total_frames=320") == first


def test_a_run_that_does_not_keep_the_reason_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small.train(CARTPOLE, tmp_path / "run")
    path = tmp_path / "run/provenance.json"
    told = json.loads(path.read_text())
    del told["compiling"]
    path.write_text(json.dumps(told))
    assert small.go_on(tmp_path / "run", "trainer.total_frames=192").outcome.code == 0
    assert "updates are not compiled: runtime.compile: off" in (tmp_path / "run/run.log").read_text()


def test_each_trainer_of_a_trial_begins_with_a_learner_of_its_own() -> None:
    trial = small.trial(CARTPOLE)
    one = assemble(trial).trainer
    start = one.update.parameters.flat.clone()
    one.train()
    other = assemble(trial).trainer
    assert torch.equal(other.update.parameters.flat, start)
    assert not torch.equal(one.update.parameters.flat, start)


def test_a_probe_may_say_what_is_missing_and_its_cure_alone() -> None:
    with small.own_components():

        @register("hook", "moon", traits=HookTraits(probe=lambda: ("needs the moon", "fly there")))
        def make(options: Bare) -> TrainerHookBase:
            raise AssertionError("nobody builds it")

        (problem,) = small.probe(load({**CARTPOLE, "hooks": ["moon"]}).recipe)
    assert (problem.code, problem.path) == ("E401", ("hooks", 0, "name"))
    assert (problem.message, problem.suggestion) == ("needs the moon", "fly there")
