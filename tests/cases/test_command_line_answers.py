"""What every command answers: one document with --json, the same options, completion, numbers that can be read."""

import inspect
import json
from pathlib import Path

import pytest

from rlrecipe.cli import application, commands, evaluate
from rlrecipe.recipe import complete, shown
from rlrecipe.recipe.overrides import override
from rlrecipe.runs.progress import describe
from tests import small
from tests.cli.command import Commands

#: Words that end each command badly.
NOTHING = {
    "describe": ["algorithm/gone"],
    "evaluate": ["gone"],
    "fork": ["gone"],
    "list": ["gone"],
    "replay": ["gone", "--frames", "0:9"],
    "resume": ["gone"],
    "run": ["gone"],
    "show": ["gone"],
    "status": ["gone"],
    "validate": ["gone"],
    "verify": ["gone"],
}
#: Their answer is no report: a recipe, and a document itself.
WITHOUT = ("init", "schema")


def parameters(name: str) -> dict[str, inspect.Parameter]:
    """Parameters of a command's function."""
    (command,) = (each.callback for each in application().registered_commands if each.name == name)
    assert command is not None
    return dict(inspect.signature(command).parameters)


def test_every_command_is_asked() -> None:
    assert sorted([*NOTHING, *WITHOUT]) == commands()


@pytest.mark.parametrize("name", NOTHING)
def test_what_cannot_be_is_one_document(rlrecipe: Commands, name: str) -> None:
    for words in ([*NOTHING[name], "--json"], ["--no-such-option", "--json"]):
        answer = rlrecipe(name, *words)
        document = json.loads(answer.out)
        assert answer.code == document["exit_code"] == 2
        assert (document["format"], document["kind"]) == (1, "error")
        assert document["message"] in answer.err


def test_what_a_recipe_has_wrong_is_one_document(rlrecipe: Commands) -> None:
    recipe = str(rlrecipe.recipe({"env": "CartPole-v1", "algorithm": "pop"}))
    for words in (["run", recipe, "--json"], ["show", recipe, "--json"], ["validate", recipe, "--format", "json"]):
        answer = rlrecipe(*words)
        assert (answer.code, answer.json["valid"]) == (3, False)
    answer = rlrecipe("validate", "gone", "--format", "json")
    assert (answer.code, answer.json["kind"]) == (2, "error")


def test_an_empty_folder_is_one_document(rlrecipe: Commands, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name, code in (("status", 2), ("evaluate", 5), ("resume", 2), ("verify", 2)):
        answer = rlrecipe(name, "empty", "--json")
        assert (answer.code, answer.json["exit_code"]) == (code, code)


@pytest.mark.parametrize("name", NOTHING)
def test_commands_have_the_same_options(name: str) -> None:
    found = parameters(name)
    assert {"json", "imports"} <= set(found)
    # Each that loads a recipe, run or checkpoint.
    if name not in ("describe", "list"):
        assert "trust_imports" in found


def test_numbers_below_one_can_be_read() -> None:
    assert shown.number(0.731, 0.02) == "0.731"
    assert shown.number(0.0213) == "0.0213"
    assert shown.number(-0.5) == "-0.500"
    assert shown.number(500.0) == "500.00"
    assert shown.number(22.34, decimals=1) == "22.3"
    assert shown.number(0.0) == "0.00"
    assert shown.number(float("nan")) == "nan"
    assert shown.number(1e-12) == "1e-12"
    assert describe({"train/episode_return": 0.043}, 1.0, {}).startswith("return 0.0430")


def test_one_episode_has_no_interval(rlrecipe: Commands, finished_run: Path) -> None:
    assert rlrecipe("evaluate", finished_run, "-n", "1", "--json").json["return_ci95"] is None
    line = rlrecipe("evaluate", finished_run, "-n", "1").out
    assert "over 1 episode of length" in line
    assert "interval" not in line
    assert "+-" not in line
    assert "95 % interval" in rlrecipe("evaluate", finished_run, "-n", "2").out


def test_a_report_of_small_returns() -> None:
    report = {"return_mean": 0.7312, "return_std": 0.0123, "return_ci95": [0.7, 0.76], "episodes": 3, "length_mean": 8,
              "seed": 0, "checkpoint": "c"}  # fmt: skip
    assert evaluate.text(report).startswith("return 0.731 +- 0.012 over 3 episodes (95 % interval of the mean 0.700 to")


@pytest.mark.parametrize("value", ["a #b", "#b", "[1, 2] # c"])
def test_a_comment_in_an_option_is_no_part_of_it(rlrecipe: Commands, value: str) -> None:
    answer = rlrecipe("show", "ppo/cartpole", "-s", f"name={value}")
    assert answer.code == 3
    assert "what follows a # is a comment" in answer.err


def test_a_hash_in_a_word_is_one() -> None:
    node, problems = override("env.kwargs={a: 'x #y', b: x#y}")
    assert problems == []
    assert node is not None
    assert node.data() == {"env": {"kwargs": {"a": "x #y", "b": "x#y"}}}


def test_printed_commands_can_be_pasted(rlrecipe: Commands) -> None:
    sizes = ["-s", "trainer.total_frames=64"]
    answer = rlrecipe("run", rlrecipe.recipe(small.CARTPOLE), "--run-dir", "a b/it's", *sizes)
    assert shown.command("evaluate", "a b/it's") in answer.out
    assert shown.command("resume", "a b/it's", "-s", "trainer.total_frames=128") in answer.out


# -- completion


def test_a_shell_may_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ppo.json").write_text("")
    (tmp_path / "notes.txt").write_text("")
    (tmp_path / "own").mkdir()
    (tmp_path / "own/a b.yaml").write_text("")
    assert complete.recipes("ppo/c") == ["ppo/cartpole"]
    assert complete.recipes("own/") == ["own/a b.yaml"]
    assert "ppo.json" in complete.recipes("pp")
    assert {"own/", "ppo.json", "sac/pendulum"} <= set(complete.recipes(""))
    assert "notes.txt" not in complete.recipes("")
    assert complete.recipes("./o") == ["./own/"]
    assert complete.components_of("algo") == ["algorithm/"]
    assert complete.components_of("algorithm/p") == ["algorithm/ppo"]
    assert complete.components_of("recipe/tr") == ["recipe/trainer"]
    assert complete.components_of("gone/x") == []
    assert complete.algorithms("dd") == ["ddpg"]
    assert complete.kinds_of("rec") == ["recipe", "recipes"]
    assert complete.keys("see") == ["seed="]
    assert complete.keys("trainer.total") == ["trainer.total_frames=", "trainer.total_updates="]
    assert complete.keys("algorithm.clip") == ["algorithm.clip_epsilon="]
    assert complete.keys("networks.policy.num") == ["networks.policy.num_cells="]
    assert complete.keys("optimiz") == ["optimizer."]
    assert complete.keys("gone.x") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_in_each_shell(rlrecipe: Commands, monkeypatch: pytest.MonkeyPatch, shell: str) -> None:
    monkeypatch.setenv("_RLRECIPE_COMPLETE", f"complete_{shell}")
    words = "rlrecipe run ppo/cart"
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", "2")
    monkeypatch.setenv("_TYPER_COMPLETE_ARGS", words)
    monkeypatch.setenv("_TYPER_COMPLETE_FISH_ACTION", "get-args")
    assert "ppo/cartpole" in rlrecipe().out
