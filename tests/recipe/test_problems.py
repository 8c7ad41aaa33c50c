"""Each message that a recipe's mistakes can cause, with its place and its cure."""

from pathlib import Path

import pytest

from rlrecipe.recipe.errors import PlacedProblem, RecipeError
from rlrecipe.recipe.load import load

FIXTURES = Path(__file__).parent.parent / "fixtures/recipes"
SMALLEST = {
    "env": "env: CartPole-v1",
    "algorithm": "algorithm: ppo",
    "trainer": "trainer: {total_frames: 100_000}",
}


def problems(tmp_path: Path, changed: str, *options: str) -> tuple[PlacedProblem, ...]:
    """The problems of the smallest recipe with some of its sections changed or others added."""
    given = {line.partition(":")[0]: line for line in changed.split("\n")}
    file = tmp_path / "r.yaml"
    file.write_text("\n".join(line for line in {**SMALLEST, **given}.values() if not line.endswith("DROP")))
    try:
        load(file, options)
    except RecipeError as error:
        return error.problems
    return ()


@pytest.mark.parametrize(
    ("changed", "code", "path", "message", "suggestion"),
    [
        # Unknown keys.
        (
            "sede: 1",
            "E101",
            "sede",
            "'sede' is no section of a recipe; expected one of version, name, seed",
            "seed",
        ),
        (
            "algorithm: {name: ppo, epochs: 3}",
            "E101",
            "algorithm.epochs",
            "'epochs' is no option of ppo; expected one of gamma",
            "num_epochs",
        ),
        (
            "trainer: {total_frames: 1, gamma: 3}",
            "E101",
            "trainer.gamma",
            "'gamma' is no option of trainer",
            "algorithm.gamma",
        ),
        (
            "networks: {polic: mlp}",
            "E101",
            "networks.polic",
            "'polic' is no network of ppo; expected one of policy, value",
            "policy",
        ),
        (
            "optimizer: {groups: {value: {rate: 1, lr: 1}}}",
            "E101",
            "optimizer.groups.value.rate",
            "'rate' is no option of",
            None,
        ),
        (
            "evaluation: {env: {num_env: 1}}",
            "E101",
            "evaluation.env.num_env",
            "'num_env' is no option of gym",
            "num_envs",
        ),
        *[
            (
                f"{word}: 1",
                "E101",
                word,
                "is reserved for a later version",
                "remove it: this version has no use for it",
            )
            for word in ("seeds", "sweep", "execution", "dataset", "groups", "model")
        ],
        # Wrong types and values.
        ("seed: x", "E102", "seed", "expected a whole number, got the text 'x'", None),
        ("seed: 1.5", "E102", "seed", "expected a whole number, got 1.5", None),
        ("seed: true", "E102", "seed", "expected a whole number, got true", None),
        ("seed: -1", "E102", "seed", "expected a number of at least 0, got -1", None),
        ("seed: [1]", "E102", "seed", "expected a whole number, got a list of 1", None),
        (
            'seed: "7"',
            "E102",
            "seed",
            "expected a whole number, got the text '7'",
            "remove the quotes: a number stands without them",
        ),
        ("version: 2", "E102", "version", "expected 1, got 2", None),
        ("optimizer: {lr: fast}", "E102", "optimizer.lr", "expected a number, got the text 'fast'", None),
        (
            "optimizer: {betas: [0.9]}",
            "E102",
            "optimizer.betas",
            "expected at least 2 entries, got a list of 1",
            None,
        ),
        (
            "optimizer: {betas: [0.9, 1]}",
            "E102",
            "optimizer.betas.1",
            "expected a number below 1, got 1",
            None,
        ),
        (
            "algorithm: {name: ppo, gamma: 2}",
            "E102",
            "algorithm.gamma",
            "expected a number of at most 1, got 2",
            None,
        ),
        (
            "algorithm: {name: ppo, num_epochs: 0}",
            "E102",
            "algorithm.num_epochs",
            "expected a number above 0, got 0",
            None,
        ),
        (
            "algorithm: {name: ppo, clip_epsilon: -1}",
            "E102",
            "algorithm.clip_epsilon",
            "expected a number of at least 0, got -1",
            None,
        ),
        (
            "algorithm: {name: ppo, clip_epsilon: true}",
            "E102",
            "algorithm.clip_epsilon",
            "expected the name of a schedule or a mapping",
            None,
        ),
        (
            "checkpoint: {keep_best: yes}",
            "E102",
            "checkpoint.keep_best",
            "expected true or false, got the text 'yes'",
            "write true: in recipes yes, no, on and off are texts",
        ),
        ("checkpoint: {every: 0}", "E102", "checkpoint.every", "expected a number of frames above 0", None),
        ("checkpoint: {every: {hours: 1}}", "E102", "checkpoint.every", "or one of {frames: N}", None),
        ("checkpoint: 3", "E102", "checkpoint", "expected a mapping of options, got 3", None),
        ("imports: x.py", "E102", "imports", "expected a list, got the text 'x.py'", None),
        ("imports: [3]", "E102", "imports.0", "expected a text, got 3", None),
        ("env: {env_name: A, kwargs: 3}", "E102", "env.kwargs", "expected a mapping, got 3", None),
        (
            "env: {env_name: ''}",
            "E102",
            "env.env_name",
            "expected a text of at least 1 characters, got the text ''",
            None,
        ),
        ("runtime: {compile: true}", "E102", "runtime.compile", "expected auto, on or off, got true", "on"),
        (
            "runtime: {compile: of}",
            "E102",
            "runtime.compile",
            "expected auto, on or off, got the text 'of'",
            "off",
        ),
        (
            "runtime: {threads: many}",
            "E102",
            "runtime.threads",
            "expected a whole number or auto, got the text 'many'",
            None,
        ),
        (
            "runtime: {device: gpu}",
            "E102",
            "runtime.device",
            "expected auto, cpu, cuda, cuda:N or mps, got the text 'gpu'",
            "write auto to have one chosen",
        ),
        (
            "name: My Run",
            "E102",
            "name",
            "expected lower case letters, digits, '.', '_' and '-', got the text 'My Run'",
            "my-run",
        ),
        (
            "optimizer: 3",
            "E102",
            "optimizer",
            "expected the name of an optimizer or a mapping with its name, got 3",
            None,
        ),
        ("optimizer: {name: 3}", "E102", "optimizer.name", "expected the name of an optimizer as text", None),
        (
            "env: maze:Maze-v0",
            "E102",
            "env.env_name",
            "expected an environment id without a module, got 'maze:Maze-v0'",
            "write Maze-v0 here and declare the module: imports: [maze], or --import maze",
        ),
        # Missing keys.
        ("env: DROP", "E103", "env", "env is missing: The environment.", "add env: ..."),
        (
            "algorithm: DROP",
            "E103",
            "algorithm",
            "algorithm is missing: The algorithm.",
            "add algorithm: ...",
        ),
        (
            "trainer: DROP",
            "E103",
            "trainer.total_frames",
            "one of trainer.total_frames and trainer.total_updates",
            "add trainer: {total_frames: 1e6}",
        ),
        (
            "trainer: {clip_norm: 1}",
            "E103",
            "trainer.total_frames",
            "the length of the run is missing",
            "add trainer: {total_frames: 1e6}",
        ),
        (
            "env: {num_envs: 2}",
            "E103",
            "env.env_name",
            "env.env_name is missing: The id, such as CartPole-v1.",
            "add env_name: ...",
        ),
        (
            "optimizer: {groups: {value: {}}}",
            "E103",
            "optimizer.groups.value.lr",
            "is missing: Learning rate",
            "add lr: ...",
        ),
        ("hooks: [{key: x}]", "E103", "hooks.0.name", "hooks.0 names no hook", "add the name of a hook"),
        # Unknown components.
        ("algorithm: pop", "E201", "algorithm", "no algorithm is named 'pop'; expected one of", "ppo"),
        (
            "optimizer: {name: adm}",
            "E201",
            "optimizer.name",
            "no optimizer is named 'adm'; expected one of adadelta",
            "adam",
        ),
        ("loggers: [cvs]", "E201", "loggers.0", "no logger is named 'cvs'; expected one of", "csv"),
        (
            "algorithm: {name: ppo, entropy_coeff: lineer}",
            "E201",
            "algorithm.entropy_coeff",
            "no schedule is named 'lineer'",
            "linear",
        ),
        # Combinations.
        (
            "trainer: {total_frames: 1, updates_per_frame: 1, optim_steps_per_batch: 2}",
            "E302",
            "trainer.updates_per_frame",
            "updates_per_frame (1) and optim_steps_per_batch (2) both say",
            "remove one of the two",
        ),
        (
            "runtime: {compile: on, device: cuda}",
            "E302",
            "runtime.compile",
            "updates are compiled for the CPU only so far, and this recipe's device is cuda",
            "use auto or off",
        ),
    ],
)
def test_one_mistake(tmp_path: Path, changed: str, code: str, path: str, message: str, suggestion: str | None) -> None:
    found = problems(tmp_path, changed)
    matching = [one for one in found if (one.code, one.path) == (code, path) and message in one.problem.message]
    assert len(matching) == 1, found
    (problem,) = matching
    assert problem.problem.suggestion == suggestion
    assert (problem.place.line is None) == (code == "E103")
    assert "pydantic" not in problem.text().lower()
    assert "input should" not in problem.text().lower()


