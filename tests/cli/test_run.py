import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from rlrecipe.checkpoint.store import CheckpointStore
from rlrecipe.runs.directory import RunDirectory
from tests import small
from tests.cli.command import Commands

MAZE = Path(__file__).parent.parent / "fixtures/recipes/maze.py"
SHORT = {**small.CARTPOLE, "trainer": {"total_frames": 128}, "evaluation": {"episodes": 2}}
MAZE_RECIPE = {
    **SHORT,
    "env": {"name": "maze", "size": 4, "num_envs": 2},
    "hooks": ["bonus"],
    # The corridor knows no truncation: an evaluation of a policy that always goes left would never end.
    "evaluation": {"episodes": 2, "deterministic": False},
}
HOOK = '''
from rlrecipe import Options, option, register
from rlrecipe.envs.base import EnvOptions

class BonusOptions(Options):
    """Pays a little more for everything."""
    amount: float = option(0.5, "How much more.")

class Bonus:
    category = "data"
    reads_mapping = True

    def __init__(self, amount):
        self.amount = amount

    def register(self, trainer, name):
        trainer.register_op("batch_process", self)

    def __call__(self, batch):
        batch["next", "reward"] += self.amount
        return batch

@register("hook", "bonus")
def make_bonus(options: BonusOptions):
    return Bonus(options.amount)
'''


def test_a_run_ends_with_0_and_says_what_can_be_done_next(rlrecipe: Commands) -> None:
    answer = rlrecipe("run", rlrecipe.recipe(SHORT), "--run-dir", "here")
    assert answer.code == 0
    assert "rlrecipe evaluate here" in answer.out
    assert "rlrecipe resume here" in answer.out
    assert "resume level exact" in answer.err
    assert small.rows(Path("here"))[-1]["frames"] == 128


def test_json_is_one_document_on_standard_output_and_nothing_else(rlrecipe: Commands) -> None:
    answer = rlrecipe("run", rlrecipe.recipe(SHORT), "--run-dir", "here", "--json")
    assert answer.code == 0
    summary = json.loads(Path("here/summary.json").read_text())
    assert {key: answer.json[key] for key in summary} == summary
    assert (answer.json["state"], answer.json["run_dir"]) == ("finished", "here")


def test_quiet_leaves_standard_error_empty(rlrecipe: Commands) -> None:
    assert rlrecipe("-q", "run", rlrecipe.recipe(SHORT), "--run-dir", "here").err == ""


def test_the_default_folder_is_named_after_recipe_time_and_a_random_id(rlrecipe: Commands) -> None:
    assert rlrecipe("run", rlrecipe.recipe(SHORT)).code == 0
    (folder,) = Path("runs/ppo-cartpole-v1").iterdir()
    day, clock, random = folder.name.split("-")
    assert (len(day), len(clock), len(random)) == (8, 6, 6)


def test_seed_and_overrides(rlrecipe: Commands) -> None:
    arguments = ("run", rlrecipe.recipe(SHORT), "--run-dir", "here", "--seed", "7", "-s", "optimizer.lr=1e-4")
    assert rlrecipe(*arguments, "-s", "trainer.total_frames=64").code == 0
    summary = json.loads(Path("here/summary.json").read_text())
    assert (summary["seed"], summary["frames"]) == (7, 64)
    assert "lr: 0.0001" in Path("here/resolved.yaml").read_text()


def test_the_resolved_recipe_is_a_recipe_that_gives_the_same_bytes(rlrecipe: Commands) -> None:
    rlrecipe("run", rlrecipe.recipe(small.STATEFUL), "--run-dir", "one")
    assert rlrecipe("run", "one/resolved.yaml", "--run-dir", "other").code == 0
    assert small.outcome_of(Path("one")) == small.outcome_of(Path("other"))
    assert Path("one/resolved.yaml").read_text() == Path("other/resolved.yaml").read_text()


# -- what is refused


def test_a_folder_that_is_not_empty_is_refused(rlrecipe: Commands) -> None:
    Path("here").mkdir()
    Path("here/precious").write_text("x")
    answer = rlrecipe("run", rlrecipe.recipe(SHORT), "--run-dir", "here")
    assert answer.code == 2
    assert "here is not empty" in answer.err
    assert "--continue" in answer.err
    assert [path.name for path in Path("here").iterdir()] == ["precious"]


def test_an_empty_folder_is_taken(rlrecipe: Commands) -> None:
    Path("here").mkdir()
    assert rlrecipe("run", rlrecipe.recipe(SHORT), "--run-dir", "here").code == 0


