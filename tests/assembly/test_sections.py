from collections.abc import Callable
from typing import Any

import pytest

from rlrecipe.assembly.sections import read
from rlrecipe.builders import (
    make_collector_offpolicy,
    make_collector_onpolicy,
    make_dqn_loss,
    make_loss,
    make_replay_buffer,
    make_target_updater,
    make_trainer,
    transformed_env_constructor,
)
from rlrecipe.recipe.errors import RecipeError
from rlrecipe.recipe.slots import Slot

ENV = {"env_name": "CartPole-v1", "num_envs": 3}
LEARNER = make_dqn_loss(env="CartPole-v1", networks={"qvalue": {"name": "mlp", "num_cells": [8]}})
WRONG: dict[str, tuple[Callable[[], Any], str, str, str]] = {
    "an option": (
        lambda: make_replay_buffer({"name": "uniform", "batch_sise": 32}, env=ENV),
        "E101", "replay_buffer.batch_sise", "batch_size",
    ),
    "an option as a keyword": (
        lambda: make_collector_onpolicy(ENV, LEARNER.policy, frame_per_batch=64),
        "E101", "collector.frame_per_batch", "frames_per_batch",
    ),
    "a nested option": (
        lambda: make_replay_buffer(storage={"name": "memory", "max_size": 0}, env=ENV),
        "E102", "replay_buffer.storage.max_size", "",
    ),
    "no section": (lambda: make_replay_buffer(7, env=ENV), "E102", "replay_buffer", ""),  # type: ignore[arg-type] # wrong on purpose
    "a name": (lambda: make_replay_buffer("unifrom", env=ENV), "E201", "replay_buffer.name", "uniform"),
    "an environment's option": (
        lambda: transformed_env_constructor("CartPole-v1", num_env=2), "E101", "env.num_env", "num_envs",
    ),
    "an environment's module": (
        lambda: transformed_env_constructor("own:Maze-v0"), "E102", "env.env_name",
        "write Maze-v0 here and declare the module: imports: [own], or --import own",
    ),
    "an environment": (lambda: make_dqn_loss(env="CartPol-v1"), "E102", "env.env_name", "CartPole-v1"),
    "an algorithm's option": (lambda: make_dqn_loss(env=ENV, duble=True), "E101", "algorithm.duble", "double"),
    "an algorithm": (lambda: make_loss("pppo", env=ENV), "E201", "algorithm.name", "ppo"),
    "a network's slot": (
        lambda: make_dqn_loss(env=ENV, networks={"qvalu": "mlp"}), "E101", "networks.qvalu", "qvalue",
    ),
    "the action space": (
        lambda: make_dqn_loss(env="Pendulum-v1"), "E301", "algorithm",
        "use a2c, ddpg, ppo, reinforce, sac, td3, torchrl_loss",
    ),
    "the observation space": (
        lambda: make_dqn_loss(env={"name": "parts", "observes": "words"}), "E301", "env",
        "wrap the environment so that it observes arrays",
    ),
    "a target's option": (
        lambda: make_target_updater("soft", tua=0.1, learner=LEARNER), "E101", "algorithm.target.tua", "tau",
    ),
    "frames that cannot be shared": (
        lambda: make_collector_onpolicy(ENV, LEARNER.policy, frames_per_batch=64),
        "E302", "collector.frames_per_batch", "make frames_per_batch 63",
    ),
    "a storage too small": (
        lambda: make_replay_buffer(storage={"max_size": 2}, env=ENV),
        "E302", "replay_buffer.storage.max_size", "make replay_buffer.storage.max_size 3 or more",
    ),
    "exploration of another space": (
        lambda: make_collector_offpolicy(ENV, LEARNER.policy, frames_per_batch=3, exploration="gaussian"),
        "E301", "exploration", "",
    ),
    "a recipe's section": (
        lambda: make_trainer(env=ENV, algorithm="ppo", trainer={"total_frame": 1}),
        "E101", "trainer.total_frame", "total_frames",
    ),
    "a recipe's environment": (
        lambda: make_trainer(env="CartPol-v1", algorithm="ppo", trainer={"total_frames": 1}),
        "E102", "env.env_name", "CartPole-v1",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_told_as_a_recipe_tells_it(case: str) -> None:
    call, code, path, suggestion = WRONG[case]
    with pytest.raises(RecipeError) as error:
        call()
    found = {(problem.code, problem.path): problem.problem.suggestion or "" for problem in error.value.problems}
    assert found[code, path] == suggestion


def test_all_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(RecipeError) as error:
        make_replay_buffer(batch_size=0, storage={"name": "disk"}, env=ENV)
    assert [problem.path for problem in error.value.problems] == [
        "replay_buffer.batch_size",
        "replay_buffer.storage.name",
    ]


@pytest.mark.parametrize("given", ["uniform", {"name": "uniform"}, Slot("replay_buffer").read("uniform")])
def test_a_name_a_mapping_and_options_are_the_same_section(given: Any) -> None:
    assert read("replay_buffer", given, {"batch_size": 8}).batch_size == 8
    assert read("replay_buffer", given).batch_size == 256


def test_options_that_were_read_are_taken_as_they_are() -> None:
    options = Slot("env", default="gym", bare="env_name").read("CartPole-v1")
    assert read("env", options) is options
