"""Networks behind encoders and memories in whole recipes: who moves what, exact resume, and what does not fit."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rlrecipe import load_policy
from rlrecipe.assembly.assemble import Assembly
from rlrecipe.interfaces import SEQUENCE_STEP
from rlrecipe.recipe.errors import RecipeError
from rlrecipe.recipe.load import load
from rlrecipe.recipe.registry import find
from rlrecipe.runs.evaluate import evaluate
from tests import parts, small

CONV = {"name": "conv", "channels": [4], "kernels": [3], "strides": [3]}
PER_KEY = {"name": "per_key", "keys": {"image": CONV, "direction": {"name": "one_hot"}}}
HEADS = {"policy": {"num_cells": [8]}, "value": {"num_cells": [8]}}
ENV = {"name": "parts", "num_envs": 2}
IMAGES = {**ENV, "observes": "image"}
PPO = {**small.CARTPOLE, "env": ENV, "networks": {**HEADS, "encoder": PER_KEY}}
RECURRENT = {
    **small.CARTPOLE,
    "env": {"name": "t_maze", "num_envs": 2, "length": 3},
    "networks": {**HEADS, "memory": {"name": "lstm", "hidden_size": 4}},
}
CONTINUOUS = {**ENV, "actions": "continuous"}
SAC = {
    **small.TD3,
    "env": CONTINUOUS,
    "algorithm": "sac",
    "networks": {"policy": {"num_cells": [8]}, "qvalue": {"num_cells": [8]}, "encoder": PER_KEY},
}
#: With a shared encoder, encoders of their own, inputs, memories; on rows of numbers and on bytes.
RECIPES: dict[str, Any] = {
    "shared": PPO,
    "images": {**PPO, "env": IMAGES, "networks": {**HEADS, "encoder": CONV}},
    "own": {**PPO, "env": IMAGES, "networks": {"policy": CONV, "value": {**CONV, "features": 5}}},
    "inputs": {**PPO, "networks": {slot: {"num_cells": [8], "inputs": ["direction", "speed"]} for slot in HEADS}},
    "layers shared": {
        **small.CARTPOLE,
        "networks": {**HEADS, "encoder": {"name": "mlp", "num_cells": [8, 6], "layer_norm": True}},
    },
    "layers of an entry": {
        **PPO,
        "networks": {**HEADS, "encoder": {"name": "per_key", "keys": {"image": CONV, "speed": {"name": "mlp"}}}},
    },
    "numbers beside an image normalised": {**PPO, "env": {**ENV, "transforms": ["observation_norm"]}},
    "lstm": RECURRENT,
    "gru behind an encoder": {**PPO, "networks": {**HEADS, "encoder": PER_KEY, "memory": "gru"}},
    "dqn on images": {**small.DQN, "env": IMAGES, "networks": {"qvalue": {"num_cells": [8]}, "encoder": CONV}},
    "sac": SAC,
    "sac with its own": {
        **SAC,
        "env": {**CONTINUOUS, "observes": "image"},
        "networks": {"policy": CONV, "qvalue": CONV},
    },
    "td3": {**SAC, "algorithm": "td3"},
}


def trained(recipe: Any) -> Assembly:
    assembly = small.build(recipe)
    assembly.trainer.train()
    return assembly


@pytest.mark.parametrize("name", RECIPES)
def test_every_parameter_is_learned_and_the_policy_is_evaluated_and_resumed_exactly(name: str, tmp_path: Path) -> None:
    before = small.build(RECIPES[name]).trainer.update.parameters.named()
    whole, killed = small.snapshots(RECIPES[name], tmp_path)
    after = load_policy(whole).policy.parameters.named()
    still = [key for key, tensor in after.items() if torch.equal(tensor, before[key])]
    assert still == []
    for run_dir in killed[1::5]:
        assert small.go_on(run_dir).outcome.code == 0
        assert small.outcome_of(run_dir) == small.outcome_of(whole), run_dir.name
    summary = small.outcome_of(whole)["summary"]
    again = evaluate(load_policy(whole), summary["eval_episodes"])
    assert again["return_mean"] == summary["eval_return_mean"]


def test_bytes_of_an_image_stay_bytes_in_batches_and_buffers() -> None:
    assembly = trained(RECIPES["dqn on images"])
    assert assembly.trainer.collector.collect()["observation"].dtype == torch.uint8
    buffer: Any = assembly.trainer.modules["replay_buffer"]
    assert buffer.ring.arrays["observation"].dtype == np.uint8
    assert buffer.ring.arrays["observation"].max() == 200
    on_policy = small.build(RECIPES["images"]).trainer.collector.collect()
    assert on_policy["observation"].dtype == on_policy["next", "observation"].dtype == torch.uint8


def test_the_critics_move_a_shared_encoder_and_copies_of_it_follow() -> None:
    update = small.build(SAC).trainer.update
    moved = {part.name: set(part.layout.slots) for part in update.parts}
    assert moved == {"loss_qvalue": {"qvalue", "encoder"}, "loss_policy": {"policy", "alpha"}}
    policy = next(part for part in update.parts if part.name == "loss_policy")
    shared = policy.params["policy"]["encoder.image.0.weight"]
    assert not shared.requires_grad, "the policy's gradient does not reach the encoder"
    assert update.targets is not None
    copy = update.targets.params["target_encoder"]["image.0.weight"]
    assert update.targets.params["target_qvalue"]["encoder.image.0.weight"].data_ptr() == copy.data_ptr()
    assert copy.data_ptr() != shared.data_ptr()


def test_a_policy_with_a_memory_acts_one_step_after_the_other(tmp_path: Path) -> None:
    run_dir = small.train(RECURRENT, tmp_path / "run").run_dir
    policy = load_policy(run_dir)
    sign, corridor = np.array([1.0, 0.0], np.float32), np.zeros(2, np.float32)

    def remembered() -> np.ndarray:
        policy.reset()
        policy(sign)
        policy(corridor)
        assert policy._carry is not None
        return policy._carry

    first = remembered()
    assert np.array_equal(remembered(), first)
    policy.reset()
    policy(-sign)
    policy(corridor)
    assert policy._carry is not None
    assert not np.array_equal(policy._carry, first)


def test_a_loaded_policy_takes_what_the_environment_gives(tmp_path: Path) -> None:
    policy = load_policy(small.train(PPO, tmp_path / "run").run_dir)
    env = parts.Parts("parts", "discrete")
    observation, _ = env.reset(seed=0)
    assert policy(observation) in range(4)
    assert policy(policy.observation_space.row(observation)) == policy(observation)


def test_sequences_keep_their_steps_in_order() -> None:
    algorithm: Any = small.build(RECURRENT, "algorithm.sequence_length=4").trainer.algorithm
    steps, envs = 32, 2
    for sequences in algorithm.sequences(steps, envs, np.random.default_rng(0)):
        assert (np.diff(sequences, axis=0) == envs).all()
        assert (sequences[0] // envs % 4 == 0).all()
    seen = np.stack(list(algorithm.sequences(steps, envs, np.random.default_rng(0))))
    assert np.array_equal(np.sort(seen.reshape(-1)), np.repeat(np.arange(steps * envs), 2)), "each row once an epoch"


def test_a_sub_batch_says_how_long_its_sequences_are_and_the_loss_reads_nothing_else() -> None:
    trainer = small.build(RECURRENT, "algorithm.sequence_length=4").trainer
    batch = trainer.collector.collect()
    trainer.sampler.extend(trainer.update.params, batch)
    trainer.sampler.begin(batch)
    taken = trainer.sampler.take()
    steps = taken[SEQUENCE_STEP]
    assert steps.shape == (len(taken["action"]), 4)
    assert steps.argmax(-1).tolist() == sorted(steps.argmax(-1).tolist()), "the steps of all first"
    algorithm: Any = trainer.algorithm
    inputs = {name: torch.tensor(0.2) for name in trainer.inputs}
    before, _ = algorithm.loss(trainer.update.params, taken, inputs)
    # What else the algorithm is asked in between moves nothing.
    list(algorithm.sequences(8, 2, np.random.default_rng(0)))
    again, _ = algorithm.loss(trainer.update.params, taken, inputs)
    other, _ = algorithm.loss(trainer.update.params, {**taken, SEQUENCE_STEP: torch.eye(2).repeat(16, 1)}, inputs)
    assert torch.equal(before, again)
    assert not torch.equal(before, other)


PLAIN = {**PPO, "networks": HEADS}


@pytest.mark.parametrize(
    ("recipe", "path", "said"),
    [
        ({**PLAIN, "env": {**ENV, "observes": "words"}}, ("env",), "ppo reads numbers, but the environment observes"),
        ({**PLAIN, "env": IMAGES}, ("networks", "policy"), "mlp reads vectors, but observation is an image"),
        ({**PPO, "networks": {**HEADS, "memory": "lstm"}}, ("networks", "memory"), "reads vectors, but image is an im"),
        (
            {**PPO, "networks": {"policy": {"inputs": ["sped"]}, "value": {"inputs": ["speed"]}}},
            ("networks", "policy", "inputs", 0),
            "no entry 'sped'; it has",
        ),
        (
            {**PPO, "networks": {**HEADS, "encoder": {"name": "per_key", "keys": {"imag": CONV}}}},
            ("networks", "encoder", "keys", "imag"),
            "no entry 'imag'",
        ),
        (
            {**PPO, "networks": {**HEADS, "encoder": {"name": "per_key", "keys": {"speed": "lstm"}}}},
            ("networks", "encoder", "keys", "speed"),
            "lstm is no encoder",
        ),
        (
            {**PPO, "networks": {**HEADS, "encoder": {"name": "per_key", "keys": {"image": "mlp"}}}},
            ("networks", "encoder", "keys", "image"),
            "mlp reads vectors, but image is an image",
        ),
        (
            {**small.CARTPOLE, "networks": {**HEADS, "encoder": {"name": "mlp", "num_cells": []}}},
            ("networks", "encoder", "num_cells"),
            "an encoder without layers",
        ),
        (
            {**PPO, "env": IMAGES, "networks": {**HEADS, "encoder": {**CONV, "kernels": [20]}}},
            ("networks", "encoder", "kernels"),
            "a kernel of 20 does not fit",
        ),
        (
            {**PPO, "networks": {**HEADS, "encoder": CONV}},
            ("networks", "encoder", "inputs"),
            "it would read image alone, and not direction, speed",
        ),
        (
            {**PPO, "networks": {**RECIPES["inputs"]["networks"], "encoder": PER_KEY}},
            ("networks", "encoder"),
            "no network reads the encoder",
        ),
        (
            {**SAC, "networks": {**SAC["networks"], "qvalue": {"num_cells": [8], "inputs": ["speed"]}}},
            ("networks", "qvalue"),
            "the critics' loss moves a shared encoder, and qvalue does not read it",
        ),
        (
            {
                **RECIPES["gru behind an encoder"],
                "networks": {
                    **RECIPES["gru behind an encoder"]["networks"],
                    "value": {"num_cells": [8], "inputs": ["speed"]},
                },
            },
            ("networks", "value", "inputs"),
            "with a memory, every network reads what it remembers",
        ),
        (
            {**PPO, "networks": {**HEADS, "encoder": {**CONV, "inputs": ["speed"]}}},
            ("networks", "encoder", "inputs"),
            "expected one image",
        ),
    ],
)
def test_networks_that_cannot_read_the_observation(recipe: Any, path: tuple[Any, ...], said: str) -> None:
    problem = next(one for one in small.probe(load(recipe).recipe) if one.code == "E301")
    assert problem.path == path
    assert said in problem.message
    assert problem.suggestion


@pytest.mark.parametrize(
    ("recipe", "path", "said"),
    [
        ({**PPO, "networks": {**HEADS, "encoder": "lstm"}}, "networks.encoder", "lstm is no encoder"),
        ({**PPO, "networks": {**HEADS, "memory": "mlp"}}, "networks.memory", "mlp is no memory"),
        ({**PPO, "networks": {"policy": "lstm"}}, "networks.policy", "lstm is a memory"),
        (
            {**RECURRENT, "networks": {**HEADS, "memory": {"name": "lstm", "inputs": ["x"]}}},
            "networks.memory.inputs",
            "a memory reads what the encoder gives",
        ),
        (
            {**PPO, "networks": {**HEADS, "encoder": {
                "name": "per_key", "keys": {"image": CONV, "speed": {"name": "mlp", "inputs": ["nonsense"]}}}}},
            "networks.encoder.keys.speed.inputs", "reads the entry that it stands under, which is speed",
        ),
        (
            {**PPO, "networks": {"policy": {
                "name": "per_key", "keys": {"speed": {"name": "mlp", "distribution": "categorical"}}}}},
            "networks.policy.keys.speed.distribution", "the encoder of speed gives features",
        ),
        ({**SAC, "networks": {"memory": "gru"}}, "networks.memory", "sac learns from single steps"),
        ({**small.CARTPOLE, "algorithm": {"name": "ppo", "minibatch_size": 32, "sequence_length": 4}},
         "algorithm.sequence_length", "are for a memory"),
        (small.changed(RECURRENT, ("algorithm", "sequence_length"), 5), "algorithm.sequence_length", "do not divide"),
        (
            {**small.changed(RECURRENT, ("env", "num_envs"), 64), "evaluation": {"episodes": 1}},
            "algorithm.minibatch_size", "share no sequence",
        ),
    ],
)  # fmt: skip
def test_networks_in_the_wrong_place(recipe: Any, path: str, said: str) -> None:
    with pytest.raises(RecipeError) as raised:
        load(recipe)
    problem = next(one for one in raised.value.problems if one.path == path)
    assert problem.code == "E302"
    assert said in str(problem)


NUMBERS = {"num_cells": [8], "inputs": ["speed"]}
PICTURE = {**CONV, "inputs": ["image"]}
SHARED_MLP = {"name": "per_key", "keys": {"speed": {"name": "mlp", "num_cells": [8]}}}


@pytest.mark.parametrize(
    ("encoder", "qvalue", "cure", "cured"),
    [
        (PICTURE, NUMBERS, "remove networks.qvalue.inputs; or move networks.encoder (conv) to networks.policy, as the "
         "policy's own", {"policy": PICTURE, "qvalue": NUMBERS}),
        (SHARED_MLP, PICTURE, "make networks.qvalue an mlp without inputs; or move networks.encoder (per_key) to "
         "networks.policy, as the policy's own", {"policy": SHARED_MLP, "qvalue": PICTURE}),
        ({"name": "mlp", "num_cells": [8], "inputs": ["speed"]}, NUMBERS, "remove networks.qvalue.inputs; or remove "
         "networks.encoder and put its layers into networks.policy",
         {"policy": {"num_cells": [8, 8], "inputs": ["speed"]}, "qvalue": NUMBERS}),
    ],
)  # fmt: skip
def test_the_cures_of_an_encoder_that_the_critics_do_not_read(encoder: Any, qvalue: Any, cure: str, cured: Any) -> None:
    networks = {"policy": {"num_cells": [8]}, "encoder": encoder}
    (problem,) = small.probe(load({**SAC, "networks": {**networks, "qvalue": qvalue}}).recipe)
    assert (problem.path, problem.suggestion) == (("networks", "qvalue"), cure)
    for follows in ({**networks, "qvalue": {"num_cells": [8]}}, cured):
        assert small.probe(load({**SAC, "networks": follows}).recipe) == []


@pytest.mark.parametrize(
    ("key", "encoder", "said", "cure"),
    [
        ("speed", CONV, "conv reads an image, but speed is (2,)", "use mlp or one_hot"),
        ("direction", "nature_cnn", "nature_cnn reads an image, but direction is (4,)", "use mlp or one_hot"),
        ("image", "mlp", "mlp reads vectors, but image is an image of (12, 12, 3)", "use conv or nature_cnn"),
    ],
)
def test_an_entry_and_its_encoder_that_do_not_fit(key: str, encoder: Any, said: str, cure: str) -> None:
    keys = {"name": "per_key", "keys": {key: encoder}}
    (problem,) = small.probe(load({**PPO, "networks": {**HEADS, "encoder": keys}}).recipe)
    assert (problem.code, problem.path) == ("E301", ("networks", "encoder", "keys", key))
    assert (problem.message, problem.suggestion) == (said, cure)


@pytest.mark.parametrize("hook", [{"name": "batch_sub_sampler", "batch_size": 8}, {"name": "replay_buffer_trainer"}])
def test_a_hook_that_draws_rows_of_its_own_is_refused_with_a_memory(hook: Any, tmp_path: Path) -> None:
    recipe = {**RECURRENT, "hooks": [{**small.required_of(find("hook", hook["name"])), **hook}]}
    with pytest.raises(RecipeError, match="learns from sequences of them"):
        small.train(recipe, tmp_path / "run")