@pytest.mark.parametrize("changed", ["algorithm: pop", "algorithm: DROP", "trainer: DROP", "env: DROP", "seed: x"])
def test_one_mistake_is_one_problem(tmp_path: Path, changed: str) -> None:
    assert len(problems(tmp_path, changed)) == 1


@pytest.mark.parametrize(
    ("options", "column"),
    [
        ("optimizer.lr=x", 14),
        ("optimizer={name: adam, lr: x}", 28),
        ("optimizer.rl=1", 11),
        ("algorithm=pop", 11),
        ("runtime.device=gpu", 16),
        ("env=a:b", 5),
        ("evaluation.env.num_env=3", 16),
    ],
)
def test_mistakes_in_options_are_pointed_at_there(tmp_path: Path, options: str, column: int) -> None:
    (problem,) = problems(tmp_path, "seed: 1", options)
    assert (problem.place.file, problem.place.source, problem.place.column) == ("-s", options, column)
    assert problem.data()["line"] is None
    lines = problem.text().split("\n")
    assert lines[2].index("^") - lines[1].index(options) == column - 1


def test_six_mistakes_are_six_problems_in_one_go() -> None:
    with pytest.raises(RecipeError) as caught:
        load(FIXTURES / "six_mistakes.yaml")
    places = [(one.code, one.path, one.place.line, one.place.column) for one in caught.value.problems]
    assert places == [
        ("E101", "env.num_env", 1, 30),
        ("E102", "algorithm.gamma", 4, 10),
        ("E201", "algorithm.clip_epsilon.name", 5, 24),
        ("E102", "optimizer.lr", 6, 29),
        # Nobody wrote the minibatch_size that does not divide them.
        ("E302", "collector.frames_per_batch", 8, 31),
        ("E102", "runtime.device", 9, 19),
    ]
    assert caught.value.exit_code == 3


def test_a_broken_value_hides_nothing_else(tmp_path: Path) -> None:
    found = problems(tmp_path, "seed: .inf\nname: A B\nseed2: &x 1\nruntime: {device: gpu}")
    assert [(one.code, one.path) for one in found] == [
        ("E102", "seed"),
        ("E102", "name"),
        ("E101", "seed2"),
        ("E105", "seed2"),
        ("E102", "runtime.device"),
    ]