@pytest.mark.parametrize(
    ("change", "code", "expected"),
    [
        ("algorithm.gama=0.9", 3, "E101"),
        ("algorithm.gamma=2", 3, "E102"),
        ("algorithm=pppo", 3, "E201"),
        ("collector.frames_per_batch=63", 3, "E302"),
        ("env.env_name=CartPole-v9", 3, "CartPole-v1"),
        ("env.env_name=CarRacing-v3", 3, "E301"),
        ("networks.policy.distribution=normal", 3, "E301"),
        ("runtime.device=cuda:99", 4, "E402"),
        ("env.env_name=ALE/Nope-v5", None, "ALE/Nope-v5"),
    ],
)
def test_recipes_that_are_refused_leave_nothing_behind(
    rlrecipe: Commands, change: str, code: int | None, expected: str
) -> None:
    answer = rlrecipe("run", rlrecipe.recipe(SHORT), "--run-dir", "here", "-s", change)
    assert answer.code == code or (code is None and answer.code in (3, 4))
    assert expected in answer.err
    assert not Path("here").exists()
    assert "Traceback" not in answer.err


def test_problems_as_json(rlrecipe: Commands) -> None:
    answer = rlrecipe("run", rlrecipe.recipe(SHORT), "-s", "algorithm.gama=0.9", "--json")
    assert (answer.code, answer.json["valid"]) == (3, False)
    assert answer.json["errors"][0]["suggestion"] == "gamma"


def test_a_bundled_recipe_that_does_not_exist(rlrecipe: Commands) -> None:
    assert rlrecipe("run", "ppo/cartpol").code == 2


# -- ends


def test_an_early_stopping_ends_with_0(rlrecipe: Commands) -> None:
    hook = {"name": "early_stopping", "threshold": 5, "episodes": 2}
    recipe = {**small.CARTPOLE, "hooks": [hook]}
    answer = rlrecipe("run", rlrecipe.recipe(recipe), "--run-dir", "here", "--json")
    assert (answer.code, answer.json["state"]) == (0, "finished")
    assert answer.json["frames"] == 64
    assert "mean return of 5" in answer.json["reason"]
    assert rlrecipe("resume", "here").code == 0
    assert json.loads(Path("here/status.json").read_text())["frames"] == 64


def test_a_run_that_diverges_ends_with_6(rlrecipe: Commands) -> None:
    recipe = {**small.PENDULUM, "hooks": ["nan_guard"], "optimizer": {"name": "sgd", "lr": 1e30}}
    answer = rlrecipe("run", rlrecipe.recipe(recipe), "--run-dir", "here")
    assert answer.code == 6
    assert "not finite: loss/" in answer.err
    assert "the checkpoint before is 000000000000-0000000000" in answer.err
    status = json.loads(Path("here/status.json").read_text())
    assert status["state"] == "failed"
    assert "not finite" in status["reason"]


def test_a_run_that_diverges_without_a_guard_ends_with_6_too(rlrecipe: Commands) -> None:
    recipe = {**small.PENDULUM, "optimizer": {"name": "sgd", "lr": 1e30}}
    answer = rlrecipe("run", rlrecipe.recipe(recipe), "--run-dir", "here")
    assert answer.code == 6
    assert "not finite" in answer.err
    assert not Path("here/summary.json").exists()


def test_a_time_limit_ends_with_75_and_can_be_resumed(rlrecipe: Commands) -> None:
    file = rlrecipe.recipe(small.STATEFUL)
    rlrecipe("run", file, "--run-dir", "whole")
    answer = rlrecipe("run", file, "--run-dir", "here", "-s", "trainer.time_limit=200")
    assert answer.code == 75
    assert "rlrecipe resume here" in answer.err
    assert json.loads(Path("here/status.json").read_text())["state"] == "stopped"
    assert rlrecipe("resume", "here", "-s", "trainer.time_limit=null").code == 0
    assert small.outcome_of(Path("here")) == small.outcome_of(Path("whole"))


def test_a_failure_of_the_environment_ends_with_1_and_without_a_traceback(
    rlrecipe: Commands, own_components: None
) -> None:
    Path("broken.py").write_text(
        # After more steps than a probe takes.
        MAZE.read_text()
        .replace('"""One cell left or right."""', "self.taken = getattr(self, 'taken', 0) + 1; 1 / (self.taken < 60)")
        .replace('"maze"', '"broken"')
    )
    recipe = {**SHORT, "env": {"name": "broken", "num_envs": 2}}
    answer = rlrecipe("run", rlrecipe.recipe(recipe), "--run-dir", "here", "--import", "broken.py")
    assert answer.code == 1
    assert "ZeroDivisionError" in answer.err
    assert "Traceback" not in answer.err
    assert "Traceback" in Path("here/run.log").read_text()
    assert json.loads(Path("here/status.json").read_text())["state"] == "failed"


