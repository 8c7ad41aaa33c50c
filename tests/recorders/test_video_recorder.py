"""torchrl's VideoRecorder with mp4 files that need nothing of the system."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torchrl.envs import GymEnv, TransformedEnv
from torchrl.record import CSVLogger

from rlrecipe.recorders import PixelRenderTransform, VideoRecorder
from tests.films import frames_of


def pictures(count: int) -> list[torch.Tensor]:
    """Brighter and brighter."""
    return [torch.full((3, 32, 48), 60 * i, dtype=torch.uint8) for i in range(count)]


def test_an_episode_of_an_environment_as_mp4(tmp_path: Path) -> None:
    logger = CSVLogger("exp", log_dir=str(tmp_path), video_format="mp4", video_fps=20)
    env = TransformedEnv(GymEnv("CartPole-v1", render_mode="rgb_array"), PixelRenderTransform())
    env.append_transform(VideoRecorder(logger, "run", skip=1))
    env.set_seed(0)
    steps = env.rollout(5)
    env.transform.dump()
    env.transform.dump()
    env.rollout(3)
    env.transform.dump(suffix="again")
    videos = tmp_path / "exp/videos"
    first = frames_of(videos / "run_0.mp4")
    assert len(first) == 6
    # Compression changes each picture a little.
    assert abs(first[-1].astype(int) - steps["next", "pixels"][-1].numpy().astype(int)).mean() < 2
    # The dump between wrote nothing, and counted, as torchrl's does.
    assert sorted(each.name for each in videos.iterdir()) == ["run_0.mp4", "run_again_2.mp4"]


def test_a_folder_in_place_of_a_logger(tmp_path: Path) -> None:
    recorder = VideoRecorder(tmp_path, "film", fps=10)
    for picture in pictures(4):
        recorder._apply_transform(picture)
    recorder.dump(step=7)
    film = frames_of(tmp_path / "film_7.mp4")
    assert [round(float(frame.mean()) / 60) for frame in film] == [0, 1, 2, 3]


def test_other_loggers_are_given_the_pictures() -> None:
    class Logger:
        given: Any = None

        def log_video(self, **given: Any) -> None:
            self.given = given

    logger = Logger()
    recorder = VideoRecorder(logger, "film", fps=5)
    for picture in pictures(2):
        recorder._apply_transform(picture)
    recorder.dump("x")
    assert (logger.given["name"], logger.given["fps"], logger.given["step"]) == ("film_x", 5, 0)
    assert torch.equal(logger.given["video"][0], torch.stack(pictures(2)))


@pytest.mark.parametrize("what", ["picture", "file"])
def test_what_cannot_be_recorded_is_said_once_and_stops_nothing(what: str, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("no folder")
    recorder = VideoRecorder(tmp_path / "taken", "film")
    broken = torch.zeros(5, 32, 48) if what == "picture" else pictures(1)[0]

    def record() -> None:
        assert recorder._apply_transform(broken) is broken
        recorder.dump()

    with pytest.warns(UserWarning, match="VideoRecorder: no video: .*; "):
        record()
    # Warnings are errors here: this one says nothing.
    record()
    assert recorder.obs == []
