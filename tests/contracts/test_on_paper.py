"""The cases of docs/architecture.md, "Tried on paper": contracts that once did not fit them, by a small component each.

The components are files of a user's own, as any that would be added: ``tests/fixtures/paper``.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from rlrecipe.algorithms.ddpg import heads
from rlrecipe.assembly.assemble import Assembly, assemble
from rlrecipe.assembly.trial import Trial
from rlrecipe.checkpoint.store import CheckpointStore
from rlrecipe.clock import Alarm, Clock
from rlrecipe.interfaces import Prepares, Spaces
from rlrecipe.loggers.base import step_of
from rlrecipe.loop.replayed import Ratio
from rlrecipe.recipe.errors import RecipeError
from rlrecipe.recipe.load import load
from rlrecipe.recipe.registry import find, register
from rlrecipe.recipe.values import Duration
from rlrecipe.runs.fork import fork
from rlrecipe.runs.progress import Display
from rlrecipe.runs.reexecute import replay
from rlrecipe.runs.training import Result
from rlrecipe.runs.verify import verify
from tests import small

PAPER = Path(__file__).parent.parent / "fixtures/paper"
OFFLINE: dict[str, Any] = {
    "env": "Pendulum-v1",
    "algorithm": {"name": "ddpg", "target": {"name": "hard", "every": 20}},
    "networks": {"policy": small.QVALUE, "qvalue": small.QVALUE},
    "collector": "dataset",
    "replay_buffer": {"name": "uniform", "batch_size": 16, "storage": {"name": "memory", "max_size": 256}},
    "trainer": {"total_updates": 60, "log_interval": 10, "optim_steps_per_batch": 5},
    "evaluation": {"every": 20, "episodes": 1},
    "checkpoint": {"every": 20, "keep_last": 100},
}
AGENTS: dict[str, Any] = {**small.CARTPOLE, "env": {"name": "crowd", "num_envs": 4, "agents": 2}}
NOWHERE = Spaces(None, None)
MODELLED: dict[str, Any] = {
    **{key: value for key, value in small.TD3.items() if key != "algorithm"},
    "algorithm": "modelled",
    "networks": {**small.TD3["networks"], "model": small.QVALUE},
}


@pytest.fixture(autouse=True, scope="module")
def these_components() -> Iterator[None]:
    """A file is loaded once for a process: what it registers stays for all tests here, and is forgotten then."""
    with small.own_components():
        yield


def train(recipe: dict[str, Any], name: str, run_dir: Path, *overrides: str) -> Result:
    result = small.train(recipe, run_dir, *overrides, imports=[str(PAPER / f"{name}.py")])
    assert result.outcome.code == 0
    return result


def build(recipe: dict[str, Any], name: str, *overrides: str) -> Assembly:
    return assemble(Trial(load(recipe, overrides, imports=[str(PAPER / f"{name}.py")]).recipe))


def resumed_from_the_middle(run_dir: Path) -> dict[str, Any]:
    """What a run comes to that goes on once more from its second checkpoint."""
    name = CheckpointStore(run_dir / "checkpoints").names()[1]
    assert small.go_on(run_dir / "checkpoints" / name, trust_imports=True).outcome.code == 0
    return small.outcome_of(run_dir)


# -- a dataset: updates without frames


def test_rows_that_are_no_frames_bring_updates() -> None:
    assert [Ratio(0, 0.25, None).due(0, 32), Ratio(0, None, 5).due(0, 32)] == [8, 5]
    # Random frames are still waited for.
    assert [Ratio(100, None, 5).due(frames, 50) for frames in (50, 100, 150)] == [0, 0, 5]


def test_intervals_in_frames_are_counted_in_updates_where_there_are_no_frames() -> None:
    clock = Clock(Duration(60, "updates"))
    alarm = Alarm(Duration(20), clock)
    fired = []
    for clock.updates in range(1, 61):
        if alarm.fires():
            fired.append(clock.updates)
    assert fired == [20, 40, 60]
    clock.frames = 7
    assert clock.count(Duration(1)) == 7


@pytest.mark.parametrize("total", [50, 60])
def test_a_dataset_is_learned_from(total: int, tmp_path: Path) -> None:
    """Rows, evaluations and checkpoints at their intervals; the final policy is evaluated once."""
    run_dir = tmp_path / "run"
    result = train(OFFLINE, "dataset", run_dir, f"trainer.total_updates={total}")
    assert (result.summary["frames"], result.summary["updates"]) == (0, total)
    rows = small.rows(run_dir)
    assert [row["updates"] for row in rows if "loss/qvalue" in row] == list(range(10, total + 1, 10))
    evaluated = [row["updates"] for row in rows if "eval/episode_return_mean" in row]
    assert evaluated == ([20, 40, 50] if total == 50 else [20, 40, 60])
    assert result.summary["eval_return_mean"] == rows[-1]["eval/episode_return_mean"]
    names = CheckpointStore(run_dir / "checkpoints").names()
    assert [int(name.split("-")[1]) for name in names] == [0, *evaluated]
    assert {row["frames"] for row in rows} == {0}


def test_target_networks_follow_at_intervals_in_frames_without_any(tmp_path: Path) -> None:
    trainer = build(OFFLINE, "dataset", "trainer.total_updates=25").trainer
    before = trainer.update.parameters.flat.clone()
    trainer.train()
    targets = trainer.update.targets
    assert targets is not None
    followed = {name: tensor for slot in targets.params.values() for name, tensor in slot.items()}
    assert followed
    assert not torch.equal(targets.copies.flat, before[: len(targets.copies.flat)])


def test_a_run_without_frames_is_resumed_verified_replayed_and_forked(tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    train(OFFLINE, "dataset", run_dir, "trainer.updates_per_frame=0.25", "trainer.optim_steps_per_batch=null")
    whole = small.outcome_of(run_dir)
    assert resumed_from_the_middle(run_dir) == whole
    found = verify(run_dir, trust_imports=True)
    assert (found.verified, found.proved, found.differences) == (True, [(1, 64)], [])
    again = replay(run_dir, 30, 64, trust_imports=True)
    assert [row["updates"] for row in small.rows(again)] == [32, 40, 48, 56, 64]
    forked = fork(run_dir, at=40, run_dir=tmp_path / "fork", trust_imports=True, display=Display(quiet=True))
    assert forked.outcome.code == 0
    assert small.rows(forked.run_dir)[-1] == whole["metrics"][-1]


def test_rows_without_frames_are_logged_at_their_updates() -> None:
    assert [step_of({"frames": 0, "updates": 20}), step_of({"frames": 64, "updates": 20})] == [20, 64]
    assert [step_of({"frames": 0}), step_of({"frames": 0, "updates": "many"})] == [0, 0]


# -- several agents: rows of one environment


def test_an_environment_may_have_a_row_for_each_of_its_agents(tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    result = train(AGENTS, "agents", run_dir)
    whole = small.outcome_of(run_dir)
    # Two worlds of two agents: every batch of 64 frames ends two episodes of 8 steps of each agent.
    assert len(whole["episodes"]) == 512 // 8
    assert {row["length"] for row in whole["episodes"]} == {8}
    # Agents of one world are rewarded apart; evaluated, they answer in turn.
    assert len({row["return"] for row in whole["episodes"]}) > 2
    lengths = [row["eval/episode_length_mean"] for row in whole["metrics"] if "eval/episode_length_mean" in row]
    assert set(lengths) == {16.0}
    assert result.summary["exact"] == "exact"
    assert resumed_from_the_middle(run_dir) == whole


def test_agents_learn(tmp_path: Path) -> None:
    result = train(AGENTS, "agents", tmp_path / "run", "trainer.total_frames=8192", "optimizer.lr=0.01")
    assert result.summary["eval_return_mean"] == 8.0


def test_rows_that_make_no_whole_worlds_are_refused() -> None:
    with pytest.raises(RecipeError) as raised:
        build(AGENTS, "agents", "env.num_envs=3", "collector.frames_per_batch=63", "algorithm.minibatch_size=21")
    assert [(problem.code, problem.path) for problem in raised.value.problems] == [("E302", "env.num_envs")]


# -- a world model: a decoder's head, and a rollout for each sub-batch


def test_a_world_model_prepares_sub_batches_and_decodes_observations(tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    train(MODELLED, "model", run_dir)
    whole = small.outcome_of(run_dir)
    assert all(row["loss/imagined"] > 0 for row in whole["metrics"] if "loss/model" in row)
    # The last layer's outputs are the observation's three numbers; none of the three is a number of the recipe.
    assert build(MODELLED, "model").trainer.update.parameters.named()["model.1.bias"].shape == (3,)
    assert resumed_from_the_middle(run_dir) == whole


def test_heads_that_are_told_no_spaces_still_serve() -> None:
    """As algorithms of one's own were written before."""
    ddpg = find("algorithm", "ddpg")
    traits = {**vars(ddpg.traits), "heads": lambda distribution, options: heads(distribution, options, NOWHERE)}
    with pytest.warns(DeprecationWarning, match="heads are told|traits are given as one") as warned:
        register("algorithm", "earlier", check=ddpg.check, **traits)(ddpg.build)
    told = "the algorithm 'earlier': heads are told the spaces, too: heads(distribution, options, spaces)"
    assert told in [str(each.message) for each in warned]
    assert small.build({**small.TD3, "algorithm": "earlier"})


