import json
import sys
from pathlib import Path
from typing import Any

import pytest

from rlrecipe.interfaces import Logger
from rlrecipe.recipe.registry import search
from rlrecipe.recipe.slots import Slot
from rlrecipe.runs.progress import Display
from rlrecipe.runs.start import run
from tests import small
from tests.loggers.readers import READERS, by_experiment, mlflow_run, read_csv, wandb_file, wandb_records

ROWS: list[dict[str, Any]] = [
    {"frames": 10, "updates": 1, "loss/policy": 0.5, "train/episode_return": None},
    {"frames": 10, "updates": 1, "eval/episode_return_mean": 3.0},
    {"frames": 20, "updates": 2, "loss/policy": 0.25, "train/episode_return": 7.0},
]
SERIES = {
    "loss/policy": [(10, 0.5), (20, 0.25)],
    "eval/episode_return_mean": [(10, 3.0)],
    "train/episode_return": [(20, 7.0)],
}
NAMES = sorted(READERS)


def logger(name: str, run_dir: Path, rows: list[dict[str, Any]], **options: Any) -> Logger:
    chosen = Slot("logger").read({"name": name, **options})
    made: Logger = chosen.component.build(chosen, run_dir, rows)
    return made


def written(name: str, run_dir: Path, before: list[dict[str, Any]], after: list[dict[str, Any]], **more: Any) -> None:
    made = logger(name, run_dir, before, **more)
    for row in after:
        made.write(row)
    made.close()


def test_every_logger_is_read_back() -> None:
    assert [component.name for component in search("logger")] == NAMES


def test_csv_has_a_column_for_each_name(tmp_path: Path) -> None:
    written("csv", tmp_path, [], ROWS)
    rows = read_csv(tmp_path)
    assert [row["frames"] for row in rows] == ["10", "10", "20"]
    assert [row["loss/policy"] for row in rows] == ["0.5", "", "0.25"]
    assert [row["eval/episode_return_mean"] for row in rows] == ["", "3.0", ""]


