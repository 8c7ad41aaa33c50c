"""When ``runtime.compile: auto`` compiles."""

from typing import Any

import pytest

from rlrecipe.assembly import resolve as choice
from rlrecipe.assembly.resolve import MANY, updates_ahead, whether_to_compile
from rlrecipe.recipe.load import load
from rlrecipe.runs import training
from tests import small
from tests.cli.command import Commands

RULE = "(runtime.compile: auto does it from 5,000 on)"
LONG = small.changed(small.CARTPOLE, ("trainer", "total_frames"), MANY * 16)
BATCHES = {**small.DQN, "trainer": {"total_frames": 512, "log_interval": 100, "optim_steps_per_batch": 3}}


@pytest.mark.parametrize(
    "recipe",
    [small.CARTPOLE, small.DQN, small.TD3, BATCHES, {**small.CARTPOLE, "algorithm": "a2c"}],
    ids=["ppo", "dqn", "td3", "per batch", "a2c"],
)
def test_the_updates_ahead_are_those_that_come(recipe: Any) -> None:
    trainer = small.build(recipe).trainer
    trainer.train()
    assert updates_ahead(load(recipe).recipe) == pytest.approx(trainer.clock.updates, abs=1)


def test_updates_that_the_recipe_counts_are_those() -> None:
    recipe = {**small.CARTPOLE, "trainer": {"total_updates": 12, "log_interval": 100}}
    assert updates_ahead(load(recipe).recipe) == 12


@pytest.mark.parametrize(
    ("recipe", "overrides", "expected"),
    [
        (LONG, (), ("on", f"5,000 lie ahead {RULE}")),
        (small.CARTPOLE, (), ("off", f"32 lie ahead {RULE}")),
        (small.CARTPOLE, ("runtime.compile=on",), ("on", "runtime.compile: on")),
        (LONG, ("runtime.compile=off",), ("off", "runtime.compile: off")),
        (LONG, ("runtime.device=cuda",), ("off", "updates on cuda cannot be compiled so far")),
        (
            {**small.DQN, "algorithm": {"name": "torchrl_loss", "loss": "DQNLoss"}},
            ("trainer.total_frames=1e6",),
            ("off", "torchrl_loss cannot be compiled"),
        ),
    ],
    ids=["many", "few", "on", "off", "device", "algorithm"],
)
def test_what_auto_chooses_and_why(recipe: Any, overrides: tuple[str, ...], expected: tuple[str, str]) -> None:
    assert whether_to_compile(load(recipe, overrides).recipe) == expected


def test_without_a_compiler_auto_is_eager(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "compiler", lambda: None)
    chosen = whether_to_compile(load(LONG).recipe)
    assert chosen.compile == "off"
    assert chosen.reason.startswith("there is no C++ compiler")
    assert small.trial(LONG).recipe.runtime.compile == "off"


def test_a_run_says_at_its_start_what_was_chosen(
    capsys: pytest.CaptureFixture[str], tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rlrecipe = Commands(capsys, tmp_path)
    answer = rlrecipe("run", rlrecipe.recipe(small.CARTPOLE), "--run-dir", "run")
    assert "updates are not compiled: 32 lie ahead (runtime.compile: auto does it from 5,000 on)\n" in answer.err
    assert load(tmp_path / "run/resolved.yaml").recipe.runtime.compile == "off"


def test_a_hook_that_takes_the_steps_is_said_to_do_so() -> None:
    assembly = small.build(small.CARTPOLE, "runtime.compile=on")
    assert training._updates(assembly) == "updates are compiled: runtime.compile: on"
    assembly.trainer.register_op("optimizer", lambda losses, clip_norm, j: None)
    said = training._updates(assembly)
    assert said == "updates are not compiled: a hook at the point optimizer takes the steps"
