"""RECIPE as users give it, and whose fault a combination is that cannot be."""

import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from rlrecipe.recipe.adapt import shared
from tests import small
from tests.cli.command import Commands

SMALLEST = {"env": "CartPole-v1", "algorithm": "ppo", "trainer": {"total_frames": 1000}}
OFF = {"env": {"env_name": "Pendulum-v1", "num_envs": 2}, "algorithm": "sac", "trainer": {"total_frames": 256}}


# -- RECIPE


def given(text: str | bytes) -> Any:
    raw = text.encode() if isinstance(text, str) else text
    return io.TextIOWrapper(io.BytesIO(raw))


def test_a_recipe_in_json(rlrecipe: Commands, tmp_path: Path) -> None:
    # With tabs, as some editors write it, which YAML refuses.
    (tmp_path / "r.json").write_text(
        '{\n\t"env": "CartPole-v1",\n\t"algorithm":"ppo",\n\t"trainer":{"total_frames":9}\n}\n'
    )
    assert rlrecipe("validate", "--static", "r.json").out == "r.json: valid\n"
    (tmp_path / "wrong.JSON").write_text('{\n\t"env": "CartPole-v1",\n\t"algoritm": "ppo"}\n')
    answer = rlrecipe("validate", "--static", "wrong.JSON")
    assert answer.code == 3
    assert "wrong.JSON:3:2: E101 at algoritm" in answer.out


@pytest.mark.parametrize("command", [["show"], ["validate", "--static"]])
def test_a_recipe_from_standard_input(rlrecipe: Commands, monkeypatch: pytest.MonkeyPatch, command: list[str]) -> None:
    monkeypatch.setattr("sys.stdin", given(yaml.safe_dump(SMALLEST)))
    assert rlrecipe(*command, "-").code == 0
    monkeypatch.setattr("sys.stdin", given("env: CartPole-v1\nalgorithm: pop\n"))
    answer = rlrecipe(*command, "-")
    assert answer.code == 3
    assert "<stdin>:2:12: E201 at algorithm" in answer.out + answer.err


@pytest.mark.parametrize(
    ("content", "said"),
    [("", "E105"), (b"\xff", "no UTF-8"), ("x" * 2**21, "1 MiB"), (None, "standard input is closed")],
)
def test_standard_input_without_a_recipe(
    rlrecipe: Commands, monkeypatch: pytest.MonkeyPatch, content: str | bytes | None, said: str
) -> None:
    monkeypatch.setattr("sys.stdin", None if content is None else given(content))
    answer = rlrecipe("show", "-")
    assert answer.code == (2 if content is None else 3)
    assert said in answer.err


@pytest.fixture
def pipe() -> Iterator[int]:
    """A descriptor to read the smallest recipe from, as ``<(...)`` of a shell gives one."""
    reading, writing = os.pipe()
    # Less than a pipe holds.
    os.write(writing, yaml.safe_dump(SMALLEST).encode())
    os.close(writing)
    yield reading
    os.close(reading)


def test_a_recipe_from_a_pipe_is_read_once(rlrecipe: Commands, pipe: int, tmp_path: Path) -> None:
    sizes = ["-s", "trainer.total_frames=64", "-s", "collector.frames_per_batch=64", "-s", "evaluation.episodes=1"]
    # With --continue, a run looks at its recipe twice.
    answer = rlrecipe("run", f"/dev/fd/{pipe}", *sizes, "--run-dir", "run", "--continue", "-q")
    assert answer.code == 0, answer.err
    assert (tmp_path / "run/recipe.yaml").read_text() == yaml.safe_dump(SMALLEST)


