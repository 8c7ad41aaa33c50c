"""What a recipe, a run or a checkpoint names is not imported, opened or written without consent."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rlrecipe.checkpoint.verified import canonical, digest
from rlrecipe.cli import main
from rlrecipe.recipe.errors import RecipeError
from rlrecipe.recipe.load import load
from rlrecipe.runs.load_policy import load_policy
from tests import small

SMALLEST = {"algorithm": "ppo", "trainer": {"total_frames": 64}}


@pytest.fixture(autouse=True)
def trap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A module that Python would find, and that says so when it is run."""
    (tmp_path / "trap.py").write_text("from pathlib import Path\nPath(__file__).with_name('ran').touch()\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    assert not (tmp_path / "ran").exists()
    assert "trap" not in sys.modules


def told(section: Any, *overrides: str, **more: Any) -> list[tuple[str, str]]:
    """Codes and paths of what is wrong with a recipe of an environment."""
    with pytest.raises(RecipeError) as caught:
        load({**SMALLEST, "env": section, **more}, overrides)
    return [(problem.code, problem.path) for problem in caught.value.problems]


GYM = {"name": "torchrl", "env": "GymEnv", "env_name": "CartPole-v1"}
CASES: dict[str, tuple[Any, tuple[str, str]]] = {
    "torchrl's kwargs": (
        {"name": "torchrl", "env": "GymEnv", "kwargs": {"env_name": "trap:Id"}},
        ("E403", "env.kwargs.env_name"),
    ),
    "torchrl's backend": ({**GYM, "kwargs": {"backend": "trap"}}, ("E403", "env.kwargs.backend")),
    "torchrl's first": ({**GYM, "env_name": "trap:Id"}, ("E102", "env.env_name")),
    "torchrl's program": (
        {"name": "torchrl", "env": "UnityMLAgentsEnv", "env_name": "./a.out"},
        ("E403", "env.env_name"),
    ),
    "torchrl's model": (
        {"name": "torchrl", "env": "HopperEnv", "kwargs": {"xml_path": "x.xml"}},
        ("E403", "env.kwargs.xml_path"),
    ),
    "gymnasium's kwargs": (
        {"env_name": "CartPole-v1", "kwargs": {"backend": "trap"}},
        ("E403", "env.kwargs.backend"),
    ),
    "a list in a mapping": (
        {"env_name": "CartPole-v1", "kwargs": {"a": {"b": ["trap:Id"]}}},
        ("E403", "env.kwargs.a.b.0"),
    ),
    "MuJoCo's model": ({"env_name": "Ant-v5", "kwargs": {"xml_file": "ant.xml"}}, ("E403", "env.kwargs.xml_file")),
    "old environments": (
        {"env_name": "GymV26Environment-v0", "kwargs": {"env_id": "trap:Id"}},
        ("E403", "env.kwargs.env_id"),
    ),
    "a word that is a path": (
        {"env_name": "FrozenLake-v1", "kwargs": {"map_name": "../x"}},
        ("E403", "env.kwargs.map_name"),
    ),
    "a wrapper's": (
        {
            "env_name": "CartPole-v1",
            "transforms": [{"name": "gymnasium_wrapper", "wrapper": "DtypeObservation", "kwargs": {"dtype": "trap:x"}}],
        },
        ("E403", "env.transforms.0.kwargs.dtype"),
    ),
    "a transform's": (
        {"env_name": "CartPole-v1", "transforms": [{"name": "permute_transform", "dims": "trap:x"}]},
        ("E403", "env.transforms.0.dims"),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_name_that_needs_consent(case: str) -> None:
    section, wanted = CASES[case]
    assert wanted in told(section)
    # In evaluation alone it is no better.
    code, path = wanted
    found = told("CartPole-v1", evaluation={"env": {"name": "gym", **section}})
    assert (code, f"evaluation.{path}") in found


MORE: dict[str, tuple[dict[str, Any], tuple[str, str]]] = {
    "a scheduler's": (
        {"hooks": [{"name": "lr_scheduler_hook", "scheduler": "StepLR", "kwargs": {"scale_fn": "trap:x"}}]},
        ("E403", "hooks.0.kwargs.scale_fn"),
    ),
    "a loss's": (
        {"algorithm": {"name": "torchrl_loss", "options": {"loss_function": "trap:x"}}},
        ("E403", "algorithm.options.loss_function"),
    ),
    "a folder": (
        {"loggers": [{"name": "mlflow", "tracking_uri": "./mlruns"}]},
        ("E403", "loggers.0.tracking_uri"),
    ),
    "a database": (
        {"loggers": [{"name": "mlflow", "tracking_uri": "sqlite:////etc/x"}]},
        ("E403", "loggers.0.tracking_uri"),
    ),
    "artifacts": (
        {"loggers": [{"name": "mlflow", "artifact_location": "file:///etc"}]},
        ("E403", "loggers.0.artifact_location"),
    ),
    "a name of the logs": ({"hooks": [{"name": "log_scalar", "logname": "../../x"}]}, ("E102", "hooks.0.logname")),
    "a buffer's folder": (
        {"algorithm": "dqn", "replay_buffer": {"storage": {"name": "memmap", "scratch_dir": "/"}}},
        ("E403", "replay_buffer.storage.scratch_dir"),
    ),
}


@pytest.mark.parametrize("case", MORE)
def test_a_component_that_reaches_out_of_the_run(case: str) -> None:
    sections, wanted = MORE[case]
    assert wanted in told("CartPole-v1", **sections)


def test_validate_and_run_refuse_it(trap: Path) -> None:
    recipe = "env: {name: torchrl, env: GymEnv, kwargs: {env_name: 'trap:Id'}}\nalgorithm: ppo\n"
    (trap / "r.yaml").write_text(recipe + "trainer: {total_frames: 64}\n")
    assert [main([command, "r.yaml"]) for command in ("validate", "run")] == [4, 4]
    assert not (trap / "runs").exists()


def test_a_strangers_checkpoint_is_refused(trap: Path) -> None:
    small.train(small.CARTPOLE, trap / "run", "trainer.total_frames=64", "evaluation={episodes: 1}")
    (folder,) = (path for path in (trap / "run/checkpoints").iterdir() if path.name.startswith("000000000064"))
    assert main(["evaluate", str(trap / "run"), "-n", "1", "--env", "kwargs.backend=trap"]) == 4
    assert main(["evaluate", str(trap / "run"), "-n", "1", "--env", "env_name=trap:Id"]) == 2
    load_policy(trap / "run")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["recipe"]["env"] = {"name": "torchrl", "env": "GymEnv", "kwargs": {"env_name": "trap:Id"}}
    del manifest["digest"]
    sound = canonical({**manifest, "digest": digest(canonical(manifest))})
    (folder / "manifest.json").write_bytes(sound)
    assert main(["evaluate", str(folder), "-n", "1"]) == 4
    with pytest.raises(RecipeError, match="env_name is the text 'trap:Id'"):
        load_policy(folder)


OWN = """
import gymnasium

class Own(gymnasium.Wrapper):
    def __init__(self, level="none", render_mode=None):
        super().__init__(gymnasium.make("CartPole-v1"))
        assert level == "levels/one.txt"

gymnasium.register("Own-v0", Own)
"""


def test_an_environment_of_ones_own_takes_what_it_likes(trap: Path) -> None:
    (trap / "own.py").write_text(OWN)
    env = {"env_name": "Own-v0", "kwargs": {"level": "levels/one.txt"}}
    loaded = load({**SMALLEST, "env": env}, imports=["./own.py"])
    assert loaded.recipe.env.component.name == "gym"
    # Where its file is not consented to yet, that is all that is told.
    declared = {**SMALLEST, "env": {**env, "env_name": "Other-v0"}, "imports": ["./own.py"]}
    with pytest.raises(RecipeError) as caught:
        load(declared)
    assert [problem.path for problem in caught.value.problems] == ["imports.0"]


def test_usual_arguments_are_taken() -> None:
    env: dict[str, Any] = {"env_name": "FrozenLake-v1", "kwargs": {"map_name": "8x8", "is_slippery": False}}
    assert load({**SMALLEST, "env": env}).recipe.env.component.name == "gym"
    env = {"name": "torchrl", "env": "GymEnv", "env_name": "ALE/Pong-v5", "kwargs": {"backend": "gymnasium"}}
    assert load({**SMALLEST, "env": env}).recipe.env.component.name == "torchrl"


@pytest.mark.parametrize(
    ("overrides", "path"),
    [
        (["name=${RUN}"], "name"),
        (["env.env_name=$ENV"], "env.env_name"),
        (["env.name=${KIND}"], "env.name"),
        (["extends=${HOME}/x.yaml"], "extends"),
        (["extends=~/x.yaml"], "extends"),
        (["imports=[~/x.py]"], "imports.0"),
        (["loggers=[{name: csv, exp_name: '${RUN}'}]"], "loggers.0.exp_name"),
        (["runtime.device=${DEVICE}"], "runtime.device"),
    ],
)
def test_names_and_paths_expand_nothing(overrides: list[str], path: str) -> None:
    with pytest.raises(RecipeError, match="recipes expand nothing") as caught:
        load({**SMALLEST, "env": "CartPole-v1"}, overrides)
    (problem,) = caught.value.problems
    assert problem.path == path
    assert "-s" in (problem.problem.suggestion or "")


def test_elsewhere_it_is_text() -> None:
    loggers = [{"name": "mlflow", "tags": {"who": "${USER}"}}]
    assert load({**SMALLEST, "env": "CartPole-v1", "loggers": loggers}).recipe.loggers