def test_what_is_prepared_carries_no_gradient_and_nobody_has_to() -> None:
    assembly = build(MODELLED, "model")
    seen: list[Any] = []

    def look(batch: Any) -> Any:
        seen.append(batch["imagined"])
        return batch

    assembly.trainer.register_op("process_optim_batch", look)
    model = assembly.trainer.update.parameters.named()["model.0.weight"].clone()
    assembly.trainer.train()
    assert not torch.equal(assembly.trainer.update.parameters.named()["model.0.weight"], model)
    assert seen
    assert not any(imagined.requires_grad for imagined in seen)
    assert not isinstance(small.build(small.TD3).trainer.algorithm, Prepares)
    assert isinstance(small.build(small.CARTPOLE).trainer.algorithm, Prepares)


# -- collectors on other machines


@pytest.mark.parametrize("recipe", [small.CARTPOLE, small.TD3], ids=["ppo", "td3"])
def test_environments_may_be_stepped_across_a_socket(recipe: dict[str, Any], tmp_path: Path) -> None:
    """To the same bits as in this process; a resumed run goes on in the middle of their episodes."""
    there = {**recipe, "collector": {**recipe["collector"], "name": "elsewhere"}}
    run_dir = tmp_path / "there"
    train(there, "elsewhere", run_dir)
    whole = small.outcome_of(run_dir)
    small.train(recipe, tmp_path / "here")
    assert whole == small.outcome_of(tmp_path / "here")
    assert resumed_from_the_middle(run_dir) == whole


def test_a_component_beside_these_is_one_file() -> None:
    """Each of the files stands alone: a fresh process reads its component's options from it."""
    for kind, name in (("collector", "dataset"), ("env", "agents"), ("algorithm", "model"), ("collector", "elsewhere")):
        code = f"from rlrecipe.cli import main; main(['list', {kind!r}, '--import', {str(PAPER / f'{name}.py')!r}])"
        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
