from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rlrecipe.recipe.bundled import bundled, bundled_file
from rlrecipe.recipe.errors import Problem, RecipeError, RecipeNotFound
from rlrecipe.recipe.evaluation_env import evaluation_env
from rlrecipe.recipe.load import Loaded, load

SMALLEST = "env: CartPole-v1\nalgorithm: ppo\ntrainer: {total_frames: 100_000}\n"
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(text: str = SMALLEST, name: str = "r.yaml") -> Path:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return file

    return write


def codes(error: RecipeError) -> list[tuple[str, str]]:
    return [(problem.code, problem.path) for problem in error.problems]


def refused(*arguments: Any, **more: Any) -> RecipeError:
    with pytest.raises(RecipeError) as caught:
        load(*arguments, **more)
    return caught.value


def test_the_smallest_recipe_takes_its_algorithms_defaults(write: Write) -> None:
    loaded = load(write())
    recipe = loaded.recipe
    assert loaded.text == SMALLEST
    assert recipe.name == "ppo-cartpole-v1"
    assert recipe.optimizer.component.name == "adam"
    assert set(recipe.networks) == {"policy", "value"}
    assert recipe.trainer.total_frames == 100_000


def test_a_path_may_be_text_and_options_win_in_their_order(write: Write) -> None:
    recipe = load(str(write()), ["seed=1", "seed=2", "optimizer.lr=1e-3", "optimizer=sgd"]).recipe
    assert recipe.seed == 2
    assert recipe.optimizer.component.name == "sgd"


def test_a_mapping_is_a_recipe() -> None:
    loaded = load({"env": "CartPole-v1", "algorithm": {"name": "ppo", "gamma": 0.5}, "trainer": {"total_updates": 3}})
    assert loaded.recipe.algorithm.gamma == 0.5  # type: ignore[attr-defined]
    assert loaded.file is None
    assert "gamma: 0.5" in loaded.text


def test_problems_of_a_mapping_have_a_place_in_its_text() -> None:
    (problem,) = refused({"env": "CartPole-v1", "algorithm": "ppo", "trainer": {"total_frames": -1}}).problems
    assert (problem.code, problem.place.file, problem.place.line) == ("E102", "<mapping>", 3)


@pytest.mark.parametrize(
    ("env", "name"),
    [("ALE/Pong-v5", "ppo-ale-pong-v5"), ("Ünï x", "ppo--n--x"), ("CartPole-v1", "ppo-cartpole-v1")],
)
def test_the_default_name(write: Write, env: str, name: str) -> None:
    assert load(write(), [f"env={env}"]).recipe.name == name


@pytest.mark.parametrize("name", ["..", ".", "a/b", "A", "a b"])
def test_names_that_are_no_folder(write: Write, name: str) -> None:
    assert codes(refused(write(), [f"name={name}"])) == [("E102", "name")]


# -- extends


def test_extends_puts_a_recipe_under_this_one(write: Write) -> None:
    write("extends: sub/c.yaml\nalgorithm: {gamma: 0.5, lmbda: 0.5}\n", "base.yaml")
    write(SMALLEST, "sub/c.yaml")
    loaded = load(write("extends: ./base.yaml\nalgorithm: {gamma: 0.6}\n"))
    options: Any = loaded.recipe.algorithm
    assert (options.gamma, options.lmbda) == (0.6, 0.5)
    assert "extends" not in loaded.tree.data()


def test_a_bundled_recipe_can_be_extended(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rlrecipe.recipe.bundled.folder", lambda: tmp_path / "recipes")
    write(SMALLEST, "recipes/ppo/cartpole.yaml")
    assert bundled() == ["ppo/cartpole"]
    assert load("ppo/cartpole").name == "ppo/cartpole"
    assert load(write("extends: ppo/cartpole\nseed: 3\n")).recipe.seed == 3
    assert load(write("seed: 4\n"), ["extends=ppo/cartpole"]).recipe.seed == 4


def test_problems_in_an_extended_recipe_have_their_place_there(write: Write) -> None:
    write(SMALLEST + "seed: x\n", "base.yaml")
    (problem,) = refused(write("extends: ./base.yaml\n")).problems
    assert problem.place.file.endswith("base.yaml")
    assert problem.place.line == 4


@pytest.mark.parametrize(
    ("extends", "message"),
    [
        ("../x.yaml", "leads out of the folder"),
        ("/etc/x.yaml", "leads out of the folder"),
        ("./link.yaml", "leads out of the folder"),
        ("./r.yaml", "extends itself"),
        ("./gone.yaml", "there is no file"),
        ("ppo/nothing-like-it", "no bundled recipe is named"),
        ("[a, b]", "expected the name of a bundled recipe"),
        ("3", "expected the name of a bundled recipe"),
    ],
)
def test_extends_that_is_refused(write: Write, tmp_path: Path, extends: str, message: str) -> None:
    outside = write(SMALLEST, "outside/x.yaml")
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "link.yaml").symlink_to(outside)
    file = write(f"{SMALLEST}extends: {extends}\n", "own/r.yaml")
    (problem,) = refused(file).problems
    assert (problem.code, problem.path, problem.place.line) == ("E102", "extends", 4)
    assert message in problem.problem.message


def test_chains_of_recipes_end(write: Write) -> None:
    for i in range(7):
        write(f"extends: ./{i + 1}.yaml\n" if i < 6 else SMALLEST, f"{i}.yaml")
    assert load(write("extends: ./2.yaml\n")).recipe.seed == 0
    (*_, problem) = refused(write("extends: ./1.yaml\n")).problems
    messages = [one.problem.message for one in refused(write("extends: ./1.yaml\n")).problems]
    assert "more than 5 recipes extend one another" in messages, problem


