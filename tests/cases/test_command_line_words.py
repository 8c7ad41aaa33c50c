"""What users write who come from elsewhere, and what they are told."""

from pathlib import Path

import pytest
import yaml

import rlrecipe as package
from rlrecipe.assembly.environments import environment_problem
from rlrecipe.recipe.dump import data
from rlrecipe.recipe.errors import Problem, RecipeError
from rlrecipe.recipe.load import load
from rlrecipe.recipe.registry import search
from rlrecipe.recipe.slots import Slot
from rlrecipe.recipe.tree import unmarked
from rlrecipe.recipe.words import WORDS, known
from tests import small
from tests.cli.command import Commands

PPO = "env: CartPole-v1\nalgorithm: {name: ppo%s}\ntrainer: {total_frames: 1000}\n"


# -- init


@pytest.mark.parametrize("algorithm", [component.name for component in search("algorithm")])
def test_init_prints_a_recipe_that_validates(rlrecipe: Commands, tmp_path: Path, algorithm: str) -> None:
    (tmp_path / "r.yaml").write_text(rlrecipe("init", "--algorithm", algorithm).out)
    assert rlrecipe("validate", "r.yaml").out == "r.yaml: valid\n"


@pytest.mark.parametrize(
    ("algorithm", "env"),
    [("ppo", "CarRacing-v3"), ("sac", "CarRacing-v3"), ("dqn", "ALE/Pong-v5"), ("ppo", "Blackjack-v1"),
     ("torchrl_loss", "CartPole-v1")],
)  # fmt: skip
def test_init_fits_the_environment(rlrecipe: Commands, tmp_path: Path, algorithm: str, env: str) -> None:
    (tmp_path / "r.yaml").write_text(rlrecipe("init", "--algorithm", algorithm, "--env", env).out)
    assert rlrecipe("validate", "r.yaml").out == "r.yaml: valid\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--algorithm", "dqn", "--env", "Pendulum-v1"], "--algorithm: E301"),
        (["--algorithm", "torchrl_loss", "--env", "CarRacing-v3"], "--algorithm: E301"),
        (["--env", "CartPol-v1"], "did you mean CartPole-v1?"),
        (["--env", "grid:Grid"], "write Grid here"),
    ],
)
def test_init_says_what_cannot_be(rlrecipe: Commands, words: list[str], said: str) -> None:
    answer = rlrecipe("init", *words)
    assert (answer.code, answer.out, said in answer.err) == (3, "", True), answer.err


# -- words of other libraries


def test_every_place_that_a_word_means_is_one() -> None:
    replay = {"replay_buffer": {"name": "prioritized"}, "exploration": "egreedy"}
    roots = []
    for name in ("ppo", "sac", "td3", "dqn"):
        recipe = {"env": "CartPole-v1", "algorithm": name, "trainer": {"total_frames": 10**6}}
        roots.append(unmarked(data(load({**recipe, **(replay if name in ("sac", "dqn") else {})}).recipe)))
    wrong = [
        (word, said.place)
        for word, places in WORDS.items()
        for said in places
        if said.place and not any(known(root, said.place) for root in roots)
    ]
    assert wrong == []
    assert all(said.place or said.note for places in WORDS.values() for said in places)


@pytest.mark.parametrize(
    ("option", "suggestion"),
    [
        (", learning_rate: 1e-3", "optimizer.lr"),
        (", n_steps: 128", "write it as collector.frames_per_batch"),
        (", vf_coef: 0.5", "critic_coeff"),
        (", ent_coef: 0.5", "entropy_coeff"),
        (", gae_lambda: 0.9", "lmbda"),
        (", clip_range: 0.2", "clip_epsilon"),
        (", n_epochs: 3", "num_epochs"),
        (", batch_size: 64", "minibatch_size"),
        (", use_sde: true", "use_sde: state-dependent exploration"),
        (", normalize: true", "observation_norm"),
        (", max_grad_norm: 1", "trainer.clip_norm"),
        (", policy: MlpPolicy", "write it as networks.policy"),
        (", net_arch: [64]", "networks.policy.num_cells"),
        (", total_timesteps: 9", "trainer.total_frames"),
        (", n_envs: 4", "env.num_envs"),
        (", tau: 0.005", "this algorithm has no target network"),
        (", device: cuda", "runtime.device"),
        (", capture_video: true", "rlrecipe evaluate RUN --video FILE films the policy"),
        # A word that is merely misspelled.
        (", gama: 0.9", "gamma"),
    ],
)
def test_a_word_of_another_library_is_told_its_place(
    rlrecipe: Commands, tmp_path: Path, option: str, suggestion: str
) -> None:
    (tmp_path / "r.yaml").write_text(PPO % option)
    (error,) = rlrecipe("validate", "--static", "--json", "r.yaml").json["errors"]
    assert error["code"] == "E101"
    assert suggestion in error["suggestion"]


