"""Transforms of torchrl's by name, on environments of both kinds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

from rlrecipe.assembly.environments import make_env
from rlrecipe.errors import UnbuildableError
from rlrecipe.recipe.describe import describe
from rlrecipe.recipe.registry import find
from rlrecipe.stepping.capture import choose
from rlrecipe.torchrl.env import TransformedByTorchRL
from rlrecipe.transforms.of_torchrl import REFUSED, offered, snake_case
from tests import small
from tests.envs.pictures import NAME
from tests.transforms.made import made, options

OBSERVATION = {"in_keys": ["observation"]}
#: Environment, transforms before it, and options of those that cannot do without.
NEEDS: dict[str, tuple[str, list[Any], dict[str, Any]]] = {
    "action_discretizer": ("Pendulum-v1", [], {"num_intervals": 5}),
    "action_scaling": ("Pendulum-v1", [], {}),
    "cat_tensors": ("CartPole-v1", ["init_tracker"], {"in_keys": ["observation", "is_init"]}),
    "clip_transform": ("CartPole-v1", [], {**OBSERVATION, "low": -0.01, "high": 0.01}),
    "dtype_cast_transform": ("HalfCheetah-v5", [], {"dtype_in": "float64", "dtype_out": "float32"}),
    "exclude_transform": ("CartPole-v1", ["init_tracker"], {"excluded_keys": ["is_init"]}),
    "expand_as": ("CartPole-v1", ["init_tracker"], {"in_key": "is_init", "ref_key": "observation"}),
    "flatten_action": ("Pendulum-v1", [{"name": "unsqueeze_transform", "dim": -1, "in_keys_inv": ["action"]}], {}),
    "gray_scale": (NAME, [{"name": "to_tensor_image", "from_int": True}], {}),
    "noop_reset_env": ("CartPole-v1", [], {"noops": 3}),
    "permute_transform": (NAME, [], {"dims": [-1, -3, -2], "in_keys": ["pixels"]}),
    "rename_transform": ("CartPole-v1", [], {"in_keys": ["observation"], "out_keys": ["seen"]}),
    "select_transform": ("CartPole-v1", ["init_tracker"], {"selected_keys": ["observation"]}),
    "sign_transform": ("CartPole-v1", [], OBSERVATION),
    "reward_clipping": ("CartPole-v1", [], {"clamp_min": -0.5, "clamp_max": 0.5}),
    "squeeze_transform": (NAME, [], {"dim": -1, **OBSERVATION}),
    "stack": ("CartPole-v1", [{"name": "step_counter", "step_count_key": key} for key in "ab"],
              {"in_keys": ["a", "b"], "out_key": "both"}),
    "success_reward": ("CartPole-v1", ["init_tracker"], {"success_key": "is_init"}),
    "target_return": ("Pendulum-v1", [], {"target_return": 10.0}),
    "time_max_pool": ("CartPole-v1", [], {**OBSERVATION, "T": 2}),
    "unsqueeze_transform": ("CartPole-v1", [], {"dim": -1, **OBSERVATION}),
}  # fmt: skip
#: They need a package of torch's that rlrecipe does without.
TORCHVISION = {"crop", "center_crop"}


def walk(env: gymnasium.Env[Any, Any], steps: int = 5) -> list[Any]:
    env.action_space.seed(0)
    seen: list[Any] = [env.reset(seed=0)[0]]
    assert env.observation_space.contains(seen[0])
    for _ in range(steps):
        observation, reward, terminated, truncated, _ = env.step(env.action_space.sample())
        assert env.observation_space.contains(observation)
        assert isinstance(reward, float)
        seen.append((observation, reward))
        if terminated or truncated:
            env.reset()
    return seen


@pytest.mark.parametrize("name", sorted(offered().keys() - TORCHVISION))
def test_each_transform_works(name: str) -> None:
    env_name, before, given = NEEDS.get(name, ("CartPole-v1", [], {}))
    kwargs = {"channels": 1} if name == "squeeze_transform" else {}
    env = made(env_name, *before, {"name": name, **given}, kwargs=kwargs)
    walk(env)
    env.close()


@pytest.mark.parametrize("name", sorted(TORCHVISION))
def test_a_missing_package_is_told(name: str) -> None:
    recipe = small.changed(small.CARTPOLE, ("env",), {"env_name": NAME, "num_envs": 2})
    recipe = small.changed(recipe, ("env", "transforms"), ["to_tensor_image", {"name": name, "w": 4}])
    if __import__("importlib").util.find_spec("torchvision") is not None:
        pytest.skip("torchvision is here")
    assert [code for code, *_ in small.problems(recipe)] == ["E401"]


def test_values_are_torchrls() -> None:
    from torchrl.envs import GymEnv, TransformedEnv
    from torchrl.envs.transforms import TimeMaxPool

    inner = gymnasium.make("CartPole-v1")
    reference = TransformedEnv(GymEnv("CartPole-v1"), TimeMaxPool(in_keys=["observation"], T=3))
    reference.base_env._env = inner
    env = made("CartPole-v1", {"name": "time_max_pool", "T": 3, **OBSERVATION})
    plain = made("CartPole-v1")
    raw, shown = [plain.reset(seed=2)[0]], [env.reset(seed=2)[0]]
    for _ in range(6):
        raw.append(plain.step(1)[0])
        shown.append(env.step(1)[0])
    for i, one in enumerate(shown):
        # Places before the first step hold zeros, as torchrl leaves them.
        window = raw[max(0, i - 2) : i + 1]
        if len(window) == 3:
            assert np.array_equal(one, np.max(window, 0))


def test_a_seeded_reset_is_the_environments_own() -> None:
    env, plain = made("CartPole-v1", "init_tracker"), made("CartPole-v1")
    for seed in (3, None, None, 4):
        shown, _ = env.reset(seed=seed)
        assert shown["is_init"].tolist() == [1]
        assert np.array_equal(shown["observation"], plain.reset(seed=seed)[0])
        assert np.array_equal(env.step(1)[0]["observation"], plain.step(1)[0])


def test_neighbours_share_one_transformed_environment() -> None:
    env: Any = made("CartPole-v1", "init_tracker", {"name": "cat_tensors", "in_keys": ["observation", "is_init"]})
    assert isinstance(env, TransformedByTorchRL)
    assert not isinstance(env.env, TransformedByTorchRL)
    assert len(env.played.inner.transform) == 2


def test_transforms_of_ones_own_may_stand_between() -> None:
    env: Any = made("CartPole-v1", "init_tracker", "flatten_observation", {"name": "sign_transform", **OBSERVATION})
    assert set(np.unique(walk(env)[0])) <= {-1.0, 0.0, 1.0}
    assert env.observation_space.shape == (5,)


def test_what_transforms_draw_is_no_other_parts_and_repeats() -> None:
    def episode(*before: int) -> tuple[list[Any], int]:
        env = made("CartPole-v1", {"name": "noop_reset_env", "noops": 8})
        for seed in before:
            env.reset(seed=seed)
        torch.manual_seed(len(before))
        seen = [env.reset(seed=5)[0], *(env.step(i % 2)[0] for i in range(4)), env.reset()[0]]
        return [one.tolist() for one in seen], int(torch.randint(2**31, ()))

    one, other = episode(), episode(1, 2, 3)
    assert one[0] == other[0]
    for count, (_, drawn) in ((0, one), (3, other)):
        torch.manual_seed(count)
        assert drawn == int(torch.randint(2**31, ()))


@pytest.mark.parametrize(
    "transform",
    ["init_tracker", {"name": "time_max_pool", "T": 3, **OBSERVATION}, {"name": "noop_reset_env", "noops": 4}],
)
def test_they_are_captured_by_replay(transform: Any) -> None:
    choice = choose(lambda: make_env(options("CartPole-v1", transform)))
    assert (choice.method, choice.level) == ("replay", "exact")


def test_a_run_is_resumed_exactly(tmp_path: Path) -> None:
    transforms = [{"name": "noop_reset_env", "noops": 4}, "init_tracker",
                  {"name": "cat_tensors", "in_keys": ["observation", "is_init"]}]  # fmt: skip
    recipe = small.changed(small.CARTPOLE, ("env", "transforms"), transforms)
    small.train(recipe, tmp_path / "whole")
    code = small.train(recipe, tmp_path / "stopped", "trainer.time_limit=1").outcome.code
    while code == 75:
        code = small.go_on(tmp_path / "stopped").outcome.code
    assert code == 0
    assert small.outcome_of(tmp_path / "stopped") == small.outcome_of(tmp_path / "whole")


def test_a_transform_of_one_phase_is_left_out_of_the_other() -> None:
    transform = {"name": "time_max_pool", "T": 2, "phase": "train", **OBSERVATION}
    assert isinstance(made("CartPole-v1", transform), TransformedByTorchRL)
    assert not isinstance(made("CartPole-v1", transform, phase="eval"), TransformedByTorchRL)


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_a_refused_transform_is_told_with_the_reason(name: str) -> None:
    recipe = small.changed(small.CARTPOLE, ("env", "transforms"), [snake_case(name)])
    ((code, path, message, _),) = small.problems(recipe)
    assert (code, path) == ("E201", "env.transforms.0")
    assert message.endswith(f"torchrl's {name}: {REFUSED[name]}")


def test_every_transform_of_torchrls_is_offered_refused_or_rlrecipes_own() -> None:
    from torchrl.envs import transforms

    for name in transforms.__all__:
        kind = getattr(transforms, name)
        if name in ("Transform", "ObservationTransform") or not issubclass(kind, transforms.Transform):
            continue
        assert find("transform", snake_case(name)) if name not in REFUSED else True, name


@pytest.mark.parametrize(
    ("transform", "said"),
    [
        (
            {"name": "time_max_pool", "in_keys": ["nothing"]},
            "no entry is named 'nothing'; there are: observation, reward",
        ),
        ({"name": "dtype_cast_transform", "dtype_in": "float46", "dtype_out": "float32"}, "a dtype such as float32"),
    ],
)
def test_what_does_not_fit_is_told_at_its_place(transform: Any, said: str) -> None:
    with pytest.raises(UnbuildableError, match=said) as caught:
        made("CartPole-v1", transform)
    assert caught.value.path == ("transforms", 0)


def test_options_are_checked_without_torchrl() -> None:
    recipe = small.changed(small.CARTPOLE, ("env", "transforms"), [{"name": "time_max_pool", "T": "two", "tee": 1}])
    assert [(code, path) for code, path, *_ in small.problems(recipe)] == [
        ("E102", "env.transforms.0.T"),
        ("E101", "env.transforms.0.tee"),
    ]


def test_describing_one_imports_nothing_heavy() -> None:
    code = (
        "import sys; from rlrecipe.recipe.describe import components; components('transform'); components('env'); "
        "print([m for m in ('torch', 'torchrl', 'numpy', 'gymnasium') if m in sys.modules])"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"


def test_a_description_is_torchrls() -> None:
    described = describe("transform", "time_max_pool")
    assert (
        described.meaning
        == "Take the maximum value in each position over the last T observations (torchrl's TimeMaxPool)."
    )
    (option,) = [one for one in described.options if one.name == "T"]
    assert (option.type, option.default) == ("whole number", 1)
    assert option.meaning == "Number of time steps over which to apply max pooling."
