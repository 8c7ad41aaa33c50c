"""A fork starts from its parent's state with all of it, and leaves the parent as it is."""

import json
import shlex
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

import rlrecipe
from rlrecipe.checkpoint.content import Checkpoint
from rlrecipe.checkpoint.store import CheckpointStore
from rlrecipe.errors import Refusal
from rlrecipe.loop.recipe_loop import RecipeLoop
from rlrecipe.recipe.errors import RecipeError
from rlrecipe.runs.fitting import misfits
from rlrecipe.runs.fork import fork
from rlrecipe.runs.progress import Display
from rlrecipe.runs.scheduled import ScheduledEvaluation
from rlrecipe.runs.session import Session
from rlrecipe.runs.start import located
from rlrecipe.runs.training import Result
from tests import small
from tests.cli.command import Commands

RECIPES = {
    "ppo": small.STATEFUL,
    "sac": {**small.TD3, "algorithm": {"name": "sac", "n_steps": 2}},
    "dqn": {
        **small.DQN,
        "env": {"env_name": "CartPole-v1", "num_envs": 2, "transforms": ["observation_norm", "reward_norm"]},
        "replay_buffer": {**small.DQN["replay_buffer"], "storage": {"name": "memory", "max_size": 300}},
    },
}


@pytest.fixture(scope="module")
def parents(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of each recipe; read only."""
    folder = tmp_path_factory.mktemp("parents")
    for name, recipe in RECIPES.items():
        assert small.train(recipe, folder / name).outcome.code == 0
    return folder


def forked(path: Path, run_dir: Path, *overrides: str, **more: Any) -> Result:
    return fork(path, overrides, run_dir=run_dir, display=Display(quiet=True), **more)


def first_of(run_dir: Path) -> Any:
    store = CheckpointStore(run_dir / "checkpoints")
    return store.load(store.names()[0])


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", RECIPES)
def test_without_a_change_it_ends_with_the_parents_bytes_from_any_frame(
    name: str, parents: Path, tmp_path: Path
) -> None:
    before = everything(parents / name)
    for at, frame in ((70, 64), (320, 320), (10_000, 512)):
        run_dir = tmp_path / str(at)
        result = forked(parents / name, run_dir, at=at)
        assert (result.outcome.code, result.fork["frame"]) == (0, frame)
        assert small.outcome_of(run_dir) == small.outcome_of(parents / name)
        manifest = first_of(run_dir).manifest
        assert (manifest["frames"], manifest["previous"]) == (frame, result.fork["digest"])
    assert everything(parents / name) == before


def test_a_changed_learning_rate_trains_and_is_told(rlrecipe: Commands, parents: Path) -> None:
    answer = rlrecipe("fork", parents / "ppo", "--at", "200", "--run-dir", "new", "-s", "optimizer.lr=1e-2", "--json")
    assert answer.code == 0, answer.err
    assert f"forking {parents / 'ppo'} at frame 192 (checkpoint 000000000192-0000000012) into new" in answer.err
    assert "optimizer.lr: 0.003 became 0.01" in answer.err
    told = answer.json["fork"]
    assert (told["parent"], told["frame"]) == (str(parents / "ppo"), 192)
    assert told["changes"] == {"optimizer.lr": [0.003, 0.01]}
    for file in ("provenance.json", "status.json"):
        assert json.loads(Path("new", file).read_text())["fork"] == told
    assert small.policy_bytes(Path("new")) != small.policy_bytes(parents / "ppo")
    rows, others = small.rows(Path("new")), small.rows(parents / "ppo")
    assert [row for row in rows if row["frames"] <= 192] == [row for row in others if row["frames"] <= 192]
    assert rows[-1]["frames"] == 512
    shown = rlrecipe("status", "new").out
    assert all(word in shown for word in ("optimizer.lr", str(parents / "ppo"), "192"))


def test_a_fork_needs_nothing_of_its_parent(parents: Path, tmp_path: Path) -> None:
    parent = shutil.copytree(parents / "dqn", tmp_path / "parent")
    forked(parent, tmp_path / "child", "trainer.time_limit=64", at=200)
    linked = [path for path in (tmp_path / "child").rglob("*") if path.is_file()]
    inodes = {path.stat().st_ino for path in parent.rglob("*") if path.is_file()}
    assert not inodes & {path.stat().st_ino for path in linked}
    shutil.rmtree(parent)
    forked(tmp_path / "child", tmp_path / "grandchild", "trainer.time_limit=null")
    shutil.rmtree(tmp_path / "child")
    assert small.outcome_of(tmp_path / "grandchild") == small.outcome_of(parents / "dqn")
    told = json.loads((tmp_path / "grandchild/provenance.json").read_text())["fork"]
    assert [told["frame"], *(each["frame"] for each in told["ancestors"])] == [256, 192]


@pytest.mark.parametrize("name", ["ppo", "sac"])
def test_a_fork_that_is_killed_at_once_goes_on_as_one_that_was_not(
    name: str, parents: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = ("seed=3", "evaluation.every=100", "hooks=[nan_guard]")
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    forked(parents / name, whole, *changes, at=256)

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("rlrecipe.runs.fork.train_in", die)
        with pytest.raises(KeyboardInterrupt):
            forked(parents / name, killed, *changes, at=256)
    assert CheckpointStore(killed / "checkpoints").names() == ["000000000256-" + first_of(whole).folder.name[13:]]
    assert small.go_on(killed).outcome.code == 0
    assert small.outcome_of(killed) == small.outcome_of(whole)
    assert json.loads((killed / "status.json").read_text())["fork"]["frame"] == 256


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        (
            "ppo",
            "networks.policy.num_cells=[16]",
            "policy.0.weight is [8, 4] in the state and is [16, 4] here",
        ),
        ("ppo", "networks.value.num_cells=[8, 8]", "networks: value.1."),
        ("ppo", "optimizer={name: sgd, lr: 0.1}", "optimizer.name: 'adam' became 'sgd'"),
        ("ppo", "algorithm=a2c", "algorithm.name: 'ppo' became 'a2c'"),
        ("ppo", "env.num_envs=4", "env.num_envs: 2 became 4"),
        ("ppo", "env={env_name: Acrobot-v1, num_envs: 2}", "env: the policy was made for the observation space"),
        ("ppo", "env.transforms=[observation_norm]", "the state has no statistics for observation_norm"),
        ("ppo", "collector={name: multi_sync, frames_per_batch: 64}", "collector.name: 'sync' became 'multi_sync'"),
        ("dqn", "env.transforms=[reward_norm]", "the weights go with the statistics of observation_norm"),
        ("dqn", "replay_buffer={name: prioritized, batch_size: 16}", "replay_buffer.name: 'uniform' became"),
        ("dqn", "replay_buffer.storage.max_size=200", "the state has 256 rows, and storage.max_size 200 holds 200"),
        ("dqn", "networks.qvalue.layer_norm=true", "networks: "),
        ("ppo", "trainer.total_frames=128", "is at 256 frames, and the changed recipe ends at 128"),
    ],
)
def test_what_the_state_does_not_fit_is_named(name: str, change: str, said: str, parents: Path, tmp_path: Path) -> None:
    with pytest.raises(Refusal) as refused:
        forked(parents / name, tmp_path / "new", change, at=256)
    assert (refused.value.exit_code, said in str(refused.value)) == (2, True), refused.value
    assert "start a new run" in str(refused.value) or "--at" in str(refused.value)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("ppo", "algorithm.gamma=0.9"), ("ppo", "algorithm.minibatch_size=16"), ("ppo", "trainer.clip_norm=0.1"),
        ("ppo", "env.kwargs={sutton_barto_reward: true}"), ("ppo", "collector.frames_per_batch=32"),
        ("ppo", "env.transforms=[{name: clip_reward}]"), ("ppo", "networks.policy.activation=relu"),
        ("ppo", "hooks=[{name: early_stopping, threshold: 1000000, episodes: 2}, count_frames_log]"),
        ("ppo", "optimizer.schedule=null"), ("ppo", "trainer.total_frames=576"), ("ppo", "seed=7"),
        ("ppo", "checkpoint.keep_every=128"), ("ppo", "runtime.compile=off"),
        ("dqn", "algorithm.target={name: soft, tau: 0.1}"), ("dqn", "replay_buffer.storage.max_size=1000"),
        ("sac", "algorithm.target={name: hard, every: 50}"), ("sac", "trainer.updates_per_frame=0.3"),
    ],
)  # fmt: skip
def test_what_the_state_fits_may_change(name: str, change: str, parents: Path, tmp_path: Path) -> None:
    result = forked(parents / name, tmp_path / "new", change, at=384)
    assert result.outcome.code == 0, result.outcome.reason
    assert json.loads((tmp_path / "new/status.json").read_text())["exact"] == "exact"
    assert change.split("=")[0].split(".")[0] in " ".join(result.fork["changes"]) or change == "runtime.compile=off"


def test_another_seed_gives_other_numbers_and_the_same_twice(parents: Path, tmp_path: Path) -> None:
    for folder, seed in (("one", 1), ("again", 1), ("other", 2)):
        forked(parents / "ppo", tmp_path / folder, f"seed={seed}", at=256)
    one, again, other = (small.outcome_of(tmp_path / folder) for folder in ("one", "again", "other"))
    assert one == again
    assert one["policy"] != other["policy"] != small.policy_bytes(parents / "ppo")


def test_changed_environments_are_not_put_back_to_what_they_were(parents: Path, tmp_path: Path) -> None:
    """An environment's saved attributes would undo its new arguments."""
    forked(parents / "ppo", tmp_path / "new", "env.kwargs={sutton_barto_reward: true}", at=256)
    episodes = [row for row in small.rows(tmp_path / "new", "episodes.jsonl") if row["frames"] > 256]
    # Sutton and Barto's reward is 0 until the pole falls, then -1.
    assert {row["return"] for row in episodes} == {-1.0}


def test_no_checkpoint_early_enough_ends_with_5(rlrecipe: Commands, tmp_path: Path) -> None:
    small.train(small.CARTPOLE, tmp_path / "parent", "checkpoint.keep_last=1", "checkpoint.keep_best=false")
    answer = rlrecipe("fork", tmp_path / "parent", "--at", "100", "--run-dir", "new")
    assert (answer.code, Path("new").exists()) == (5, False)
    assert "has no checkpoint at or before frame 100; there are: 000000000512-0000000032" in answer.err
    checkpoint = tmp_path / "parent/checkpoints/000000000512-0000000032"
    assert rlrecipe("fork", checkpoint, "--at", "511", "--run-dir", "new").code == 5
    (checkpoint / "state.safetensors").write_bytes(b"damaged")
    for path in (checkpoint, tmp_path / "parent"):
        answer = rlrecipe("fork", path, "--run-dir", "new")
        assert (answer.code, Path("new").exists()) == (5, False)
        assert "state.safetensors does not match its digest" in answer.err


def test_a_damaged_checkpoint_is_named_and_left_where_it_is(rlrecipe: Commands, parents: Path, tmp_path: Path) -> None:
    parent = shutil.copytree(parents / "ppo", tmp_path / "parent")
    damaged = sorted((parent / "checkpoints").glob("0*"))[4]
    (damaged / "state.json").write_bytes(b"{}")
    before = everything(parent)
    answer = rlrecipe("-q", "fork", parent, "--at", damaged.name.split("-")[0], "--run-dir", "new")
    assert answer.code == 0
    assert f"{damaged}/state.json does not match its digest; taking the checkpoint before it" in answer.err
    assert json.loads(Path("new/status.json").read_text())["fork"]["frame"] == 192
    assert everything(parent) == before


def test_a_wrong_option_is_a_recipes_problem_and_a_used_folder_is_refused(parents: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as wrong:
        forked(parents / "ppo", tmp_path / "new", "optimizer.lrr=1")
    assert wrong.value.problems[0].code == "E101"
    with pytest.raises(Refusal, match="is not empty"):
        forked(parents / "ppo", parents / "sac")


def test_a_lower_level_stays_low(tmp_path: Path) -> None:
    small.train(small.DQN, tmp_path / "parent", "checkpoint.include_buffer=false", "trainer.time_limit=256")
    small.go_on(tmp_path / "parent", "trainer.time_limit=null")
    result = forked(tmp_path / "parent", tmp_path / "new", "checkpoint.include_buffer=true", at=400)
    assert result.outcome.code == 0
    status = json.loads((tmp_path / "new/status.json").read_text())
    assert (status["exact"], "buffer" in status["exact_reason"]) == ("continue", True)


def test_a_longer_fork_keeps_its_horizon_unless_told(parents: Path, tmp_path: Path) -> None:
    longer = "trainer.total_frames=1024"
    for horizon in (False, True):
        forked(parents / "ppo", tmp_path / str(horizon), longer, at=512, horizon=horizon)
    # The rate had reached zero at the parent's end.
    assert small.policy_bytes(tmp_path / "False") == small.policy_bytes(parents / "ppo")
    assert small.policy_bytes(tmp_path / "True") != small.policy_bytes(parents / "ppo")


def test_resume_refuses_and_prints_the_fork_that_does_it(rlrecipe: Commands, parents: Path, tmp_path: Path) -> None:
    parent = shutil.copytree(parents / "ppo", tmp_path / "the parent's")
    answer = rlrecipe("resume", parent, "-s", "optimizer.lr=1", "-s", "algorithm.clip_epsilon=0.1", "-s", "name=a-b")
    assert answer.code == 2
    line = answer.err.strip().splitlines()[-1]
    words = shlex.split(line)
    assert words[:3] == ["rlrecipe", "fork", str(parent)]
    assert rlrecipe(*words[1:], "--run-dir", "new").code == 0
    changes = json.loads(Path("new/provenance.json").read_text())["fork"]["changes"]
    assert {"optimizer.lr", "name"} < changes.keys()
    assert changes["name"][1] == "a-b"


def test_continue_and_evaluate_work_on_a_fork(rlrecipe: Commands, parents: Path) -> None:
    change = ("-s", "optimizer.lr=1e-2")
    assert rlrecipe("fork", parents / "ppo", "--at", "256", "--run-dir", "new", *change).code == 0
    assert rlrecipe("evaluate", "new", "-n", "2", "--json").code == 0
    assert rlrecipe("replay", "new", "--frames", "300:400").code == 0
    answer = rlrecipe("run", Path("new/recipe.yaml"), "--run-dir", "new", "--continue", *change)
    assert (answer.code, "nothing to resume" in answer.err) == (0, True), answer.err


def test_in_python(parents: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(parents))
    result = rlrecipe.fork("~/sac", tmp_path / "new", at=448, optimizer={"lr": 1e-5}, seed=4)
    assert result.outcome.code == 0
    assert result.fork["changes"] == {"optimizer.lr": [3e-4, 1e-5], "seed": [0, 4]}


def test_a_hook_whose_state_holds_its_options_keeps_them(tmp_path: Path) -> None:
    hook = "{name: lr_scheduler_hook, scheduler: StepLR, kwargs: {step_size: %d}, interval: batch}"
    small.train(small.CARTPOLE, tmp_path / "parent", f"hooks=[{hook % 2}]", "trainer.total_frames=256")
    with pytest.raises(Refusal, match="the state of lr_scheduler_hook holds the options that it was made with"):
        forked(tmp_path / "parent", tmp_path / "new", f"hooks=[{hook % 3}]")
    assert forked(tmp_path / "parent", tmp_path / "new", "hooks=[]").outcome.code == 0


def test_a_fork_of_the_end_says_that_nothing_is_left(rlrecipe: Commands, parents: Path) -> None:
    answer = rlrecipe("-q", "fork", parents / "ppo", "--run-dir", "new", "-s", "optimizer.lr=1e-2")
    assert answer.code == 0
    assert "nothing is left to train; take an earlier one with --at, or make the run longer" in answer.err
    answer = rlrecipe("-q", "fork", parents / "ppo", "--run-dir", "longer", "-s", "trainer.total_frames=576")
    assert "nothing is left" not in answer.err


def test_a_parent_that_trains_on_may_prune_the_checkpoint_meanwhile(
    parents: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent = shutil.copytree(parents / "ppo", tmp_path / "parent")
    gone: list[Path] = []

    def pruned(checkpoint: Checkpoint, *others: Any) -> list[str]:
        if len(gone) < 3:
            gone.append(checkpoint.folder)
            shutil.rmtree(checkpoint.folder)
        return misfits(checkpoint, *others)

    monkeypatch.setattr("rlrecipe.runs.fork.misfits", pruned)
    result = forked(parent, tmp_path / "new", at=320)
    assert ([folder.name[:12] for folder in gone], result.fork["frame"]) == (
        ["000000000320", "000000000256", "000000000192"],
        128,
    )
    assert small.outcome_of(tmp_path / "new") == small.outcome_of(parents / "ppo")


@pytest.mark.parametrize("which", ["latest", "best"])
def test_a_file_that_names_a_checkpoint_means_it(
    which: str, parents: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = parents / "ppo" / "checkpoints"
    name = (folder / which).read_text().strip()
    assert fork(folder / which, run_dir=tmp_path / "fork", display=Display(quiet=True)).fork["checkpoint"] == name
    assert rlrecipe.load_policy(folder / which).checkpoint == name
    monkeypatch.chdir(folder)
    assert located(Path(which))[1] == name


def test_a_file_that_is_no_checkpoint_is_told(parents: Path) -> None:
    with pytest.raises(Refusal, match=r"status\.json is a file; name the folder of a run, or one of its checkpoints"):
        located(parents / "ppo" / "status.json")


@pytest.mark.parametrize(
    ("override", "most"),
    [
        ("evaluation.episodes=5", None),
        ("env.kwargs.max_episode_steps=10", 10),
        ("evaluation.max_steps=9", 9),
        ("evaluation.deterministic=false", None),
        ("seed=9", None),
    ],
)
def test_a_fork_at_the_end_is_evaluated_in_its_own_way(
    override: str, most: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = {**small.CARTPOLE, "evaluation": {"episodes": 2}, "trainer": {"total_frames": 128}}
    parent = small.train(recipe, tmp_path / "parent")
    made, run = list[Any](), ScheduledEvaluation.run

    def noted(self: ScheduledEvaluation) -> Any:
        made.append(run(self))
        return made[-1]

    monkeypatch.setattr(ScheduledEvaluation, "run", noted)
    same = forked(tmp_path / "parent", tmp_path / "same")
    assert (made, same.summary["eval_return_mean"]) == ([], parent.summary["eval_return_mean"])
    result = forked(tmp_path / "parent", tmp_path / "fork", override)
    (figures,) = made
    assert result.summary["eval_return_mean"] == figures["eval/episode_return_mean"]
    assert most is None or result.summary["eval_return_mean"] <= most
    assert small.go_on(tmp_path / "fork", "trainer.total_frames=256", "checkpoint.keep_last=2").outcome.code == 0


@pytest.mark.parametrize("override", ["seed=9", "env.kwargs.max_episode_steps=30", "env.transforms=[sign_reward]"])
def test_a_fork_that_is_stopped_in_its_first_batch_is_taken_up_again(
    override: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = {**small.CARTPOLE, "trainer": {"total_frames": 256}, "checkpoint": {"every": 64, "keep_last": 9}}
    small.train(recipe, tmp_path / "parent")
    whole = forked(tmp_path / "parent", tmp_path / "whole", override, at=128)
    with monkeypatch.context() as patched:
        patched.setattr(RecipeLoop, "_learn", lambda self, batch: signal.raise_signal(signal.SIGINT))
        patched.setattr(Session, "finish", Session._stopped)
        stopped = forked(tmp_path / "parent", tmp_path / "stopped", override, at=128)
    again = small.go_on(tmp_path / "stopped")
    assert (whole.outcome.code, stopped.outcome.code, again.outcome.code) == (0, 130, 0)
    assert small.outcome_of(tmp_path / "stopped") == small.outcome_of(tmp_path / "whole")