@pytest.mark.parametrize("name", NAMES)
def test_each_number_is_at_its_frames(name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    written(name, tmp_path, [], ROWS)
    assert READERS[name](tmp_path) == SERIES
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize("name", NAMES)
def test_a_resumed_run_has_each_row_once(name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    # The first session had gone on; its rows after the checkpoint are cut and come again.
    beyond = {"frames": 15, "updates": 1, "loss/policy": 9.0, "only/beyond": 1.0}
    written(name, tmp_path, [], [*ROWS[:2], beyond])
    written(name, tmp_path, ROWS[:2], ROWS[2:])
    assert READERS[name](tmp_path) == SERIES
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize("name", NAMES)
def test_a_logger_that_is_added_on_resume_has_every_row(name: str, tmp_path: Path) -> None:
    written(name, tmp_path, ROWS, [])
    assert READERS[name](tmp_path) == SERIES


def test_two_experiments_of_one_kind_are_two_runs(tmp_path: Path) -> None:
    """Open at once, as in a run, and resumed in another order."""
    beyond = {"frames": 15, "updates": 1, "loss/policy": 9.0}
    names: list[dict[str, Any]] = [{}, {"exp_name": "second"}]
    notes = []
    for before, after in (([], [*ROWS[:2], beyond]), (ROWS[:2], ROWS[2:])):
        made = [logger(name, tmp_path, before, **options) for options in names for name in ("mlflow", "wandb")]
        for row in after:
            for each in made:
                each.write(row)
        for each in made:
            each.close()
        notes.append([json.loads((tmp_path / name / "run.json").read_text()) for name in ("mlflow", "wandb")])
        names.reverse()
    assert notes[0] == notes[1]
    places = [("mlflow", "rlrecipe"), ("mlflow", "second"), ("wandb", tmp_path.name), ("wandb", "second")]
    assert by_experiment(tmp_path) == dict.fromkeys(places, SERIES)


def test_a_run_that_was_noted_without_a_name_goes_on(tmp_path: Path) -> None:
    """As versions wrote it that knew but one logger of a kind."""
    ids = []
    for name, key in (("mlflow", "run_id"), ("wandb", "id")):
        note = tmp_path / name / "run.json"
        written(name, tmp_path, [], ROWS[:2], exp_name="walk")
        noted = json.loads(note.read_text())
        del noted["exp_name"]
        note.write_text(json.dumps(noted))
        written(name, tmp_path, ROWS[:2], ROWS[2:], exp_name="walk")
        ids.append((json.loads(note.read_text())[key], noted[key]))
        assert READERS[name](tmp_path) == SERIES
    assert all(new == old for new, old in ids)


@pytest.mark.parametrize(
    ("second", "said"),
    [
        ("csv", "the same options"),
        ({"name": "mlflow", "run_name": "other"}, "the same exp_name"),
        ({"name": "wandb", "exp_name": "b", "mode": "disabled"}, "the same exp_name"),
    ],
)
def test_two_loggers_that_share_a_run_are_refused_with_a_cure_that_works(second: Any, said: str) -> None:
    recipe = {**small.CARTPOLE, "loggers": ["csv", "mlflow", {"name": "wandb", "exp_name": "b"}, second]}
    ((code, path, message, cure),) = small.problems(recipe)
    assert (code, path) == ("E302", "loggers.3")
    assert message.endswith(f"stands here twice with {said}")
    assert cure == "remove one of them, or give it another exp_name"
    assert small.problems(recipe, "loggers.3.exp_name=c") == []


@pytest.mark.parametrize(("name", "folder"), [("csv", "csv"), ("tensorboard", "tensorboard")])
def test_an_experiments_name_is_a_folder(name: str, folder: str, tmp_path: Path) -> None:
    written(name, tmp_path, [], ROWS, exp_name="sac_walker2d")
    (tmp_path / folder / "sac_walker2d").rename(tmp_path / "apart")
    assert not list((tmp_path / folder).iterdir())
    (tmp_path / folder).rmdir()
    (tmp_path / "apart").rename(tmp_path / folder)
    assert READERS[name](tmp_path) == SERIES


RECIPE = "name: walk\noptimizer: {lr: 1.0e-3, groups: {}}\nhooks: [{name: log_scalar, key: [next, reward]}]\nseed: 0\n"


def test_mlflow_has_the_recipe_its_names_and_tags(tmp_path: Path) -> None:
    run_dir = tmp_path / "third"
    run_dir.mkdir()
    (run_dir / "resolved.yaml").write_text(RECIPE)
    written("mlflow", run_dir, [], ROWS[:1], tags={"machine": "small"})
    client, run = mlflow_run(run_dir / "mlflow")
    assert client.get_experiment(run.info.experiment_id).name == "walk"
    assert run.info.run_name == "third"
    assert run.data.tags["machine"] == "small"
    assert run.info.status == "FINISHED"
    assert run.data.params == {
        "name": "walk",
        "seed": "0",
        "optimizer.lr": "0.001",
        "hooks.0.name": "log_scalar",
        "hooks.0.key": '["next", "reward"]',
    }
    # Parameters are final: what a resumed run may change becomes a tag.
    (run_dir / "resolved.yaml").write_text(RECIPE.replace("seed: 0", "seed: 1"))
    written("mlflow", run_dir, ROWS[:1], [], tags={"machine": "small"})
    _, again = mlflow_run(run_dir / "mlflow")
    assert (again.info.run_id, again.data.params["seed"]) == (run.info.run_id, "0")
    assert again.data.tags["resumed.seed"] == "1"


def test_mlflow_takes_long_options_and_odd_names(tmp_path: Path) -> None:
    (tmp_path / "resolved.yaml").write_text(f"name: x\nlong: {'v' * 7000}\n{'k' * 300}: 1\n")
    written("mlflow", tmp_path, [], [{"frames": 1, "updates": 0, "('next', 'reward')": 1.0}])
    _, run = mlflow_run(tmp_path / "mlflow")
    assert len(run.data.params["long"]) == 6000
    assert run.data.params["k" * 250] == "1"
    assert run.data.metrics == {"__next__ _reward__": 1.0}


def test_mlflow_on_a_server_that_has_rows_already_writes_them_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tracking URI that is no folder of ours: nothing is cut, and what is there is not written again."""
    (tmp_path / "server").mkdir()
    uri = f"sqlite:///{tmp_path / 'server' / 'mlflow.db'}"
    run_dir = tmp_path / "run"
    beyond = {"frames": 20, "updates": 2, "loss/policy": 0.25}
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    written("mlflow", run_dir, [], [*ROWS[:2], beyond])
    written("mlflow", run_dir, ROWS[:2], ROWS[2:])
    client, run = mlflow_run(tmp_path / "server")
    found = {key: client.get_metric_history(run.info.run_id, key) for key in run.data.metrics}
    assert {key: [(metric.step, metric.value) for metric in each] for key, each in found.items()} == SERIES


def test_runs_share_a_folder_that_the_environment_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = tmp_path / "shared"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", str(shared))
    for name in ("first", "second"):
        written("mlflow", tmp_path / name, [], ROWS[:2])
        written("mlflow", tmp_path / name, ROWS[:2], ROWS[2:])
    client, _ = mlflow_run(shared, of=2)
    (experiment,) = (each for each in client.search_experiments() if each.name == "rlrecipe")
    assert experiment.artifact_location == (shared / "artifacts").as_uri()
    for each_run in client.search_runs([experiment.experiment_id]):
        metrics = each_run.data.metrics
        found = {key: client.get_metric_history(each_run.info.run_id, key) for key in metrics}
        assert {key: [(metric.step, metric.value) for metric in each] for key, each in found.items()} == SERIES


def test_a_place_for_files_that_was_named_stays(tmp_path: Path) -> None:
    location = "s3://bucket/elsewhere"
    for before in ([], ROWS):
        written("mlflow", tmp_path / "run", before, [], artifact_location=location)
    _, found = mlflow_run(tmp_path / "run/mlflow")
    assert found.info.artifact_uri == f"{location}/{found.info.run_id}/artifacts"


def test_an_mlflow_run_that_was_deleted_is_made_anew(tmp_path: Path) -> None:
    written("mlflow", tmp_path, [], ROWS)
    client, run = mlflow_run(tmp_path / "mlflow")
    client.delete_run(run.info.run_id)
    written("mlflow", tmp_path, ROWS, [])
    assert mlflow_run(tmp_path / "mlflow")[1].info.run_id != run.info.run_id
    assert READERS["mlflow"](tmp_path) == SERIES


def test_an_mlflow_run_whose_folder_was_moved_goes_on_there(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    written("mlflow", first, [], ROWS[:2])
    before = mlflow_run(first / "mlflow")[1].info.run_id
    first.rename(second)
    written("mlflow", second, ROWS[:2], ROWS[2:])
    run = mlflow_run(second / "mlflow")[1]
    assert run.info.run_id == before
    assert run.info.artifact_uri == f"{(second / 'mlflow/artifacts').as_uri()}/{before}/artifacts"
    assert READERS["mlflow"](second) == SERIES


def test_half_a_database_of_a_killed_start_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "mlflow").mkdir()
    (tmp_path / "mlflow/mlflow.db").write_bytes(b"half of a database")
    written("mlflow", tmp_path, [], ROWS)
    assert READERS["mlflow"](tmp_path) == SERIES


def test_wandb_has_the_recipe_its_names_and_tags_and_keeps_its_id(tmp_path: Path) -> None:
    (tmp_path / "resolved.yaml").write_text(RECIPE)
    options = {"group": "seeds", "tags": ["small"], "entity": "me"}
    ids = []
    for before, after in (([], ROWS[:2]), (ROWS[:2], ROWS[2:])):
        written("wandb", tmp_path, before, after, **options)
        records = list(wandb_records(wandb_file(tmp_path)))
        (run, *_) = (record.run for record in records if record.WhichOneof("record_type") == "run")
        ids.append(run.run_id)
        assert (run.project, run.display_name, run.run_group, run.entity) == ("walk", tmp_path.name, "seeds", "me")
        assert list(run.tags) == ["small"]
        updates = [each for record in records for each in (*record.config.update, *record.run.config.update)]
        config = {each.key or each.nested_key[0]: each.value_json for each in updates}
        assert json.loads(config["optimizer"]) == {"lr": 0.001, "groups": {}}
    assert ids[0] == ids[1]


def test_wandb_that_is_disabled_writes_nothing(tmp_path: Path) -> None:
    written("wandb", tmp_path, [], ROWS, mode="disabled")
    assert [path.name for path in (tmp_path / "wandb").iterdir()] == ["run.json"]


def test_wandb_online_without_a_login_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    with pytest.raises(ValueError, match="mode online needs a login: run `wandb login`, or set WANDB_API_KEY"):
        logger("wandb", tmp_path, [], mode="online")


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("tensorboard", "tensorboard"),
        ("wandb", "wandb"),
        *(("mlflow", each) for each in ("mlflow", "sqlalchemy", "alembic")),
    ],
)
def test_a_missing_extra_is_named_with_its_command(name: str, module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # What Python takes for a module that is not there.
    monkeypatch.setitem(sys.modules, module, None)
    ((code, path, message, cure),) = small.problems({**small.CARTPOLE, "loggers": ["csv", name]})
    assert (code, path, cure) == ("E401", "loggers.1", f"pip install 'rlrecipe[{name}]'")
    assert name in message


def test_the_seed_pages_switch_of_environment_logger_and_size(tmp_path: Path) -> None:
    """Its override example as one command; batches and evaluation are shorter here."""
    switch = ("env=HalfCheetah-v5", "loggers=[csv,mlflow]", "networks.policy.num_cells=[256,256]")
    short = ("trainer.total_frames=512", "collector.frames_per_batch=256", "evaluation.episodes=1")
    result = run("ppo/pendulum", [*switch, *short], run_dir=tmp_path / "run", display=Display(quiet=True))
    assert result.outcome.code == 0
    _, found = mlflow_run(tmp_path / "run/mlflow")
    assert found.data.params["env.env_name"] == "HalfCheetah-v5"
    assert found.data.params["networks.policy.num_cells"] == "[256, 256]"
    losses = READERS["mlflow"](tmp_path / "run")["loss/policy"]
    assert losses == READERS["csv"](tmp_path / "run")["loss/policy"]
    assert [step for step, _ in losses] == [
        row["frames"] for row in small.rows(tmp_path / "run") if "loss/policy" in row
    ]
