"""What is found out about environments before anything is trained."""

from typing import Any

import gymnasium
import numpy as np
import pytest

from rlrecipe import option, register
from rlrecipe.envs.base import EnvOptions
from rlrecipe.recipe.load import load
from rlrecipe.runs.start import run
from tests import small


def problems(*overrides: str, recipe: Any = small.CARTPOLE) -> list[tuple[str, str]]:
    return [(problem.code, ".".join(map(str, problem.path))) for problem in small.probe(load(recipe, overrides).recipe)]


def test_a_sound_recipe_has_none() -> None:
    assert problems() == []


@pytest.mark.parametrize(
    ("override", "code", "path"),
    [
        ("env=CartPoleX-v1", "E102", "env.env_name"),
        ("env.kwargs={gravity: 3}", "E102", "env.kwargs"),
        ("networks.policy.distribution=normal", "E301", "networks.policy.distribution"),
        ("evaluation.env={env_name: Nope-v1}", "E102", "evaluation.env.env_name"),
        ("evaluation.env={env_name: Pendulum-v1}", "E301", "evaluation.env"),
        ("collector.frames_per_batch=1099511627776", "E303", "collector.frames_per_batch"),
    ],
)
def test_what_cannot_work_is_told_at_its_place(override: str, code: str, path: str) -> None:
    assert problems(override) == [(code, path)]


def test_the_cure_of_too_large_a_batch_has_the_arithmetic() -> None:
    (problem,) = small.probe(load(small.CARTPOLE, ["collector.frames_per_batch=1099511627776"]).recipe)
    assert "GiB" in problem.message
    assert str(problem.suggestion).startswith("make collector.frames_per_batch ")


class ShapedOptions(EnvOptions):
    """Observes an array of any shape and dtype."""

    shape: list[int] = option([3], "Of the observation.")
    dtype: str = "float32"
    integer_actions: bool = False


class Shaped(gymnasium.Env[Any, Any]):
    def __init__(self, options: ShapedOptions) -> None:
        dtype = np.dtype(options.dtype)
        self.observation_space = gymnasium.spaces.Box(0, 100, tuple(options.shape), dtype.type)
        kind = np.int64 if options.integer_actions else np.float32
        self.action_space = gymnasium.spaces.Box(np.array([[-1, 0, 2]] * 2), np.array([[1, 5, 3]] * 2), (2, 3), kind)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.left = 7
        return self._observe(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        assert self.action_space.contains(action), action
        self.left -= 1
        return self._observe(), 1.0, self.left == 0, self.left == 0, {}

    def _observe(self) -> Any:
        return self.np_random.integers(0, 100, self.observation_space.shape).astype(self.observation_space.dtype)


@pytest.fixture
def shaped(own_components: None) -> None:
    @register("env", "shaped")
    def make(options: ShapedOptions, render_mode: str | None) -> gymnasium.Env[Any, Any]:
        return Shaped(options)


@pytest.mark.parametrize("distribution", ["normal", "tanh_normal"])
@pytest.mark.parametrize(("shape", "dtype"), [([], "float64"), ([2, 3], "float32"), ([4, 4, 3], "uint8")])
def test_arrays_of_any_shape_train(
    shape: list[int], dtype: str, distribution: str, shaped: None, tmp_path: Any
) -> None:
    recipe = {**small.CARTPOLE, "env": {"name": "shaped", "num_envs": 2, "shape": shape, "dtype": dtype}}
    assert problems(recipe=recipe) == []
    result = small.train(recipe, tmp_path / "run", f"networks.policy.distribution={distribution}")
    assert (result.outcome.code, result.summary["eval_return_mean"]) == (0, 7.0)


def test_whole_numbers_are_no_actions_for_a_normal(shaped: None) -> None:
    recipe = {**small.CARTPOLE, "env": {"name": "shaped", "integer_actions": True}}
    assert problems(recipe=recipe) == [("E301", "env")]


def test_a_transform_of_evaluation_alone_sees_no_training(tmp_path: Any) -> None:
    recipe = small.changed(small.CARTPOLE, ("env", "transforms"), [{"name": "observation_norm", "phase": "eval"}])
    small.train(recipe, tmp_path / "run")
    assert float(small.saved_policy(tmp_path / "run")["observation_norm.count"]) == 0


@pytest.mark.parametrize(
    ("recipe", "hook", "told"),
    [
        (
            small.CARTPOLE,
            {"name": "lr_scheduler_hook", "scheduler": "StepLR", "kwargs": {"bogus": 1}},
            "StepLR does not take kwargs {'bogus': 1}",
        ),
        (small.CARTPOLE, {"name": "target_net_updater_hook"}, "this algorithm has no target networks"),
        (
            small.TD3,
            {"name": "optimizer_hook", "optimizer": "adam", "loss_components": ["loss_actor"]},
            "no loss is named loss_actor; there are: loss_qvalue, loss_policy",
        ),
    ],
)
def test_a_hook_that_a_run_would_refuse_is_told_at_its_place(recipe: Any, hook: Any, told: str) -> None:
    (problem,) = small.probe(load({**recipe, "hooks": ["nan_guard", hook]}).recipe)
    assert (problem.code, problem.path) == ("E302", ("hooks", 1))
    assert told in problem.message


def test_hooks_that_fit_have_no_problems() -> None:
    hooks = [
        {"name": "lr_scheduler_hook", "scheduler": "StepLR", "kwargs": {"step_size": 1}},
        "target_net_updater_hook",
        {"name": "optimizer_hook", "optimizer": "adam", "loss_components": ["loss_policy"]},
    ]
    assert problems(recipe={**small.TD3, "hooks": hooks}) == []


def test_a_hook_that_cannot_be_registered_is_told_at_its_place(own_components: None, tmp_path: Any) -> None:
    from rlrecipe import Options
    from rlrecipe.recipe.errors import RecipeError

    class LostOptions(Options):
        """Registers nowhere."""

    class Lost:
        def register(self, trainer: Any, name: str) -> None:
            trainer.register_op("post_everything", print)

    @register("hook", "lost")
    def make_lost(options: LostOptions) -> Lost:
        return Lost()

    with pytest.raises(RecipeError) as refused:
        run(small.changed(small.CARTPOLE, ("hooks",), ["nan_guard", "lost"]), run_dir=tmp_path / "run")
    (problem,) = refused.value.problems
    assert (problem.code, problem.path) == ("E302", "hooks.1")
    assert "post_everything" in problem.text()
