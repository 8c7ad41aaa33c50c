"""Transitions of torchrl's environments in files, and files of TensorDicts."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tensordict import TensorDict
from torchrl.envs import GymEnv, TransformedEnv

import rlrecipe.recorders
from rlrecipe.recorders import TensorDictRecorder, read_tensordict, write_tensordict


def recorded(tmp_path: Path, steps: int = 6, **options: object) -> tuple[TensorDict, TensorDict]:
    """A rollout, and what was recorded of it."""
    env = TransformedEnv(GymEnv("CartPole-v1"), TensorDictRecorder(tmp_path / "out", **options))
    env.set_seed(0)
    rollout = env.rollout(steps)
    return rollout, read_tensordict(
        env.transform[0].dump() if hasattr(env.transform, "transforms") else env.transform.dump()
    )


def test_every_transition_is_there(tmp_path: Path) -> None:
    rollout, data = recorded(tmp_path, skip=1)
    assert data.batch_size == rollout.batch_size == torch.Size([6])
    for key in ("observation", "action", ("next", "observation"), ("next", "reward"), ("next", "done")):
        assert torch.equal(data[key], rollout[key]), key


def test_some_entries_of_every_second_transition(tmp_path: Path) -> None:
    rollout, data = recorded(tmp_path, skip=2, in_keys=["observation", ("next", "reward")])
    assert torch.equal(data["observation"], rollout["observation"][1::2])
    assert set(data.keys(True, True)) == {"observation", ("next", "reward")}


def test_resets_are_rows_with_nothing_after_them(tmp_path: Path) -> None:
    rollout, data = recorded(tmp_path, skip=1, skip_reset=False)
    assert torch.equal(data["observation"][1:], rollout["observation"])
    assert torch.equal(data["observation"][0], rollout["observation"][0])
    assert float(data["next", "observation"][0].abs().sum()) == 0.0


def test_the_newest_ones_only(tmp_path: Path) -> None:
    rollout, data = recorded(tmp_path, skip=1, max_len=2)
    assert torch.equal(data["observation"], rollout["observation"][-2:])


def test_each_dump_has_a_file(tmp_path: Path) -> None:
    recorder = TensorDictRecorder(tmp_path / "out", skip=1)
    assert recorder.dump() is None
    step = TensorDict({"a": torch.ones(3)}, batch_size=[])
    for suffix in (None, "last"):
        recorder._step(step, step)
        path = recorder.dump(suffix)
        assert path is not None
        assert read_tensordict(path)["next", "a"].shape == (1, 3)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["out_1_tensordict.t", "out_last_tensordict.t"]


def test_a_file_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("no folder")
    recorder = TensorDictRecorder(tmp_path / "taken/out", skip=1)
    step = TensorDict({"a": torch.ones(3)}, batch_size=[])
    recorder._step(step, step)
    with pytest.warns(UserWarning, match=r"no recording at .*taken/out_0_tensordict.t: .*; make room"):
        assert recorder.dump() is None


@pytest.mark.parametrize("options", [{"skip": 0}, {"max_len": 0}])
def test_numbers_that_make_no_sense(options: dict[str, int], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="skip and max_len are 1 or more"):
        TensorDictRecorder(tmp_path / "out", **options)


def test_a_file_has_the_tensors_and_their_batch_size(tmp_path: Path) -> None:
    data = TensorDict({"a": torch.arange(12).reshape(2, 3, 2), "next": {"b": torch.ones(2, 3, 1)}}, batch_size=[2, 3])
    view = data[:, 1:]
    back = read_tensordict(write_tensordict(view, tmp_path / "deep/file.pt"))
    assert back.batch_size == torch.Size([2, 2])
    assert (back == view).all()
    assert [each.name for each in (tmp_path / "deep").iterdir()] == ["file.pt"]


@pytest.mark.parametrize("what", ["text", "half", "other"])
def test_a_file_of_something_else_is_refused(what: str, tmp_path: Path) -> None:
    path = tmp_path / "file.pt"
    if what == "text":
        path.write_text("hello, this is a text\n")
    elif what == "other":
        torch.save({"weight": torch.zeros(2)}, path)
    else:
        whole = write_tensordict(TensorDict({"a": torch.ones(500)}, batch_size=[500]), path).read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(
        ValueError, match=r"file\.pt is damaged, or no file that write_tensordict wrote \(\w+: .*\); take"
    ):
        read_tensordict(path)
    with pytest.raises(FileNotFoundError):
        read_tensordict(tmp_path / "none.pt")


def test_the_package_costs_no_torch_and_lists_its_names() -> None:
    code = "import sys, rlrecipe.recorders; print([m for m in ('torch', 'numpy', 'imageio') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
    assert all(getattr(rlrecipe.recorders, name) for name in dir(rlrecipe.recorders))
    with pytest.raises(AttributeError, match="has no attribute 'Recorder'"):
        _ = rlrecipe.recorders.Recorder