def test_what_only_looks_like_a_name_is_told_how_to_be_given(rlrecipe: Commands, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("")
    (tmp_path / "other.yml").write_text("")
    (tmp_path / "runs/a b").mkdir(parents=True)
    (tmp_path / "runs/a b/resolved.yaml").write_text("")
    for name, said in [
        ("mine", "is named as ./mine"),
        ("other", "is named as ./other.yml"),
        ("runs", "runs is a folder"),
        ("runs/a b", "rlrecipe resume 'runs/a b'"),
        ("ppo", "there are: ppo/atari, ppo/cartpole"),
        ("ppo/cartpol", "did you mean ppo/cartpole?"),
        ("", "the RECIPE is empty"),
        ("x\0y", "no bundled recipe is named"),
        ("no.json", "there is no file no.json"),
    ]:
        answer = rlrecipe("show", name)
        assert (answer.code, said in answer.err) == (2, True), answer.err


def test_a_pipe_with_a_name_is_not_waited_for(rlrecipe: Commands, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.yaml")
    answer = rlrecipe("show", "fifo.yaml")
    assert (answer.code, "or - for standard input" in answer.err) == (2, True)


def test_marks_and_line_ends_of_other_systems(rlrecipe: Commands, tmp_path: Path) -> None:
    text = "\ufeffenv: CartPole-v1\r\nalgorithm: ppo\r\ntrainer: {total_frames: 9}\r\n"
    (tmp_path / "r.yaml").write_bytes(text.encode())
    assert rlrecipe("validate", "--static", "r.yaml").code == 0


# -- whose fault it is


@pytest.mark.parametrize("algorithm", ["sac", "td3", "ddpg", "dqn", "discrete_sac", "ppo", "a2c", "reinforce"])
@pytest.mark.parametrize("num_envs", [2, 3, 7])
def test_batches_that_nobody_sized_are_shared_by_any_number_of_environments(
    rlrecipe: Commands, algorithm: str, num_envs: int
) -> None:
    env = {"env_name": "CartPole-v1", "num_envs": num_envs}
    recipe = rlrecipe.recipe({**SMALLEST, "algorithm": algorithm, "env": env, "trainer": {"total_frames": 10**6}})
    answer = rlrecipe("show", "--json", recipe)
    assert answer.code == 0, answer.err
    assert answer.json["collector"]["frames_per_batch"] % num_envs == 0


def test_the_first_error_is_the_users(rlrecipe: Commands) -> None:
    recipe = rlrecipe.recipe({**OFF, "env": {"env_name": "CartPole-v1", "num_envs": 2}})
    errors = rlrecipe("validate", "--json", recipe).json["errors"]
    assert [(error["code"], error["path"]) for error in errors] == [("E301", "algorithm")]


def test_defaults_change_only_where_they_cannot_be() -> None:
    assert [shared(2048, n) for n in (1, 2, 8, 2048)] == [2048] * 4
    assert shared(1, 2) == 2
    # A multiple of 3 and of minibatches of 64, near 2048.
    assert shared(2048, 3, 64) == 2112
    assert shared(2048, 3, 50) == 2100


@pytest.mark.parametrize(
    ("recipe", "overrides", "at"),
    [
        # Nobody wrote a minibatch_size, init_random_frames, max_size, or networks.
        (SMALLEST, ["collector.frames_per_batch=1000"], "collector.frames_per_batch"),
        (SMALLEST, ["algorithm.minibatch_size=60"], "algorithm.minibatch_size"),
        (SMALLEST, ["collector.frames_per_batch=64", "env.num_envs=3"], "collector.frames_per_batch"),
        (OFF, ["trainer.total_frames=50"], "trainer.total_frames"),
        (OFF, ["collector.init_random_frames=300"], "collector.init_random_frames"),
        (OFF, ["env.num_envs=2_000_000"], "env.num_envs"),
        (SMALLEST, ["networks.memory=lstm", "algorithm.minibatch_size=9", "collector.frames_per_batch=9"],
         "algorithm.minibatch_size"),
        (SMALLEST, ["networks.memory=lstm", "collector.frames_per_batch=64", "env.num_envs=64"],
         "collector.frames_per_batch"),
    ],
)  # fmt: skip
def test_what_nobody_wrote_is_not_at_fault(
    rlrecipe: Commands, recipe: dict[str, Any], overrides: list[str], at: str
) -> None:
    options = [word for each in overrides for word in ("-s", each)]
    answer = rlrecipe("validate", "--static", "--json", rlrecipe.recipe(recipe), *options)
    assert answer.code == 3
    first, *_ = answer.json["errors"]
    assert (first["code"], first["path"]) == ("E302", at)


@pytest.mark.parametrize(
    ("name", "option", "at"),
    [
        # What a bundled recipe says is not its user's.
        ("ppo/cartpole", "collector.frames_per_batch=1000", "collector.frames_per_batch"),
        ("sac/pendulum", "algorithm=ppo", "algorithm"),
        ("ppo/cartpole", "algorithm.minibatch_size=100", "algorithm.minibatch_size"),
        ("ppo/mujoco", "env.env_name=HalfCheetah-v5", None),
    ],
)
def test_nor_is_what_a_bundled_recipe_wrote(rlrecipe: Commands, name: str, option: str, at: str | None) -> None:
    answer = rlrecipe("validate", "--static", "--json", name, "-s", option)
    errors = answer.json["errors"]
    assert {(error["file"], error["path"]) for error in errors} <= {("-s", at)}
    assert bool(errors) is (at is not None)


def test_pictures_are_the_environments_fault(rlrecipe: Commands) -> None:
    # Nobody wrote networks.policy.
    found = small.problems({**SMALLEST, "env": {"env_name": "CarRacing-v3"}})
    assert [(code, path) for code, path, _, _ in found] == [("E301", "env.env_name")]
    found = small.problems({**SMALLEST, "env": {"env_name": "CarRacing-v3"}, "networks": {"policy": {"name": "mlp"}}})
    assert [(code, path) for code, path, _, _ in found] == [("E301", "networks.policy")]
