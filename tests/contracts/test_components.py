"""Every registered component trains, is saved, restored and goes on as if it had not been.

Components are found in the registry: one that is added later is covered without a line here, unless
it needs another recipe than ``RECIPES`` gives its kind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from rlrecipe.interfaces import Batch, State
from rlrecipe.recipe import registry
from rlrecipe.recipe.load import load
from rlrecipe.recipe.options import Component, Options
from rlrecipe.recipe.registry import find, register, search
from rlrecipe.recipe.traits import AlgorithmTraits, CollectorTraits, NetworkTraits
from rlrecipe.torchrl.recipe_trainer import RecipeTrainer
from tests import parts, small
from tests.envs.pictures import GAME
from tests.envs.pictures import NAME as PICTURES

BASE = {**small.CARTPOLE, "trainer": {"total_frames": 256, "log_interval": 64}, "evaluation": {"episodes": 1}}
Recipe = dict[str, Any]


def _in(*path: str) -> Callable[[Any], Recipe]:
    return lambda value: small.changed(BASE, path, value)


def short(recipe: Recipe) -> Recipe:
    """Four batches of another small recipe."""
    trainer = {**recipe["trainer"], "total_frames": 256, "log_interval": 64}
    return {**recipe, "trainer": trainer, "evaluation": {"episodes": 1}}


def learner(value: Recipe) -> Recipe:
    """A recipe for an algorithm, with networks for its slots."""
    traits = AlgorithmTraits.of(find("algorithm", value["name"]))
    networks = dict.fromkeys(traits.slots, small.QVALUE)
    if traits.updates_per_frame is not None:
        return {**short(small.OFF_POLICY), "algorithm": value, "networks": networks}
    return {
        **BASE,
        "networks": networks,
        "algorithm": {**value, **({"minibatch_size": 32} if value["name"] == "ppo" else {})},
    }


#: Environments that observe an image, or several parts.
PARTS: Recipe = {"name": parts.make_parts.__name__.removeprefix("make_"), "num_envs": 2}
IMAGES: Recipe = {**PARTS, "observes": "image"}


def of_images(recipe: Recipe, **options: Any) -> Recipe:
    """The same recipe, its encoder's options changed, for an environment that observes an image."""
    encoder = {**recipe["networks"]["encoder"], **options}
    return {**recipe, "env": IMAGES, "networks": {**recipe["networks"], "encoder": encoder}}


def networked(value: Recipe) -> Recipe:
    """A recipe for a network, in the slots that it is made for."""
    traits = NetworkTraits.of(find("network", value["name"]))
    heads = {slot: {"num_cells": [8]} for slot in ("policy", "value")}
    if traits.remembers:
        return {**BASE, "networks": {**heads, "memory": value}}
    if traits.encodes is True:
        return {**BASE, "env": PARTS, "networks": {**heads, "encoder": value}}
    return {**BASE, "networks": {"policy": value, "value": value}}


#: Where a recipe names a component of each kind.
PLACES: Mapping[str, Callable[[Any], Recipe]] = {
    "env": lambda value: {**BASE, "env": {"num_envs": 2, **value}},
    "transform": lambda value: small.changed(BASE, ("env", "transforms"), [value]),
    "network": lambda value: networked(value),
    "distribution": _in("networks", "policy", "distribution"),
    "algorithm": lambda value: learner(value),
    "target": lambda value: {**short(small.DQN), "algorithm": {"name": "dqn", "target": value}},
    "replay_buffer": lambda value: {**short(small.DQN), "replay_buffer": {**value, "batch_size": 16}},
    "storage": lambda value: small.changed(short(small.DQN), ("replay_buffer", "storage"), value),
    "exploration": lambda value: {
        **short(small.DQN if value["name"] == "egreedy" else small.TD3),
        "exploration": value,
    },
    "optimizer": lambda value: {**BASE, "optimizer": {**value, "lr": 1e-2}},
    "schedule": lambda value: {**BASE, "optimizer": {"name": "adam", "lr": 1e-2, "schedule": value}},
    "collector": lambda value: {**BASE, "collector": {**value, "frames_per_batch": 64}},
    "hook": lambda value: {**BASE, "hooks": [value]},
    "logger": lambda value: {**BASE, "loggers": [value]},
}


def _around(env_name: str, before: list[Any]) -> Callable[[Recipe], Recipe]:
    """A transform on an environment of its own, with others before it, and its observations as a vector."""

    def change(recipe: Recipe) -> Recipe:
        transforms = [*before, *recipe["env"]["transforms"], "flatten_observation"]
        return {**recipe, "env": {**recipe["env"], "env_name": env_name, "transforms": transforms}}

    return change


