"""What cannot go together is told before anything is built, each with a way out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

from rlrecipe.assembly.environments import Spaces
from rlrecipe.assembly.fitted import Fitted
from rlrecipe.assembly.memory_needed import index_bytes, memory_problems, row_bytes
from rlrecipe.machine import free_memory, total_memory
from rlrecipe.recipe.errors import Problem
from rlrecipe.recipe.load import load
from tests import small
from tests.processes import rlrecipe

SARSA = Path(__file__).parent / "fixtures/sarsa.py"


def problems(algorithm: str, env: str, *overrides: str) -> list[tuple[str, str, str, str]]:
    """Code, path, message and suggestion of everything that is wrong."""
    return small.problems({"env": env, "algorithm": algorithm, "trainer": {"total_frames": 5000}}, *overrides)


#: The deviation comes from the network, or it does not.
SQUASHED, PLAIN = (f"{{name: tanh_normal, state_dependent: {word}}}" for word in ("true", "false"))


@pytest.mark.parametrize(
    ("algorithm", "env", "overrides", "code", "path", "message", "cure"),
    [
        ("sac", "CartPole-v1", [], "E301", "algorithm", "Discrete(2)", "discrete_sac"),
        ("td3", "CartPole-v1", [], "E301", "algorithm", "Discrete(2)", "dqn"),
        ("dqn", "Pendulum-v1", [], "E301", "algorithm", "Box", "sac"),
        ("discrete_sac", "Pendulum-v1", [], "E301", "algorithm", "Box", "sac"),
        ("ppo", "CartPole-v1", ["loggers=[csv, csv]"], "E302", "loggers.1", "twice", "exp_name"),
        ("ppo", "CarRacing-v3", [], "E301", "env.env_name", "image", "nature_cnn"),
        ("ppo", "CartPole-v1", ["replay_buffer=uniform"], "E302", "replay_buffer", "newest batch", "remove"),
        ("a2c", "CartPole-v1", ["exploration=egreedy"], "E302", "exploration", "newest batch", "remove"),
        ("a2c", "CartPole-v1", ["trainer.updates_per_frame=1"], "E302", "trainer.updates_per_frame", "a2c", "remove"),
        (
            "ppo",
            "CartPole-v1",
            ["collector.init_random_frames=5"],
            "E302",
            "collector.init_random_frames",
            "own actions",
            "remove",
        ),
        ("ppo", "CartPole-v1", ["algorithm.minibatch_size=60"], "E302", "algorithm.minibatch_size", "2048", "make"),
        (
            "dqn",
            "CartPole-v1",
            ["collector.init_random_frames=9000"],
            "E302",
            "collector.init_random_frames",
            "the run has 5000",
            "less than 5000",
        ),
        (
            "sac",
            "Pendulum-v1",
            ["networks.policy.distribution=normal"],
            "E302",
            "networks.policy.distribution",
            "sac needs differentiable draws, which normal does not give",
            "{name: tanh_normal, state_dependent: true} is the default",
        ),
        *(
            (algorithm, env, [f"networks.{slot}.distribution={given}"], "E302", f"networks.{slot}.distribution", *told)
            for algorithm, env, slot, given, *told in (
                ("sac", "Pendulum-v1", "policy", PLAIN, "needs differentiable draws", "state_dependent: true"),
                ("ddpg", "Pendulum-v1", "policy", "normal", "needs deterministic actions", "tanh is"),
                ("td3", "Pendulum-v1", "policy", SQUASHED, "needs deterministic actions", "tanh is"),
                ("ppo", "Pendulum-v1", "policy", "tanh", "needs densities", "categorical or normal"),
                ("a2c", "CartPole-v1", "policy", "greedy", "needs densities", "categorical or normal"),
                ("reinforce", "CartPole-v1", "policy", "greedy", "needs densities", "categorical or normal"),
                ("dqn", "CartPole-v1", "qvalue", "categorical", "needs greedy actions", "greedy is"),
                ("discrete_sac", "CartPole-v1", "policy", "greedy", "needs probabilities", "categorical is"),
            )
        ),
        (
            "sac",
            "Pendulum-v1",
            ["trainer.total_frames=1e13", "replay_buffer={name: prioritized, storage: {max_size: 1e12}}"],
            "E303",
            "replay_buffer.storage.max_size",
            "the priorities of 1000000000000 rows",
            "or less, or use uniform",
        ),
        ("sac", "Pendulum-v1", ["exploration=egreedy"], "E301", "exploration", "Discrete", "use gaussian"),
        (
            "sac",
            "Pendulum-v1",
            ["networks.qvalue.distribution=tanh"],
            "E302",
            "networks.qvalue.distribution",
            "only the policy",
            "remove",
        ),
        (
            "dqn",
            "CartPole-v1",
            ["env.num_envs=4", "replay_buffer.storage.max_size=3"],
            "E302",
            "replay_buffer.storage.max_size",
            "4 environments",
            "4",
        ),
        (
            "sac",
            "Pendulum-v1",
            ["trainer.total_frames=1e13", "replay_buffer.storage.max_size=1e12"],
            "E303",
            "replay_buffer.storage.max_size",
            "1000000000000 rows x",
            "memmap",
        ),
        (
            "sac",
            "Pendulum-v1",
            ["replay_buffer.storage={name: memmap, scratch_dir: no-such-folder}"],
            "E102",
            "replay_buffer.storage",
            "no-such-folder",
            "make it",
        ),
    ],
)
def test_each_combination_is_told_with_its_way_out(
    algorithm: str, env: str, overrides: list[str], code: str, path: str, message: str, cure: str
) -> None:
    found = problems(algorithm, env, *overrides)
    assert len(found) == 1, found
    ((own_code, own_path, own_message, own_cure),) = found
    assert (own_code, own_path) == (code, path)
    assert message in own_message
    assert cure in f"{own_message}\n{own_cure}"


@pytest.mark.parametrize("algorithm", ["sac", "td3", "ddpg"])
def test_unbounded_actions_cannot_be_scaled(algorithm: str) -> None:
    recipe = load({"env": "Pendulum-v1", "algorithm": algorithm, "trainer": {"total_frames": 5000}}).recipe
    free = gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float32)
    found: list[Problem] = Fitted(recipe, Spaces(free, free)).action_problems
    assert [problem.code for problem in found] == ["E301"]
    assert "bounds" in found[0].message
    assert "use" in found[0].message


@pytest.mark.parametrize(
    "space", [gymnasium.spaces.MultiDiscrete([2, 3]), gymnasium.spaces.Dict({"a": gymnasium.spaces.Discrete(2)})]
)
@pytest.mark.parametrize("algorithm", ["dqn", "ppo", "sac"])
def test_spaces_that_no_algorithm_takes(algorithm: str, space: Any) -> None:
    recipe = load({"env": "Pendulum-v1", "algorithm": algorithm, "trainer": {"total_frames": 5000}}).recipe
    found = Fitted(recipe, Spaces(space, space)).action_problems
    assert [problem.code for problem in found] == ["E301"]
    assert "wrap the environment" in (found[0].suggestion or "")


@pytest.mark.parametrize(("algorithm", "change"), [("sac", {"tau": 0.5}), ("dqn", {"every": 250})])
def test_targets_change_without_naming_their_kind(algorithm: str, change: dict[str, Any]) -> None:
    recipe = {
        "env": "CartPole-v1",
        "algorithm": {"name": algorithm, "target": change},
        "trainer": {"total_frames": 900},
    }
    chosen: Any = load(recipe).recipe.algorithm
    assert chosen.target.component.name == ("soft" if algorithm == "sac" else "hard")


def test_a_cure_for_priorities_fits() -> None:
    box = gymnasium.spaces.Box(-1.0, 1.0, (3,), np.float32)
    buffer = {"name": "prioritized", "storage": {"max_size": 10**12}}
    recipe = load({**small.TD3, "trainer": {"total_frames": 10**13}, "replay_buffer": buffer}).recipe
    (problem,) = memory_problems(Fitted(recipe, Spaces(box, box)))
    rows = int(str(problem.suggestion).split()[2])
    assert 0 < index_bytes(recipe, rows) < free_memory()


def test_the_rows_that_are_counted_are_the_rows_that_are_kept() -> None:
    for recipe in (small.DQN, small.TD3):
        built = small.build(recipe)
        buffer: Any = built.trainer.modules["replay_buffer"]
        assert buffer.capacity == 200
        # Of a batch's three flags two are kept.
        assert buffer.nbytes == 200 * (row_bytes(built.spaces) - 1)


def test_a_buffer_may_be_larger_than_what_a_run_fills() -> None:
    box = gymnasium.spaces.Box(-1.0, 1.0, (3,), np.float32)
    row = row_bytes(Spaces(box, box))
    size = (free_memory() + total_memory()) // 2 // row
    recipe = load({**small.TD3, "replay_buffer": {"name": "uniform", "storage": {"max_size": size}}}).recipe
    assert memory_problems(Fitted(recipe, Spaces(box, box))) == []


def test_a_buffer_may_not_be_larger_than_the_machine() -> None:
    recipe = load({**small.TD3, "replay_buffer": {"name": "uniform", "storage": {"max_size": 10**12}}}).recipe
    box = gymnasium.spaces.Box(-1.0, 1.0, (3,), np.float32)
    (problem,) = memory_problems(Fitted(recipe, Spaces(box, box)))
    assert problem.code == "E303"
    assert "1000000000000 rows x" in problem.message
    assert "memmap" in (problem.suggestion or "")


def test_priorities_count_as_a_whole_whatever_the_run_fills() -> None:
    storage = {"name": "memmap", "max_size": 10**12}
    recipe = load({**small.DQN, "replay_buffer": {"name": "prioritized", "storage": storage}}).recipe
    box = gymnasium.spaces.Box(-1.0, 1.0, (4,), np.float32)
    (problem,) = memory_problems(Fitted(recipe, Spaces(box, gymnasium.spaces.Discrete(2))))
    assert problem.code == "E303"
    assert "priorities of 1000000000000 rows need 16384.0 GiB" in problem.message
    assert "use uniform" in (problem.suggestion or "")


def test_an_algorithm_of_the_users_own_file_trains_and_resumes_exactly(own_components: None, tmp_path: Path) -> None:
    recipe = {**small.DQN, "algorithm": "sarsa"}
    small.train(recipe, tmp_path / "whole", imports=[str(SARSA)])
    code = small.train(recipe, tmp_path / "stopped", "trainer.time_limit=1", imports=[str(SARSA)]).outcome.code
    while code == 75:
        code = small.go_on(tmp_path / "stopped", trust_imports=True).outcome.code
    assert code == 0
    assert small.outcome_of(tmp_path / "stopped") == small.outcome_of(tmp_path / "whole")
    assert small.train(recipe, tmp_path / "again", imports=[str(SARSA)]).summary["updates"] > 30


@pytest.mark.parametrize("command", [["list", "algorithm"], ["describe", "algorithm/sarsa"], ["schema"]])
def test_an_algorithm_of_the_users_own_file_is_told_of(command: list[str]) -> None:
    """In a process of its own: what a file registers stays registered."""
    shown = rlrecipe(*command, "--import", SARSA).out
    assert "sarsa" in shown
    assert "Expected SARSA" in shown
    if command[0] != "list":
        assert "temperature" in shown