def test_a_circle_of_recipes(write: Write) -> None:
    write("extends: ./r.yaml\n" + SMALLEST, "b.yaml")
    (problem,) = refused(write("extends: ./b.yaml\n")).problems
    assert "extends itself" in problem.problem.message


# -- sources that are none


@pytest.mark.parametrize("source", ["./gone.yaml", "/gone", ".", "gone/so", "a\0.yaml"])
def test_no_recipe(source: str) -> None:
    with pytest.raises(RecipeNotFound):
        load(source)


def test_an_unknown_bundled_recipe_names_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rlrecipe.recipe.bundled.bundled", lambda: ["ppo/cartpole"])
    with pytest.raises(RecipeNotFound, match="did you mean ppo/cartpole"):
        bundled_file("ppo/cartpol")


# -- imports

COMPONENT = """
from rlrecipe.recipe.options import Options, option
from rlrecipe.recipe.registry import register

class MyOptions(Options):
    \"\"\"Mine.\"\"\"
    size: int = option(1, "Size.", gt=0)

print("noise")

@register("optimizer", "{name}")
def make(options: MyOptions) -> None: ...
"""


def test_declared_code_needs_consent(write: Write) -> None:
    write(COMPONENT.format(name="mine_a"), "mine_a.py")
    file = write(SMALLEST + "imports: [./mine_a.py]\noptimizer: mine_a\n")
    error = refused(file)
    # The unknown name may be in the file, so only the consent is asked for.
    assert codes(error) == [("E403", "imports.0")]
    assert error.exit_code == 4
    assert "--trust-imports" in str(error)
    assert "--import" in str(error)
    assert load(file, trust_imports=True).imported[0].file == file.parent / "mine_a.py"


def test_a_file_given_by_option_counts_as_consent(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    mine = write(COMPONENT.format(name="mine_b"), "mine_b.py")
    file = write(SMALLEST + "imports: [./mine_b.py]\noptimizer: {name: mine_b, size: 3}\n")
    loaded = load(file, imports=[str(mine)])
    assert loaded.recipe.optimizer.component.file == str(mine)
    assert [one.file for one in loaded.imported] == [mine]
    assert len(loaded.imported[0].sha256 or "") == 64
    assert capsys.readouterr().out == ""


def test_other_mistakes_are_told_with_the_missing_consent(write: Write) -> None:
    file = write(SMALLEST + "imports: [./x.py]\nseed: -1\n")
    assert codes(refused(file)) == [("E403", "imports.0"), ("E102", "seed")]
    assert refused(file).exit_code == 3


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("x = 1\nx +", "bad.py:2 fails: SyntaxError"),
        ("\n\nundefined", "bad.py:3 fails: NameError"),
        ("raise SystemExit(3)", "bad.py:1 fails: SystemExit"),
        ("import no_such_thing", "bad.py:1 fails: ModuleNotFoundError"),
        ("from rlrecipe.recipe.registry import register\nregister('x', 'y')", "bad.py:2 fails: ValueError"),
    ],
)
def test_code_that_fails_is_one_problem(write: Write, code: str, message: str) -> None:
    bad = write(code, "bad.py")
    file = write(SMALLEST + "imports: [./bad.py]\n")
    (declared,) = refused(file, trust_imports=True).problems
    assert (declared.code, declared.path, declared.place.line) == ("E102", "imports.0", 4)
    assert message in declared.problem.message
    (given,) = refused(write(), imports=[str(bad)]).problems
    assert (given.code, given.place.file, given.place.option) == ("E102", "--import", True)
    assert message in given.problem.message


@pytest.mark.parametrize(("name", "message"), [("./gone.py", "cannot be read"), ("no_such_module_x", "is installed")])
def test_code_that_is_not_there(write: Write, name: str, message: str) -> None:
    (problem,) = refused(write(SMALLEST + f"imports: [{name}]\n"), trust_imports=True).problems
    assert message in problem.problem.message


def test_modules_can_be_imported(write: Write) -> None:
    assert load(write(), imports=["json"]).imported[0].module == "json"


# -- placing problems found later


def test_a_problem_found_later_is_placed(write: Write) -> None:
    loaded = load(write(), ["algorithm.gamma=0.5"])

    def line(*path: str, code: str = "E301") -> tuple[str, int | None]:
        place = loaded.place(Problem(code, path, "")).place
        return place.file.rpartition("/")[2], None if place.option else place.line

    assert line("trainer", "total_frames") == ("r.yaml", 3)
    assert line("algorithm", "gamma") == ("-s", None)
    assert line("env") == ("r.yaml", 1)
    # Nearest above: only what was written can be pointed at.
    assert line("trainer", "log_interval") == ("r.yaml", 3)
    assert line("collector", "frames_per_batch") == ("r.yaml", None)
    assert line("trainer", "x", code="E103") == ("r.yaml", None)
    assert isinstance(loaded, Loaded)


def test_the_environment_of_evaluation(write: Write) -> None:
    text = "env: {env_name: A, num_envs: 2, kwargs: {x: 1}}\n" + SMALLEST.partition("\n")[2]
    same = evaluation_env(load(write(text + "evaluation: {env: {num_envs: 1, kwargs: {y: 2}}}\n")).recipe)
    assert (same.env_name, same.num_envs, same.kwargs) == ("A", 1, {"x": 1, "y": 2})  # type: ignore[attr-defined]
    other = evaluation_env(load(write(text + "evaluation: {env: {env_name: B}}\n")).recipe)
    assert (other.env_name, other.kwargs) == ("B", {})  # type: ignore[attr-defined]
