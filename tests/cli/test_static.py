"""The commands that need no torch: what they print, where, and how they end."""

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest

from rlrecipe.cli import commands, common, main
from rlrecipe.recipe.load import load

FIXTURES = Path(__file__).parent.parent / "fixtures/recipes"
SMALLEST = "env: CartPole-v1\nalgorithm: ppo\ntrainer: {total_frames: 100_000}\n"


@pytest.fixture
def recipe(tmp_path: Path) -> str:
    file = tmp_path / "r.yaml"
    file.write_text(SMALLEST)
    return str(file)


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Any:
    def call(*arguments: str) -> tuple[int, str, str]:
        code = main(arguments)
        out, err = capsys.readouterr()
        assert "Traceback" not in err or "--debug" in arguments
        return code, out, err

    return call


# -- validate


def test_a_valid_recipe(call: Any, recipe: str) -> None:
    assert call("validate", "--static", recipe) == (0, f"{recipe}: valid\n", "")
    assert call("-q", "validate", "--static", recipe) == (0, "", "")
    assert call("validate", "--static", recipe, "-q") == (0, "", "")


@pytest.mark.parametrize("arguments", [["--json"], ["--format", "json"]])
def test_json_is_all_that_standard_output_has(call: Any, recipe: str, arguments: list[str]) -> None:
    code, out, err = call("validate", "--static", recipe, *arguments)
    assert (code, json.loads(out), err) == (0, {"valid": True, "errors": []}, "")
    code, out, err = call("validate", "--static", recipe, "-s", "seed=x", *arguments)
    document = json.loads(out)
    assert (code, document["valid"], err) == (3, False, "")
    assert document["errors"] == [
        {
            "code": "E102", "file": "-s", "path": "seed", "line": None, "column": None,
            "message": "expected a whole number, got the text 'x'", "suggestion": None,
        }
    ]  # fmt: skip


def test_problems_are_the_result_of_validate_and_an_error_elsewhere(call: Any) -> None:
    file = str(FIXTURES / "six_mistakes.yaml")
    code, out, err = call("validate", "--static", file)
    assert (code, err) == (3, "")
    assert "six_mistakes.yaml:1:30: E101 at env.num_env" in out
    assert out.endswith("6 problems\n")
    assert "\x1b" not in out
    assert call("show", file) == (3, "", out)


def test_several_recipes_are_one_document(call: Any, recipe: str) -> None:
    bad = str(FIXTURES / "six_mistakes.yaml")
    code, out, _ = call("validate", "--static", "--json", recipe, bad, bad)
    assert code == 3
    assert len(json.loads(out)["errors"]) == 12


def test_problems_of_this_machine_alone_have_a_code_of_their_own(call: Any, recipe: str) -> None:
    code, out, _ = call("validate", "--static", recipe, "-s", "imports=[./gone.py]")
    assert code == 4
    assert "E403" in out


def test_consent_by_option(call: Any) -> None:
    file = str(FIXTURES / "ppo_own_env.yaml")
    assert call("validate", "--static", file)[0] == 4
    assert call("validate", "--static", file, "--trust-imports")[0] == 0
    assert call("validate", "--static", file, "--import", str(FIXTURES / "maze.py"))[0] == 0


# -- usage


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["validate", "--static", "./gone.yaml"], "there is no file gone.yaml"),
        (["validate", "--static", "gone"], "no bundled recipe is named 'gone'"),
        (["show", "."], ". is a folder"),
        (["list", "algoritm"], "did you mean algorithm?"),
        (["describe", "algorithm"], "rlrecipe list algorithm"),
        (["describe", "algorithm/pop"], "no algorithm is named 'pop'; expected one of"),
        (["status", "gone"], "gone does not exist"),
        (["status", "."], "holds no status.json"),
        (["nothing"], "nothing"),
        (["validate"], "RECIPE"),
        (["show", "--nothing", "x"], "--nothing"),
    ],
)
def test_usage_mistakes_end_with_2(call: Any, arguments: list[str], message: str) -> None:
    code, out, err = call(*arguments)
    assert (code, out) == (2, "")
    assert message in err


def test_an_unexpected_error_is_one_line(call: Any, recipe: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object, **more: object) -> None:
        raise RuntimeError("first\nsecond")

    monkeypatch.setattr("rlrecipe.cli.show.load", broken)
    assert call("show", recipe) == (1, "", "RuntimeError: first second (--debug shows where)\n")
    code, _, err = call("show", recipe, "--debug")
    assert code == 1
    assert "Traceback" in err


