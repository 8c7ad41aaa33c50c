"""Trainers of algorithms in Python: the same result as a recipe, saved, loaded, evaluated."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
import torch

import rlrecipe.trainers
from rlrecipe.errors import Refusal
from rlrecipe.recipe import registry
from rlrecipe.recipe.errors import RecipeError
from rlrecipe.recipe.options import Component
from rlrecipe.trainers import (
    A2CTrainer,
    DDPGTrainer,
    DQNTrainer,
    HookError,
    LogScalar,
    LogTiming,
    NanGuard,
    PPOTrainer,
    ReinforceTrainer,
    SACTrainer,
    TD3Trainer,
)
from tests import small

SMALL = {"networks": {"policy": {"num_cells": [8]}, "value": {"num_cells": [8]}}}
PPO = {**SMALL, "env": {"env_name": "CartPole-v1", "num_envs": 2}, "collector": {"frames_per_batch": 64}}
Q = {"num_cells": [8]}
OFF: dict[str, Any] = {
    "replay_buffer": {"batch_size": 16},
    "collector": {"frames_per_batch": 64, "init_random_frames": 64},
}
OFF |= {"env": {"env_name": "Pendulum-v1", "num_envs": 2}, "updates_per_frame": 0.2}


def ppo(total_frames: int = 256, **options: Any) -> Any:
    return PPOTrainer(total_frames=total_frames, **{**PPO, "num_epochs": 2, "minibatch_size": 32, **options})


def flat(trainer: Any) -> torch.Tensor:
    parameters: torch.Tensor = trainer.update.parameters.flat
    return parameters


# -- what comes out


def test_it_is_the_recipe_with_the_same_options(tmp_path: Path) -> None:
    recipe = {
        **{key: PPO[key] for key in ("networks", "collector", "env")},
        "algorithm": {"name": "ppo", "num_epochs": 2, "minibatch_size": 32},
        "trainer": {"total_frames": 256, "clip_norm": 0.3},
        "optimizer": {"lr": 1e-2},
        "seed": 5,
    }
    trainer = ppo(seed=5, clip_norm=0.3, optimizer={"lr": 1e-2})
    trainer.train()
    result = small.train(recipe, tmp_path / "run")
    saved = small.saved_policy(result.run_dir)
    named = trainer.update.parameters.named()
    compared = [name for name in named if name in saved]
    assert len(compared) >= 4
    assert all(torch.equal(named[name], saved[name]) for name in compared)
    assert not torch.equal(flat(trainer), flat(ppo(seed=5)))


@pytest.mark.parametrize(
    ("made", "networks"),
    [
        (SACTrainer, ("policy", "qvalue")),
        (TD3Trainer, ("policy", "qvalue")),
        (DDPGTrainer, ("policy", "qvalue")),
        (DQNTrainer, ("qvalue",)),
        (A2CTrainer, ("policy", "value")),
        (ReinforceTrainer, ("policy", "value")),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_a_trained_one_is_loaded_into_a_fresh_one(made: Any, networks: tuple[str, ...], tmp_path: Path) -> None:
    own = PPO if "value" in networks else {**OFF, **({"env": "CartPole-v1"} if networks == ("qvalue",) else {})}
    options = {**own, "networks": dict.fromkeys(networks, Q)}

    def trainer() -> Any:
        return made(total_frames=256, save_trainer_file=tmp_path / "x.pt", **options)

    one, other = trainer(), trainer()
    start = flat(other).clone()
    one.train()
    other.load_from_file(tmp_path / "x.pt")
    assert torch.equal(flat(one), flat(other))
    assert not torch.equal(flat(other), start)
    assert one.clock.updates == other.clock.updates > 0
    other.shutdown()


def test_one_seed_gives_one_result_and_another_another() -> None:
    found = []
    for seed in (0, 0, 1):
        trainer = ppo(seed=seed)
        trainer.train()
        found.append(flat(trainer))
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_the_documented_lines(tmp_path: Path) -> None:
    path = tmp_path / "ppo.pt"
    trainer = ppo(seed=0, save_trainer_file=path)
    trainer.train()
    report = trainer.evaluate(3)
    assert report["episodes"] == 3
    assert report["return_mean"] == pytest.approx(sum(report["returns"]) / 3)
    assert trainer.evaluate(3) == report
    trainer.save_trainer(True)
    assert trainer.load_from_file(path) is trainer
    assert trainer.evaluate(3) == report


@pytest.mark.parametrize("backend", ["torch", "safetensors", "dcp"])
def test_what_is_interrupted_and_loaded_goes_on_exactly(
    backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CKPT_BACKEND", backend)
    whole, first, second = ppo(), ppo(save_trainer_file=tmp_path / "x"), ppo()
    whole.train()
    first.register_op("post_steps", lambda: first.interrupt("a test") if first.clock.frames == 128 else None)
    first.train()
    assert (first.clock.frames, first.is_shut_down) == (128, False)
    first.shutdown()
    second.load_from_file(tmp_path / "x").train()
    assert torch.equal(flat(second), flat(whole))
    assert second.clock.frames == 256


def test_a_longer_one_goes_on_from_it(tmp_path: Path) -> None:
    ppo(128, save_trainer_file=tmp_path / "x.pt").train()
    longer = ppo(256).load_from_file(tmp_path / "x.pt")
    longer.train()
    assert longer.clock.frames == 256
    done = ppo(64)
    done.train()
    done.clock.frames = 0
    with pytest.raises(Refusal, match="build a trainer anew"):
        done.train()


# -- options


def test_hooks_by_name_by_options_and_as_objects(tmp_path: Path) -> None:
    trainer = ppo(hooks=["nan_guard", LogScalar("action", "picked"), {"name": "log_scalar", "key": ["next", "reward"]}])
    trainer.train()
    assert {"picked", "batch/next/reward"} <= trainer.rows[-1].keys()
    assert [type(hook.op).__name__ for hook in trainer.points.ops["pre_steps_log"]] == ["LogScalar", "LogScalar"]
    with pytest.raises(HookError, match="needs the batch's entry"):
        ppo(hooks=[{"name": "select_keys", "keys": ["action"]}]).train()


@pytest.mark.parametrize(
    ("hooks", "message"),
    [
        ("nan_guard", r"PPOTrainer: hooks is a list, got 'nan_guard'; write hooks=\[\.\.\.\]"),
        ({"name": "nan_guard"}, "hooks is a list"),
        (LogScalar("action"), "hooks is a list, got .*LogScalar"),
        (["nan_guard", lambda: 0], r"hooks\[1\] is no hook: .*lambda.*; register a function .* trainer\.register_op"),
        ([LogScalar], r"hooks\[0\] is no hook: .*; build it: LogScalar\(\.\.\.\)"),
        ([3], r"hooks\[0\] is no hook: 3; write a name"),
    ],
    ids=["name", "mapping", "hook", "function", "class", "number"],
)
def test_hooks_that_are_none_are_told_the_cure(hooks: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        ppo(hooks=hooks)


def test_none_is_not_given_and_another_kind_of_section_is_refused_by_the_recipe() -> None:
    assert ppo(hooks=None, trainer=None, networks=None).recipe == ppo(networks={}).recipe
    assert ppo(trainer={"clip_norm": 0.3}).recipe == ppo(clip_norm=0.3).recipe
    with pytest.raises(RecipeError, match="trainer: expected a mapping of options, got the text 'x'"):
        ppo(trainer="x")


def test_hooks_of_one_name_are_numbered_in_order_by_hand_or_not() -> None:
    by_hand = ppo(hooks=[NanGuard(), "log_timing", NanGuard(), LogTiming(), "nan_guard"])
    names = [name for name in by_hand.modules if name.startswith(("nan_guard", "log_timing"))]
    assert names == ["nan_guard", "log_timing", "nan_guard.1", "log_timing.1", "nan_guard.2"]
    by_name = ppo(hooks=["nan_guard", "log_timing", "nan_guard", "log_timing", "nan_guard"])
    assert by_name.modules.keys() == by_hand.modules.keys()
    with pytest.raises(HookError, match=r"as 'nan_guard'; .* give one of them another name"):
        NanGuard().register(by_hand)


def test_evaluations_are_in_the_rows() -> None:
    trainer = ppo(evaluation={"every": 128, "episodes": 2}, log_interval=64)
    trainer.train()
    assert ["eval/episode_return_mean" in row for row in trainer.rows] == [False, True, False, True]
    assert trainer.rows[-1]["eval/episode_return_mean"] == trainer.evaluate(2)["return_mean"]


def test_a_time_limit_interrupts() -> None:
    trainer = ppo(time_limit=128)
    trainer.train()
    assert (trainer.clock.frames, trainer.interrupted, trainer.complete) == (
        128,
        "trainer.time_limit was reached",
        False,
    )
    trainer.train()
    assert (trainer.clock.frames, trainer.complete) == (256, True)


def test_what_is_wrong_is_said() -> None:
    with pytest.raises(TypeError, match=r"PPOTrainer has no option 'epochs'; did you mean num_epochs\?"):
        ppo(epochs=3)
    with pytest.raises(TypeError, match="PPOTrainer has no option 'zzz'; there are: env, seed, "):
        ppo(zzz=3)
    with pytest.raises(RecipeError, match=r"gamma.*\n(.*\n)*.*minibatch_size"):
        ppo(gamma=3.0, minibatch_size=33)
    with pytest.raises(RecipeError, match="CartPole-v1"):
        ppo(env="CartPol-v1")
    with pytest.raises(ImportError):
        exec("from rlrecipe.trainers import ZZZTrainer")


def test_environments_are_closed_when_training_raises() -> None:
    trainer = ppo()
    trainer.register_op("post_steps", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        trainer.train()
    assert trainer.is_shut_down


# -- one for each algorithm


@pytest.mark.parametrize("component", registry.search("algorithm"), ids=lambda component: component.name)
def test_every_algorithm_has_its_trainer_with_its_options(component: Component) -> None:
    (name,) = [each for each in dir(rlrecipe.trainers) if each.lower() == component.name.replace("_", "") + "trainer"]
    made = getattr(rlrecipe.trainers, name)
    assert made.__name__ == name
    assert made is getattr(rlrecipe.trainers, name)
    parameters = inspect.signature(made).parameters
    assert {*component.options.model_fields, "env", "total_frames", "seed", "networks", "hooks"} <= parameters.keys()
    for option, field in component.options.model_fields.items():
        assert f"{option}: {field.description}" in (inspect.getdoc(made) or "")


def test_one_more_algorithm_is_one_more_class() -> None:
    with small.own_components():
        import importlib.util

        spec = importlib.util.spec_from_file_location("sarsa", Path(__file__).parents[1] / "fixtures" / "sarsa.py")
        assert spec is not None
        assert spec.loader is not None
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
        made = rlrecipe.trainers.SarsaTrainer
        assert made.__mro__[1].__name__ == "AlgorithmTrainer"
        assert made.component.name == "sarsa"


def test_an_off_policy_one_goes_on_exactly_with_its_buffer(tmp_path: Path) -> None:
    def sac() -> Any:
        return SACTrainer(
            total_frames=384, save_trainer_file=tmp_path / "x.pt", networks={"policy": Q, "qvalue": Q}, **OFF
        )

    whole, first, second = sac(), sac(), sac()
    whole.train()
    first.register_op("post_steps", lambda: first.interrupt("a test") if first.clock.frames == 192 else None)
    first.train()
    first.shutdown()
    second.load_from_file(tmp_path / "x.pt").train()
    assert torch.equal(flat(second), flat(whole))