@pytest.mark.parametrize(
    ("key", "suggestion"),
    [("buffer_size", "replay_buffer.storage.max_size"), ("batch_size", "replay_buffer.batch_size"),
     ("learning_starts", "collector.init_random_frames"), ("ent_coef", "alpha_init"), ("tau", "algorithm.target.tau"),
     ("gradient_steps", "trainer.updates_per_frame"), ("train_freq", "collector.frames_per_batch")],
)  # fmt: skip
def test_and_it_is_the_algorithms_own(rlrecipe: Commands, tmp_path: Path, key: str, suggestion: str) -> None:
    (tmp_path / "r.yaml").write_text(yaml.safe_dump({"env": "Pendulum-v1", "algorithm": {"name": "sac", key: 1},
                                                     "trainer": {"total_frames": 1000}}))  # fmt: skip
    (error,) = rlrecipe("validate", "--static", "--json", "r.yaml").json["errors"]
    assert suggestion in error["suggestion"]


def test_a_merge_key_is_called_one(rlrecipe: Commands, tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text("base: &b {gamma: 1}\nalgorithm: {<<: *b, name: ppo}\n'<<': 1\n")
    errors = rlrecipe("validate", "--static", "--json", "r.yaml").json["errors"]
    merge = [error for error in errors if "merge key" in error["message"]]
    assert [(error["code"], error["line"], error["column"]) for error in merge] == [("E105", 2, 13)]
    assert "extends" in merge[0]["suggestion"]


# -- components that are elsewhere


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("recurrent_ppo", "networks.memory: lstm"),
        ("algorithm/RecurrentPPO", "networks.memory: lstm"),
        ("algorithm/cql", "CQLLoss"),
        ("td3_bc", "planned"),
        ("algorithm", "rlrecipe list algorithm"),
        ("hooks", "rlrecipe list hook"),
        ("mpl", "did you mean network/mlp?"),
        ("network/ppo", "did you mean algorithm/ppo?"),
        ("network/", "no component is named 'network'"),
    ],
)
def test_describe_says_where_to_go(rlrecipe: Commands, name: str, said: str) -> None:
    answer = rlrecipe("describe", name)
    assert (answer.code, said in answer.err) == (2, True), answer.err


def test_describe_needs_no_kind(rlrecipe: Commands) -> None:
    assert rlrecipe("describe", "ppo").out == rlrecipe("describe", "algorithm/ppo").out
    assert rlrecipe("describe", "trainer").out.startswith("recipe/trainer")


def test_a_recipe_is_told_the_same(rlrecipe: Commands, tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text(PPO.replace("ppo%s", "recurrent_ppo"))
    assert "networks.memory: lstm" in rlrecipe("validate", "--static", "r.yaml").out


# -- consent and environments of one's own


def test_an_id_that_nobody_registered_has_a_word_on_imports() -> None:
    ((code, path, message, suggestion),) = small.problems(
        {"env": "Grid-v0", "algorithm": "ppo", "trainer": {"total_frames": 9}}
    )
    assert (code, path, suggestion) == ("E102", "env.env_name", "")
    assert "imports" in message
    assert "--import" in message


def test_consent_is_asked_in_the_words_of_python_too(tmp_path: Path) -> None:
    (tmp_path / "maze.py").write_text("")
    recipe = {"env": "CartPole-v1", "algorithm": "ppo", "trainer": {"total_frames": 9}}
    with pytest.raises(RecipeError, match="in Python trust_imports=True"):
        package.train({**recipe, "imports": [str(tmp_path / "maze.py")]})


def test_consent_for_a_run_names_its_file(rlrecipe: Commands, tmp_path: Path) -> None:
    (tmp_path / "maze b.py").write_text("")
    recipe = {**small.CARTPOLE, "imports": ["./maze b.py"], "trainer": {"total_frames": 64}}
    run = rlrecipe("run", rlrecipe.recipe(recipe), "--run-dir", "a b", "--trust-imports")
    assert "rlrecipe evaluate 'a b' --trust-imports" in run.out
    answer = rlrecipe("evaluate", "a b")
    assert answer.code == 4
    assert answer.err.startswith("a b/checkpoints/") or "/a b/checkpoints/" in answer.err.split(": ")[0]
    assert "manifest.json: E403 at imports.0" in answer.err
    assert "--import 'a b/imports/maze b.py'" in answer.err
    assert "a b/resolved.yaml:" in rlrecipe("resume", "a b").err


def test_a_matrix_in_a_message_is_one_line() -> None:
    assert Problem("E301", ("env",), "MultiDiscrete([[2 3]\n [4 2]])").message == "MultiDiscrete([[2 3] [4 2]])"
    options = Slot("env", default="gym", bare="env_name").read("Grid-v0")
    assert "\n" not in environment_problem(options, ValueError("a\nb"), ("env",)).message
