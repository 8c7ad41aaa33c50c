"""Environments that break gymnasium's interface are told by name; those that are only unusual train."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

from rlrecipe.assembly.assemble import make_trainer
from rlrecipe.cli import main
from rlrecipe.recipe.load import load
from tests import small
from tests.cases import environments

RECIPE: dict[str, Any] = {
    **small.CARTPOLE,
    "env": {"env_name": "Odd-v0", "num_envs": 2},
    "trainer": {"total_frames": 128},
    "evaluation": {"episodes": 2},
}


def odd(name: str, **more: Any) -> dict[str, Any]:
    return {**RECIPE, "env": {"env_name": "Odd-v0", "num_envs": 2, "kwargs": {"odd": name}}, **more}


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("shape", ["reset()", "shape (4,)", "Box(-1.0, 1.0, (3,), float32)"]),
        ("old_reset", ["reset()", "shape (3,)", "2 values: observation, info"]),
        ("old_step", ["step()", "a tuple of 4", "5 values", "truncated"]),
        ("text_reward", ["step()", "'1.0' (str) as the reward", "one number"]),
        ("exit", ["step()", "SystemExit: the simulator asked to stop"]),
    ],
)
def test_what_breaks_the_interface_is_told_with_environment_method_and_cure(
    name: str, told: list[str], tmp_path: Path, capsys: Any
) -> None:
    recipe = tmp_path / "odd.json"
    recipe.write_text(json.dumps(odd(name)))
    assert main(["validate", str(recipe), "--format", "json"]) == 3
    (error,) = json.loads(capsys.readouterr().out)["errors"]
    assert (error["code"], error["path"]) == ("E301", "env")
    assert error["message"].startswith("Odd-v0: ")
    assert all(part in error["message"] for part in told)
    assert error["suggestion"]
    assert main(["run", str(recipe), "--run-dir", str(tmp_path / "run")]) == 3
    assert error["message"] in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_an_environment_that_exits_later_fails_the_run_by_name(tmp_path: Path, monkeypatch: Any) -> None:
    def step(self: Any, action: Any) -> Any:
        self.t += 1
        self.lived = getattr(self, "lived", 0) + 1
        if self.lived == 60:
            raise SystemExit("the simulator asked to stop")
        return self.observe(), 1.0, self.t == 20, False, {}

    monkeypatch.setattr(environments.Odd, "step", step)
    # One environment, whose probed sister lives 55 steps.
    result = small.train({**RECIPE, "env": {"env_name": "Odd-v0", "num_envs": 1}}, tmp_path / "run")
    assert (result.outcome.code, result.outcome.state) == (1, "failed")
    assert "Odd-v0: step() raised SystemExit: the simulator asked to stop" in result.outcome.reason


def test_one_that_cannot_be_closed_is_warned_of(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match=r"Odd-v0: close\(\) raised RuntimeError: nobody is connected"):
        result = small.train(odd("close_raises"), tmp_path / "run")
    assert (result.outcome.code, result.summary["eval_return_mean"]) == (0, 20.0)


@pytest.mark.parametrize("kind", [np.int64, np.uint8])
def test_fractions_in_a_space_of_whole_numbers_are_seen_and_said(
    kind: Any, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Whole(environments.IntegerSpace):
        def __init__(self, render_mode: str | None = None) -> None:
            super().__init__()
            self.observation_space = gymnasium.spaces.Box(0, 10, (3,), kind)

    monkeypatch.setattr(gymnasium.registry["IntegerSpace-v0"], "entry_point", Whole)
    recipe = {**RECIPE, "env": {"env_name": "IntegerSpace-v0", "num_envs": 2}}
    assembly = make_trainer(recipe)
    batch = assembly.trainer.collector.collect()
    assert np.unique(batch["observation"].reshape(-1, 3), axis=0).tolist() == [pytest.approx([0.9, 1.5, 0.1])]
    stage = assembly.trainer.stage
    assert stage is not None
    env = stage.make()
    assert env.reset(seed=0)[0].tolist() == [0.9, 1.5, 0.1]
    assembly.trainer.collector.close()
    assert assembly.hints == (f"IntegerSpace-v0: the observation is float64, but its space says {np.dtype(kind)}",)
    assert main(["run", str(_written(tmp_path, recipe)), "--run-dir", str(tmp_path / "run")]) == 0
    assert capsys.readouterr().err.count(f"its space says {np.dtype(kind)}") == 1


def _written(folder: Path, recipe: dict[str, Any]) -> Path:
    path = folder / "recipe.json"
    path.write_text(json.dumps(recipe))
    return path


def test_each_row_has_its_own_environments_observation() -> None:
    assembly = make_trainer(
        {**RECIPE, "env": {"env_name": "SharedBuffer-v0", "num_envs": 3}, "collector": {"frames_per_batch": 96}}
    )
    batch = assembly.trainer.collector.collect()
    assembly.trainer.collector.close()
    numbers = batch["next", "reward"]
    assert len(set(numbers[0].tolist())) == 3
    for key in ("observation", ("next", "observation")):
        assert (batch[key][..., 0] == numbers).all()
    # And the last observation of an episode is that of its last step.
    assert (batch["next", "observation"][..., 1][batch["next", "done"]] == 5).all()


@pytest.mark.parametrize("command", ["validate", "run"])
def test_a_close_that_fails_is_one_plain_line(command: str, tmp_path: Path, capsys: Any) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(small.dump_of(odd("close_raises")))
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert main([command, str(path), *(["--run-dir", str(tmp_path / "run")] if command == "run" else [])]) == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if "close()" in line or "Warning" in line]
    assert lines == ["warning: Odd-v0: close() raised RuntimeError: nobody is connected; what it computed stands"]


class Wrong(environments.Odd):
    """Its third reward or observation is not finite."""

    def __init__(self, what: str = "", number: float = 1.0, render_mode: str | None = None) -> None:
        super().__init__()
        self.what, self.number = what, number

    def step(self, action: Any) -> Any:
        observation, reward, *ends = super().step(action)
        factor = np.float32(self.number if self.t == 3 else 1)
        if self.what == "reward":
            return observation, float(reward / factor), *ends
        return observation / factor, reward, *ends


entry: Any = Wrong
gymnasium.register("Wrong-v0", entry)


@pytest.mark.parametrize("what", ["reward", "observation"])
def test_what_is_not_finite_in_evaluations_alone_ends_a_run_as_in_training(
    what: str, tmp_path: Path, capsys: Any
) -> None:
    recipe = {**RECIPE, "env": {"env_name": "Wrong-v0", "num_envs": 2, "kwargs": {"what": what}}}
    recipe["evaluation"] = {"episodes": 2, "env": {"kwargs": {"number": 0.0}}}
    with np.errstate(all="ignore"):
        result = small.train(recipe, tmp_path / "run")
        assert (result.outcome.code, result.outcome.state) == (6, "failed")
        assert f"not finite in an evaluation: {what}s" in result.outcome.reason
        assert main(["evaluate", str(tmp_path / "run"), "--json"]) == 6
    assert json.loads(capsys.readouterr().out)["exit_code"] == 6


def test_the_end_of_an_environment_s_data_is_told_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = iter(range(70))
    step = environments.Odd.step
    monkeypatch.setattr(environments.Odd, "step", lambda self, action: (next(rows), step(self, action))[1])
    result = small.train({**RECIPE, "env": {"env_name": "Odd-v0", "num_envs": 1}}, tmp_path / "run")
    assert (result.outcome.code, result.outcome.state) == (1, "failed")
    assert "Odd-v0: step() raised StopIteration" in result.outcome.reason


@pytest.mark.parametrize("num_envs", [1, 2])
def test_an_exception_of_an_environments_own_is_told_with_its_name_and_method(
    num_envs: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left, step = iter([True] * 200), environments.Odd.step

    def fail_later(self: Any, action: Any) -> Any:
        if not next(left, False):
            raise KeyError("key")
        return step(self, action)

    monkeypatch.setattr(environments.Odd, "step", fail_later)
    recipe = {**RECIPE, "env": {"env_name": "Odd-v0", "num_envs": num_envs}, "trainer": {"total_frames": 512}}
    result = small.train(recipe, tmp_path / "run")
    assert (result.outcome.code, result.outcome.state) == (1, "failed")
    assert result.outcome.reason == "KeyError: 'key', raised by step() of Odd-v0"


def test_a_reward_too_large_for_a_float_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environments.Odd, "step", lambda self, action: (self.observe(), 10**400, True, False, {}))
    (problem,) = small.probe(load(odd("none")).recipe)
    assert problem.message == (
        "Odd-v0: step() returned a number too large for a float as the reward, "
        "but a reward is a float, of at most 1.8e308"
    )


@pytest.mark.parametrize(
    ("space", "told"),
    [
        (gymnasium.spaces.Box(0, 1, (0,)), "which holds no number"),
        (
            gymnasium.spaces.Dict(
                o=gymnasium.spaces.Dict(img=gymnasium.spaces.Box(0, 255, (36, 36, 3), np.uint8)),
                n=gymnasium.spaces.Discrete(4),
            ),
            "the o holds a picture, img",
        ),
    ],
)
def test_observations_that_no_network_can_read(space: Any, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def init(self: Any, odd: str = "none", render_mode: str | None = None) -> None:
        self.odd, self.observation_space, self.action_space = odd, space, gymnasium.spaces.Discrete(2)

    monkeypatch.setattr(environments.Odd, "__init__", init)
    monkeypatch.setattr(environments.Odd, "observe", lambda self: space.sample())
    (problem,) = small.probe(load(odd("none")).recipe)
    assert (problem.code, problem.path) == ("E301", ("env",))
    assert told in problem.message
