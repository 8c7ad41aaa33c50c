"""The classes as torchrl's users call them."""

import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import imageio.v2 as imageio
import imageio_ffmpeg
import numpy as np
import pytest
import torch
import torchrl.record.loggers
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torchrl.record import VideoRecorder

import rlrecipe.loggers
from rlrecipe.loggers import CSVLogger, Logger, TensorboardLogger, generate_exp_name, get_logger
from tests.loggers.readers import mlflow_run, read_csv, wandb_history, wandb_records

#: Sixteen pictures that brighten, one more row than even: [1, T, C, H, W].
VIDEO = torch.arange(16, dtype=torch.uint8).mul(16)[None, :, None, None, None].expand(1, 16, 3, 34, 32)
TYPES = ("csv", "tensorboard", "mlflow", "wandb")


def brightness(pictures: Any) -> list[float]:
    return [float(picture[..., :3].mean()) for picture in pictures]


def pictures_of(path: Path) -> Any:
    """By ffmpeg itself: imageio leaves the pipes to it open."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", path, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    done = subprocess.run(command, capture_output=True, check=True)
    return np.frombuffer(done.stdout, np.uint8).reshape(-1, 34, 32, 3)


def assert_brightens(pictures: Any) -> None:
    assert brightness(pictures) == pytest.approx(range(0, 256, 16), abs=6)


def test_names_are_the_seed_pages() -> None:
    assert set(dir(rlrecipe.loggers)) == {
        "Logger", "CSVLogger", "TensorboardLogger", "MLFlowLogger", "WandbLogger", "get_logger", "generate_exp_name",
    }  # fmt: skip
    assert generate_exp_name is torchrl.record.loggers.generate_exp_name
    assert generate_exp_name("PPO", "walk").startswith("PPO_walk_")
    with pytest.raises(AttributeError, match="has no attribute 'CometLogger'"):
        rlrecipe.loggers.CometLogger  # noqa: B018 - asking is the test


PROGRAM = """
import sys
class Without:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("mlflow", "sqlalchemy", "alembic", "wandb", "tensorboard", "imageio"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name.split(".")[0])
sys.meta_path.insert(0, Without())
from rlrecipe.loggers import *
assert not {"torch", "numpy"} & sys.modules.keys()
logger = get_logger("csv", "logs", "walk")
logger.log_scalar("reward", 1.0, 10)
import torch
try:
    logger.log_video("walk", torch.zeros(1, 2, 3, 8, 8, dtype=torch.uint8), 10)
except ModuleNotFoundError as error:
    print(error)