def test_ctrl_c_ends_with_130(call: Any, recipe: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*arguments: object, **more: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("rlrecipe.cli.show.load", interrupted)
    assert call("show", recipe)[0] == 130


def test_a_command_may_end_with_a_line_and_a_code(call: Any, recipe: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def ended(*arguments: object, **more: object) -> None:
        raise common.Stop("no usable checkpoint", 5)

    monkeypatch.setattr("rlrecipe.cli.show.load", ended)
    assert call("show", recipe) == (5, "", "no usable checkpoint\n")


def test_colours_are_for_terminals_whose_reader_wants_them(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert common.colours(terminal)
    assert not common.colours(io.StringIO())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not common.colours(terminal)


# -- the other commands


def test_show_prints_a_recipe(call: Any, recipe: str, tmp_path: Path) -> None:
    code, out, err = call("show", recipe, "-s", "seed=7")
    assert (code, err) == (0, "")
    file = tmp_path / "shown.yaml"
    file.write_text(out)
    assert load(file).recipe == load(recipe, ["seed=7"]).recipe
    code, out, _ = call("show", recipe, "--json")
    assert load(json.loads(out)).recipe == load(recipe).recipe


def test_show_tells_problems(call: Any, recipe: str) -> None:
    code, out, err = call("show", recipe, "-s", "seed=x")
    assert (code, out) == (3, "")
    assert "E102" in err
    code, out, _ = call("show", recipe, "-s", "seed=x", "--json")
    assert json.loads(out)["valid"] is False


def test_list_names_components_and_recipes(call: Any) -> None:
    code, out, _ = call("list")
    assert code == 0
    assert "\nalgorithm\n  a2c " in out
    assert re.search(r"\n +ppo +Proximal policy optimisation", out)
    assert set(json.loads(call("list", "schedule", "--json")[1])["schedule"][0]) == {
        "name", "meaning", "file", "line", "extras", "missing",
    }  # fmt: skip
    assert call("list", "schedule")[1].startswith("schedule\n  cosine")
    assert set(json.loads(call("list", "recipes", "--json")[1])) == {"recipes"}


def test_own_components_are_listed_and_described(call: Any) -> None:
    mine = ["--import", str(FIXTURES / "maze.py")]
    assert "maze" in call("list", "env", *mine)[1]
    assert "Cells of the corridor." in call("describe", "env/maze", *mine)[1]
    assert "maze" in call("schema", *mine)[1]
    for command in (["list"], ["describe", "env/gym"], ["schema"]):
        assert call(*command, "--import", "./gone.py")[0] == 3


def test_describe_prints_options(call: Any) -> None:
    code, out, _ = call("describe", "algorithm/ppo")
    assert code == 0
    assert "rlrecipe/algorithms/ppo.py:" in out
    row = next(line for line in out.split("\n") if line.startswith("  gamma"))
    assert row.split("  ")[1:] != []
    assert "default 0.99" in row
    assert json.loads(call("describe", "algorithm/ppo", "--json")[1])["options"][0]["name"] == "gamma"
    assert "total_frames" in call("describe", "recipe/trainer")[1]


def test_schema_is_json(call: Any) -> None:
    code, out, _ = call("schema")
    assert code == 0
    assert "$defs" in json.loads(out)


def test_init_prints_a_recipe(call: Any, tmp_path: Path) -> None:
    code, out, _ = call("init", "--algorithm", "ppo", "--env", "Pendulum-v1")
    file = tmp_path / "new.yaml"
    file.write_text(out)
    assert code == 0
    assert call("validate", "--static", str(file))[0] == 0
    assert call("init", "--algorithm", "pop")[0] == 3


def test_version_and_help(call: Any) -> None:
    assert call("--version")[1].startswith("rlrecipe 0.")
    code, out, _ = call("--help")
    assert code == 0
    for name in commands():
        assert name in out
        assert call(name, "--help")[0] == 0


# -- status


def test_status_of_a_run(call: Any, tmp_path: Path) -> None:
    (tmp_path / "status.json").write_text('{"state": "running", "frames": 2048, "updates": 3, "pid": 7}')
    assert call("status", str(tmp_path))[1].endswith("metrics: none yet\n")
    (tmp_path / "metrics.jsonl").write_text('{"frames": 1}\n{"frames": 2, "loss/value": null, "x": 0.123456789}\n{"fra')
    code, out, _ = call("status", str(tmp_path))
    assert code == 0
    assert out.startswith("state: running\nframes: 2048\nupdates: 3\npid: 7\nsize: 0.0 MiB\n")
    assert "x           0.123457" in out
    found = json.loads(call("status", str(tmp_path), "--json")[1])
    assert found["metrics"] == {"frames": 2, "loss/value": None, "x": 0.123456789}
    assert found["size_bytes"] > 0


@pytest.mark.parametrize("text", ["{", "[]", ""])
def test_a_status_that_cannot_be_read(call: Any, tmp_path: Path, text: str) -> None:
    (tmp_path / "status.json").write_text(text)
    code, _, err = call("status", str(tmp_path))
    assert code == 2
    assert "status.json" in err


def test_the_last_row_of_a_long_file(tmp_path: Path) -> None:
    from rlrecipe.cli.status import TAIL, last_row

    file = tmp_path / "metrics.jsonl"
    file.write_text("".join(f'{{"frames": {i}}}\n' for i in range(TAIL // 8)))
    assert last_row(file) == {"frames": TAIL // 8 - 1}