# -- --continue


def test_continue_creates_then_resumes_then_does_nothing(rlrecipe: Commands) -> None:
    file = rlrecipe.recipe(small.STATEFUL)
    rlrecipe("run", file, "--run-dir", "whole")
    command = ("run", file, "--run-dir", "here", "--continue")
    assert rlrecipe(*command, "-s", "trainer.time_limit=200").code == 75
    assert rlrecipe(*command).code == 0
    assert small.outcome_of(Path("here")) == small.outcome_of(Path("whole"))
    before = Path("here/metrics.jsonl").read_bytes()
    again = rlrecipe(*command, "--json")
    assert (again.code, again.json["state"]) == (0, "finished")
    assert Path("here/metrics.jsonl").read_bytes() == before


@pytest.mark.parametrize("recipe", [small.DQN, small.TD3], ids=["dqn", "td3"])
def test_continue_knows_what_an_algorithm_chose(rlrecipe: Commands, recipe: dict[str, Any]) -> None:
    # Shared parts would be written as aliases, which recipes may not have.
    left_open = json.loads(json.dumps({**recipe, "trainer": {"total_frames": 192, "log_interval": 100}}))
    command = ("run", rlrecipe.recipe(left_open), "--run-dir", "here", "--continue")
    assert rlrecipe(*command, "-s", "trainer.time_limit=1").code == 75
    assert rlrecipe(*command).code == 0


def test_continue_refuses_another_recipe(rlrecipe: Commands) -> None:
    file = rlrecipe.recipe(SHORT)
    rlrecipe("run", file, "--run-dir", "here")
    answer = rlrecipe("run", file, "--run-dir", "here", "--continue", "-s", "algorithm.gamma=0.5")
    assert answer.code == 2
    assert "algorithm.gamma: 0.99 became 0.5" in answer.err


def test_continue_sees_what_was_taken_out_of_a_recipe(rlrecipe: Commands) -> None:
    plain = json.loads(json.dumps({**small.DQN, "trainer": {"total_frames": 192, "log_interval": 100}}))
    command = ("run", rlrecipe.recipe(plain), "--run-dir", "here", "--continue")
    assert rlrecipe(*command, "-s", "trainer.updates_per_frame=2", "-s", "trainer.time_limit=1").code == 75
    answer = rlrecipe(*command)
    assert answer.code == 2
    assert "trainer.updates_per_frame: 2.0 became 0.25" in answer.err


def test_continue_needs_a_folder(rlrecipe: Commands) -> None:
    answer = rlrecipe("run", rlrecipe.recipe(SHORT), "--continue")
    assert (answer.code, "--run-dir" in answer.err) == (2, True)


def test_a_folder_in_use_is_refused_with_the_pid(rlrecipe: Commands) -> None:
    file = rlrecipe.recipe(SHORT)
    rlrecipe("run", file, "--run-dir", "here")
    holder = RunDirectory(Path("here"))
    holder.lock()
    try:
        for command in (("run", file, "--run-dir", "here", "--continue"), ("resume", "here")):
            answer = rlrecipe(*command, "-s", "trainer.total_frames=256")
            assert answer.code == 2
            assert f"in use by process {os.getpid()}" in answer.err
    finally:
        holder.unlock()


# -- --init-from


def test_init_from_takes_weights_and_statistics_only(rlrecipe: Commands) -> None:
    norm = {**SHORT, "env": {**SHORT["env"], "transforms": ["observation_norm"]}}
    file = rlrecipe.recipe(norm)
    rlrecipe("run", file, "--run-dir", "first")
    frozen = ("-s", "optimizer={name: sgd, lr: 0}", "-s", "trainer.total_frames=64")
    answer = rlrecipe("run", file, "--run-dir", "second", "--init-from", "first", *frozen)
    assert answer.code == 0
    first, second = _policy("first"), _policy("second")
    assert all(torch_equal(first[name], second[name]) for name in first if not name.startswith("observation"))
    # The statistics went on from the first run's: 2 environments, 32 steps and a reset.
    assert float(second["observation_norm.count"]) == pytest.approx(float(first["observation_norm.count"]) + 66)
    assert json.loads(Path("second/summary.json").read_text())["frames"] == 64


