"""Hooks that write videos and batches into the run directory."""

from pathlib import Path
from typing import Any

import pytest
import torch

from rlrecipe.recorders import read_tensordict
from rlrecipe.trainers import HookError, TensorDictRecorder, VideoRecorder
from tests import small
from tests.films import frames_of

SHORT = {**small.CARTPOLE, "trainer": {"total_frames": 256}, "evaluation": {}}
VIDEO = {"name": "video_recorder", "every": 128, "size": [64, 48], "max_frames": 4, "episodes": 2}


def test_videos_of_a_run_are_named_by_their_frames(tmp_path: Path) -> None:
    small.train({**SHORT, "hooks": [VIDEO]}, tmp_path / "run")
    videos = tmp_path / "run/videos"
    assert sorted(each.name for each in videos.iterdir()) == ["000000000128.mp4", "000000000256.mp4"]
    assert frames_of(videos / "000000000128.mp4").shape == (2 * 5, 48, 64, 3)


def test_a_resumed_run_has_the_videos_of_one_that_was_never_stopped(tmp_path: Path) -> None:
    recipe = {**SHORT, "hooks": [VIDEO]}
    small.train(recipe, tmp_path / "whole")
    code = small.train(recipe, tmp_path / "stopped", "trainer.time_limit=100").outcome.code
    while code == 75:
        code = small.go_on(tmp_path / "stopped").outcome.code
    ours, theirs = (
        {each.name: frames_of(each).tobytes() for each in (tmp_path / run / "videos").iterdir()}
        for run in ("stopped", "whole")
    )
    assert ours == theirs
    assert len(ours) == 2


def test_a_run_goes_on_where_no_video_can_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def broken(trainer: Any) -> None:
        (trainer.folder / "videos").write_text("no folder")

    session = small.open_session({**SHORT, "hooks": [VIDEO]}, tmp_path / "run")
    said: list[str] = []
    broken(session.trainer)
    session.trainer.say = said.append
    assert session.train().code == 0
    (line,) = said
    assert line.startswith("video_recorder: no video: ")
    assert line.endswith("make room where it goes, and see that it may be written there; training goes on")


def test_a_trainer_without_a_run_directory_needs_a_folder(tmp_path: Path) -> None:
    for hook, name in (
        (VideoRecorder(every=64), "VideoRecorder"),
        (TensorDictRecorder(every=64), "TensorDictRecorder"),
    ):
        trainer = small.build(SHORT).trainer
        hook.register(trainer)
        with pytest.raises(HookError, match=rf"no run directory; say {name}\(folder="):
            trainer.train()


def test_videos_go_where_the_caller_says(tmp_path: Path) -> None:
    trainer = small.build(SHORT).trainer
    VideoRecorder(every=256, size=(32, 32), max_frames=2, fps=5, folder=tmp_path).register(trainer)
    trainer.train()
    assert frames_of(tmp_path / "000000000256.mp4").shape == (3, 32, 32, 3)


def test_there_has_to_be_an_environment() -> None:
    trainer = small.build(SHORT).trainer
    trainer.stage = None
    with pytest.raises(HookError, match="video_recorder: this trainer has no environment to evaluate in"):
        VideoRecorder().register(trainer)


@pytest.mark.parametrize(("size", "code"), [([63, 48], "E102"), ([0, 2], "E102"), ([64], "E103")])
def test_sizes_that_the_format_does_not_take(size: list[int], code: str) -> None:
    problems = small.problems({**SHORT, "hooks": [{**VIDEO, "size": size}]})
    assert problems[0][0] == code
    assert problems[0][1].startswith("hooks.0.size")


def test_batches_in_the_run_directory_are_read_back(tmp_path: Path) -> None:
    hooks = [
        {"name": "tensor_dict_recorder", "every": 128},
        {"name": "tensor_dict_recorder", "every": 100, "max_len": 3, "keys": ["action", ["next", "reward"]]},
    ]
    session, batches = small.open_session({**SHORT, "hooks": hooks[:1]}, tmp_path / "run"), []
    session.trainer.register_op("post_steps_log", lambda batch: batches.append(batch.clone()))
    assert session.train().code == 0
    folder = tmp_path / "run/batches"
    assert sorted(each.name for each in folder.iterdir()) == ["000000000128.pt", "000000000256.pt"]
    data = read_tensordict(folder / "000000000128.pt")
    assert data.batch_size == torch.Size([2, 32])
    assert (data == batches[1]).all()
    small.train({**SHORT, "hooks": hooks[1:]}, tmp_path / "other")
    last = read_tensordict(tmp_path / "other/batches/000000000256.pt")
    assert set(last.keys(True, True)) == {"action", ("next", "reward")}
    assert torch.equal(last["action"], batches[-1]["action"][:, -3:])


def test_several_recorders_write_files_of_their_own(tmp_path: Path) -> None:
    batches = {"name": "tensor_dict_recorder", "every": 256}
    film = {**VIDEO, "every": 256, "episodes": 1}
    hooks = [batches, {**batches, "keys": ["action"]}, film, {**film, "max_frames": 2}]
    small.train({**SHORT, "hooks": hooks}, tmp_path / "run")
    folder = tmp_path / "run/batches"
    names = ["000000000256.pt", "tensor_dict_recorder.1-000000000256.pt"]
    assert sorted(each.name for each in folder.iterdir()) == names
    whole, part = (read_tensordict(folder / name) for name in names)
    assert set(part.keys()) == {"action"} < set(whole.keys())
    films = ["000000000256.mp4", "video_recorder.1-000000000256.mp4"]
    assert sorted(each.name for each in (tmp_path / "run/videos").iterdir()) == films
    assert [len(frames_of(tmp_path / "run/videos" / name)) for name in films] == [5, 3]


def test_recorders_with_a_folder_each_need_no_names(tmp_path: Path) -> None:
    trainer = small.build(SHORT).trainer
    for name in ("one", "other"):
        TensorDictRecorder(every=256, folder=tmp_path / name).register(trainer, name)
    trainer.train()
    assert [(tmp_path / name / "000000000256.pt").is_file() for name in ("one", "other")] == [True, True]


@pytest.mark.parametrize("key", ["nope", ["next", "nope"]])
def test_entries_that_no_batch_has_are_told_by_the_first(key: Any, tmp_path: Path) -> None:
    trainer = small.build(SHORT).trainer
    TensorDictRecorder(every=10**6, keys=["action", ["action"], "next", key], folder=tmp_path).register(trainer)
    with pytest.raises(
        HookError, match=r"tensor_dict_recorder: keys: the batch has no entry .*nope.*; it has .*action"
    ):
        trainer.train()
    assert trainer.clock.frames == 64


def test_a_batch_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    trainer, said = small.build(SHORT).trainer, list[str]()
    (tmp_path / "taken").write_text("no folder")
    TensorDictRecorder(every=256, folder=tmp_path / "taken/here").register(trainer)
    trainer.say = said.append
    trainer.train()
    assert len(said) == 1
    assert said[0].endswith("; training goes on")


def test_what_a_hook_says_without_a_run_is_a_warning() -> None:
    with pytest.warns(UserWarning, match="something"):
        small.build(SHORT).trainer.say("something")