#: What a component needs changed in the recipe of its kind.
RECIPES: Mapping[tuple[str, str], Callable[[Recipe], Recipe]] = {
    ("distribution", "tanh"): lambda recipe: {
        **short(small.TD3),
        "networks": small.changed(small.TD3, ("networks", "policy", "distribution"), "tanh")["networks"],
    },
    ("distribution", "greedy"): lambda recipe: short(small.DQN),
    ("algorithm", "torchrl_loss"): lambda recipe: {
        **recipe,
        "networks": {slot: recipe["networks"][slot] for slot in ("policy", "qvalue")},
    },
    ("hook", "target_net_updater_hook"): lambda recipe: {**short(small.DQN), "hooks": recipe["hooks"]},
    ("network", "conv"): lambda recipe: of_images(recipe, kernels=[3, 3, 3]),
    ("network", "nature_cnn"): lambda recipe: {**of_images(recipe), "env": {**IMAGES, "size": 36}},
    ("collector", "multi_async"): lambda recipe: {
        **short(small.DQN),
        "collector": {**recipe["collector"], "init_random_frames": 64},
    },
    ("env", "gym"): lambda recipe: small.changed(recipe, ("env", "env_name"), "CartPole-v1"),
    ("env", "torchrl"): lambda recipe: small.changed(recipe, ("env", "env"), "GymEnv"),
    **dict.fromkeys(
        [("transform", name) for name in ("grayscale", "resize", "to_tensor_image")], _around(PICTURES, [])
    ),
    ("transform", "life_loss"): _around(GAME, ["fire_reset"]),
    ("transform", "noop_reset"): _around(GAME, []),
    ("transform", "fire_reset"): _around(GAME, []),
    ("transform", "reward_sum"): _around("CartPole-v1", []),
    ("transform", "double_to_float"): _around("HalfCheetah-v5", []),
}
#: Tried in turn until one has the spaces that a component fits.
ENVIRONMENTS = ("CartPole-v1", "Pendulum-v1", "FrozenLake-v1")
PACKAGE = str(Path(registry.__file__).parents[1])
#: Transforms of torchrl's have tests of their own, which take each of them: tests/transforms/test_of_torchrl.py.
#: A game takes seconds to load: tests/envs/test_atari.py stops and resumes one.
ELSEWHERE = {("transform", "atari_preprocessing")}
#: Not what other tests have registered.
COMPONENTS = [
    one
    for kind in PLACES
    for one in search(kind)
    if one.file.startswith(PACKAGE) and Path(one.file).stem != "of_torchrl" and (kind, one.name) not in ELSEWHERE
]


def recipe_for(component: Component) -> Recipe:
    value = {"name": component.name, **small.required_of(component)}
    recipe = PLACES[component.kind](value)
    change = RECIPES.get((component.kind, component.name))
    recipe = recipe if change is None else change(recipe)
    own = component.kind == "env" or recipe["env"].get("name", "gym") != "gym"
    chosen = recipe["env"]["env_name"] if component.kind == "transform" and change is not None else None
    for env_name in [chosen] if chosen else ENVIRONMENTS:
        candidate = recipe if own else small.changed(recipe, ("env", "env_name"), env_name)
        if not small.probe(load(candidate).recipe):
            return candidate
    raise AssertionError(f"give {component.kind}/{component.name} a recipe in RECIPES")


def assert_resumed_exactly(recipe: Recipe, folder: Path, exact: bool = True) -> None:
    """Stopped after each of its four batches and resumed, against never stopped."""
    small.train(recipe, folder / "whole")
    code = small.train(recipe, folder / "stopped", "trainer.time_limit=1").outcome.code
    while code == 75:
        code = small.go_on(folder / "stopped").outcome.code
    assert code == 0
    stopped, whole = (small.outcome_of(folder / name) for name in ("stopped", "whole"))
    if exact:
        assert stopped == whole
    else:
        assert stopped["summary"].keys() == whole["summary"].keys()
        assert stopped["summary"]["exact"] == "continue"
        assert stopped["summary"]["frames"] == whole["summary"]["frames"]


@pytest.mark.parametrize("component", COMPONENTS, ids=lambda c: f"{c.kind}-{c.name}")
def test_a_component_is_saved_and_restored(component: Component, tmp_path: Path) -> None:
    assert not component.missing(), "the development extras hold what every registered component needs"
    # One that does not promise it says so.
    level = CollectorTraits.of(component).level if component.kind == "collector" else None
    assert_resumed_exactly(recipe_for(component), tmp_path, exact=level is None)


def test_everything_registered_is_in_the_contract() -> None:
    """Kinds that no component has yet may be left out; the others may not."""
    from rlrecipe.recipe.registry import KINDS

    assert [kind for kind in KINDS if kind not in PLACES and search(kind)] == []


# -- the contract itself notices what it is for


class CountingOptions(Options):
    """A hook whose effect depends on how often it was called."""


class Counting:
    """Adds its count to the rewards of each batch."""

    category = "data"
    reads_mapping = True

    def __init__(self) -> None:
        self.count = 0

    def register(self, trainer: RecipeTrainer, name: str) -> None:
        trainer.register_op("batch_process", self)

    def __call__(self, batch: Batch) -> Batch:
        self.count += 1
        batch["next", "reward"] += self.count
        return batch


class SavedCounting(Counting):
    """The same, with its count in the checkpoint."""

    def state_dict(self) -> State:
        return {"count": self.count}

    def load_state_dict(self, state: State) -> None:
        self.count = state["count"]


def test_a_hook_with_its_state_saved_is_resumed_exactly(own_components: None, tmp_path: Path) -> None:
    @register("hook", "counting")
    def make(options: CountingOptions) -> Counting:
        return SavedCounting()

    assert_resumed_exactly({**BASE, "hooks": ["counting"]}, tmp_path)


def test_a_hook_whose_state_is_left_out_is_found_out(own_components: None, tmp_path: Path) -> None:
    @register("hook", "counting")
    def make(options: CountingOptions) -> Counting:
        return Counting()

    with pytest.raises(AssertionError, match="policy"):
        assert_resumed_exactly({**BASE, "hooks": ["counting"]}, tmp_path)