"""


def test_everything_is_importable_without_extras(tmp_path: Path) -> None:
    program = PROGRAM.replace(
        "import *", "import Logger, CSVLogger, TensorboardLogger, MLFlowLogger, WandbLogger, get_logger"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "videos need imageio: pip install 'rlrecipe[video]'\n"
    assert (tmp_path / "logs/walk/metrics.csv").read_text().split() == ["frames,reward", "10,1.0"]


def test_get_logger_refuses_what_it_does_not_know(tmp_path: Path) -> None:
    assert get_logger("", str(tmp_path), "walk") is None
    assert get_logger(None, str(tmp_path), "walk") is None
    with pytest.raises(ValueError, match="no logger is named 'comet'; expected one of csv, tensorboard, mlflow, wandb"):
        get_logger("comet", str(tmp_path), "walk")
    with pytest.raises(TypeError, match=r"get_logger takes csv_kwargs, .*, got \['wandb_kwarg'\]"):
        get_logger("csv", str(tmp_path), "walk", wandb_kwarg={})


@pytest.mark.parametrize("kind", TYPES)
def test_each_type_takes_what_torchrls_parts_write(
    kind: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    logger = get_logger(kind, str(tmp_path), "walk", wandb_kwargs={"offline": True})
    assert isinstance(logger, Logger)
    assert logger.exp_name == "walk"
    logger.log_hparams({"lr": 1e-3, "net": {"cells": [64, 64]}})
    logger.log_scalar("reward", 1.5, 10)
    logger.log_metrics({"loss/value": torch.tensor(0.5), "loss/policy": 2}, 10)
    logger.log_histogram("weights", torch.linspace(0, 1, 100), step=10)
    recorder = VideoRecorder(logger, tag="pixels", skip=1)
    for picture in VIDEO[0]:
        recorder._apply_transform(picture.permute(1, 2, 0))
    recorder.dump(step=10)
    logger.log_scalar("reward", 2.5, 20)
    logger.close()
    CHECKS[kind](tmp_path)
    assert capfd.readouterr().out == ""


def check_csv(folder: Path) -> None:
    rows = read_csv_of(folder / "walk")
    assert rows == [
        ["frames", "reward", "loss/value", "loss/policy"],
        ["10", "1.5", "0.5", "2.0"],
        ["20", "2.5", "", ""],
    ]
    assert (folder / "walk/hparams.txt").read_text() == "lr: 0.001\nnet.cells: [64, 64]\n"
    (line,) = (folder / "walk/histograms/weights.jsonl").read_text().splitlines()
    assert json.loads(line)["counts"] == [10] * 10
    assert_brightens(pictures_of(folder / "walk/videos/pixels_10.mp4"))


def read_csv_of(folder: Path) -> list[list[str]]:
    return [line.split(",") for line in (folder / "metrics.csv").read_text().splitlines()]


def check_tensorboard(folder: Path) -> None:
    events = EventAccumulator(str(folder / "walk"))
    events.Reload()
    assert [(event.step, event.value) for event in events.Scalars("reward")] == [(10, 1.5), (20, 2.5)]
    assert [(event.step, event.value) for event in events.Scalars("loss/value")] == [(10, 0.5)]
    (histogram,) = events.Histograms("weights")
    assert histogram.histogram_value.num == 100
    (video,) = events.Images("pixels")
    assert (video.step, video.width, video.height) == (10, 32, 34)
    assert_brightens(imageio.mimread(video.encoded_image_string, format="GIF"))


def check_mlflow(folder: Path) -> None:
    client, run = mlflow_run(folder)
    assert client.get_experiment(run.info.experiment_id).name == "walk"
    assert [(m.step, m.value) for m in client.get_metric_history(run.info.run_id, "reward")] == [(10, 1.5), (20, 2.5)]
    assert run.data.params == {"lr": "0.001", "net.cells": "[64, 64]"}
    files = folder / "artifacts" / run.info.run_id / "artifacts"
    assert_brightens(pictures_of(files / "videos/pixels_10.mp4"))
    assert json.loads((files / "histograms/weights_10.json").read_text())["counts"] == [10] * 10


def check_wandb(folder: Path) -> None:
    first, second = wandb_history(folder)
    assert (first["_step"], first["reward"], first["loss/value"], first["loss/policy"]) == (10, 1.5, 0.5, 2)
    assert (second["_step"], second["reward"]) == (20, 2.5)
    assert first["weights"]["_type"] == "histogram"
    (file,) = (folder / "wandb").glob(f"offline-run-*/files/{first['pixels']['path']}")
    assert_brightens(pictures_of(file))
    (record,) = (folder / "wandb").glob("offline-run-*/*.wandb")
    exits = [each for each in wandb_records(record) if each.WhichOneof("record_type") == "exit"]
    assert [each.exit.exit_code for each in exits] == [0]


CHECKS = {"csv": check_csv, "tensorboard": check_tensorboard, "mlflow": check_mlflow, "wandb": check_wandb}


def test_a_second_session_of_a_csv_goes_on_in_the_file(tmp_path: Path) -> None:
    for step in (1, 2):
        logger = CSVLogger("walk", tmp_path)
        logger.log_scalar("reward", step / 2, step)
        logger.close()
    assert read_csv_of(tmp_path / "walk") == [["frames", "reward"], ["1", "0.5"], ["2", "1.0"]]


@pytest.mark.parametrize("server", [False, True])
def test_mlflow_has_what_comes_again_once(server: bool, tmp_path: Path) -> None:
    where = f"sqlite:///{tmp_path / 'mlflow.db'}" if server else str(tmp_path)
    logger = get_logger("mlflow", where, "walk")
    assert logger is not None
    for step in (1, 2, 3):
        logger.log_scalar("reward", 1.0, step)
    logger.cut(2)
    for step in (3, 4):
        logger.log_scalar("reward", 2.0, step)
    logger.close()
    client, run = mlflow_run(tmp_path)
    history = client.get_metric_history(run.info.run_id, "reward")
    # A server keeps what it has.
    third = 1.0 if server else 2.0
    assert [(each.step, each.value) for each in history] == [(1, 1.0), (2, 1.0), (3, third), (4, 2.0)]


def test_a_second_session_of_a_csv_counts_on(tmp_path: Path) -> None:
    for value in (1.0, 2.0):
        logger = CSVLogger("walk", tmp_path)
        logger.log_scalar("reward", value)
        logger.log_scalar(f"only/{value}", value)
        logger.close()
    assert read_csv_of(tmp_path / "walk")[1:] == [["0", "1.0", "1.0", ""], ["1", "2.0", "", ""], ["0", "", "", "2.0"]]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"date,price\n1,2\n", "its columns are date, price, and none is frames"),
        (b"frames,loss\nmany,2\n", "line 2 has the frames 'many', expected a whole number"),
        (b"frames,loss\n1,2\n2,3,4\n", "line 3 has more fields than there are columns"),
        (b"\xff\x00", "'utf-8' codec can't decode byte 0xff"),
    ],
)
def test_a_csv_of_something_else_is_refused_and_kept(content: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "walk/metrics.csv"
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"metrics\.csv is no table that a CSVLogger wrote: ") as caught:
        CSVLogger("walk", tmp_path)
    assert said in str(caught.value)
    assert str(caught.value).endswith("; move it away, or take another exp_name or log_dir")
    assert path.read_bytes() == content


def test_without_a_step_each_name_counts_its_own(tmp_path: Path) -> None:
    logger = TensorboardLogger("walk", tmp_path)
    for value in (1.0, 2.0):
        logger.log_scalar("one", value)
    logger.log_scalar("one", math.pi, 7)
    logger.log_scalar("one", 3.0)
    logger.log_scalar("other", 4.0)
    logger.close()
    events = EventAccumulator(str(tmp_path / "walk"))
    events.Reload()
    assert [event.step for event in events.Scalars("one")] == [0, 1, 7, 8]
    assert [event.step for event in events.Scalars("other")] == [0]


def test_a_tensordict_is_written_by_its_keys(tmp_path: Path) -> None:
    from tensordict import TensorDict

    logger = CSVLogger("walk", tmp_path)
    metrics = TensorDict({"next": {"reward": torch.tensor(2.0)}})
    assert logger.log_metrics(metrics, 5) == {"next/reward": 2.0}
    assert read_csv_of(tmp_path / "walk") == [["frames", "next/reward"], ["5", "2.0"]]


def test_a_tensor_is_kept_as_a_video_where_that_is_asked(tmp_path: Path) -> None:
    logger = CSVLogger("walk", tmp_path, video_format="pt")
    logger.log_video("eval/pixels", VIDEO, 3)
    assert torch.equal(torch.load(tmp_path / "walk/videos/eval/pixels_3.pt", weights_only=True), VIDEO)
    with pytest.raises(ValueError, match="video_format is 'mp4' or 'pt', got 'memmap'"):
        CSVLogger("walk", tmp_path, video_format="memmap")


def test_what_is_no_video_or_leads_elsewhere_is_refused(tmp_path: Path) -> None:
    logger = CSVLogger("walk", tmp_path)
    with pytest.raises(ValueError, match=r"with 1 or 3 colours C, got \[16, 34, 32, 3\]"):
        logger.log_video("pixels", VIDEO[0].permute(0, 2, 3, 1), 0)
    with pytest.raises(ValueError, match="leads out of the logger's folder"):
        logger.log_video("../../pixels", VIDEO, 0)


def test_videos_of_floats_and_greys_are_videos(tmp_path: Path) -> None:
    logger = CSVLogger("walk", tmp_path)
    logger.log_video("pixels", VIDEO[0, :, :1] / 255.0, 1)
    assert_brightens(pictures_of(tmp_path / "walk/videos/pixels_1.mp4"))


@pytest.mark.parametrize("kind", ["tensorboard", "wandb"])
def test_a_resumed_run_has_each_video_once(kind: str, tmp_path: Path) -> None:
    rows = [{"frames": frames, "updates": 1, "reward": 1.0} for frames in (10, 20)]
    from rlrecipe.loggers import WandbLogger

    def opened(before: list[dict[str, Any]]) -> Any:
        if kind == "wandb":
            return WandbLogger("walk", save_dir=tmp_path, id="abc", rows=before)
        return TensorboardLogger("", tmp_path, rows=before)

    for before, after in (([], rows), (rows[:1], rows[1:])):
        # TensorBoard's files are read in the order of their names, which begin with the second.
        time.sleep(1.1)
        logger = opened(before)
        for row in after:
            logger.write(row)
            logger.log_video("pixels", VIDEO, row["frames"])
        logger.close()
    if kind == "wandb":
        assert [row["_step"] for row in wandb_history(tmp_path) if "pixels" in row] == [10, 20]
    else:
        events = EventAccumulator(str(tmp_path / "media"))
        events.Reload()
        assert [event.step for event in events.Images("pixels")] == [10, 20]


def test_readers_agree_on_what_a_csv_is(tmp_path: Path) -> None:
    logger = CSVLogger("csv", tmp_path)
    logger.log_scalar("a,b", 1.0, 1)
    assert read_csv(tmp_path) == [{"frames": "1", "a,b": "1.0"}]