def test_target_networks_start_from_the_given_weights(tmp_path: Path) -> None:
    small.train(small.TD3, tmp_path / "first")
    frozen = ("optimizer={name: sgd, lr: 0}", "algorithm.target.tau=0.1")
    small.train(small.TD3, tmp_path / "second", *frozen, init_from=tmp_path / "first")
    checkpoint = CheckpointStore(tmp_path / "second/checkpoints").newest()
    assert checkpoint is not None
    update = checkpoint.state()["update"]
    copies = update["targets"]["copies"]
    assert copies.keys() == {f"target_{name}" for name in update["parameters"]}
    # Ways of a tenth between equal numbers end where they began.
    assert all(torch_equal(copies[f"target_{name}"], tensor) for name, tensor in update["parameters"].items())


def test_init_from_nothing_is_a_usage_error(rlrecipe: Commands) -> None:
    answer = rlrecipe("run", rlrecipe.recipe(SHORT), "--run-dir", "here", "--init-from", "nowhere")
    assert answer.code == 2
    assert not Path("here").exists()


def _policy(run_dir: str) -> dict[str, Any]:
    from safetensors.torch import load

    return load(small.policy_bytes(Path(run_dir)))


def torch_equal(one: Any, other: Any) -> bool:
    return bool((one == other).all())


# -- imports


@pytest.fixture
def own_files(rlrecipe: Commands, own_components: None) -> Path:
    """A recipe with an environment and a hook of the user's own files, which it declares."""
    shutil.copy(MAZE, "maze.py")
    Path("bonus.py").write_text(HOOK)
    return rlrecipe.recipe({**MAZE_RECIPE, "imports": ["./maze.py", "./bonus.py"]})


def test_imports_without_consent_end_with_4(rlrecipe: Commands, own_files: Path) -> None:
    answer = rlrecipe("run", own_files, "--run-dir", "here")
    assert answer.code == 4
    assert "E403" in answer.err
    assert "--trust-imports" in answer.err
    assert not Path("here").exists()


@pytest.mark.parametrize("consent", [("--trust-imports",), ("--import", "maze.py", "--import", "bonus.py")], ids=len)
def test_components_of_the_users_own_files_train_and_are_kept(
    rlrecipe: Commands, own_files: Path, consent: tuple[str, ...]
) -> None:
    assert rlrecipe("run", own_files, "--run-dir", "here", *consent).code == 0
    assert Path("here/imports/maze.py").read_bytes() == MAZE.read_bytes()
    provenance = json.loads(Path("here/provenance.json").read_text())
    assert sorted(Path(one["name"]).name for one in provenance["imports"]) == ["bonus.py", "maze.py"]
    assert all(len(one["sha256"]) == 64 for one in provenance["imports"])
    longer = ("resume", "here", "-s", "trainer.total_frames=256")
    refused = rlrecipe(*longer)
    assert (refused.code, "E403" in refused.err) == (4, True)
    assert rlrecipe(*longer, *consent).code == 0
    assert json.loads(Path("here/status.json").read_text())["frames"] == 256


def test_a_run_uses_its_own_copy_of_a_file_that_changed_since(rlrecipe: Commands, own_files: Path) -> None:
    with small.own_components():  # A new process knows nothing of the first one's components.
        rlrecipe("run", own_files, "--run-dir", "here", "--trust-imports")
    Path("maze.py").write_text("raise RuntimeError('this is not the file that the run was started with')")
    assert rlrecipe("resume", "here", "-s", "trainer.total_frames=256", "--trust-imports").code == 0


def test_continue_does_not_run_a_folders_code_without_consent(rlrecipe: Commands, own_files: Path) -> None:
    rlrecipe("run", own_files, "--run-dir", "here", "--trust-imports")
    Path("here/imports/maze.py").write_text("from pathlib import Path\nPath('ran').touch()\n")
    plain = rlrecipe.recipe(SHORT, "plain.yaml")
    assert rlrecipe("run", plain, "--run-dir", "here", "--continue").code == 4
    assert not Path("ran").exists()


def test_what_is_deprecated_in_a_users_file_is_shown(rlrecipe: Commands, tmp_path: Path) -> None:
    (tmp_path / "again.py").write_text(
        "from rlrecipe import register\nfrom rlrecipe.transforms.base import TransformOptions\n\n\n"
        "class AgainOptions(TransformOptions):\n    'None.'\n\n\n"
        "@register('transform', 'again', wraps=True)\n"
        "def make(options: AgainOptions, env):\n    return env\n"
    )
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        "env: {env_name: CartPole-v1, transforms: [again]}\nalgorithm: ppo\nimports: [./again.py]\n"
        "trainer: {total_frames: 100}\n"
    )
    answer = rlrecipe("validate", "--import", str(tmp_path / "again.py"), str(recipe))
    assert answer.code == 0, answer.err
    assert f"warning: {tmp_path / 'again.py'}:9: traits are given as one object" in answer.err
    assert "traits=TransformTraits(wraps=...)" in answer.err
