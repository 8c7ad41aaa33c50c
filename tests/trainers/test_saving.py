"""A trainer's checkpoint: whole, checked, free of pickles, and loaded into a fresh trainer."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from rlrecipe.checkpoint.single import DamagedFile, read, write
from rlrecipe.errors import Refusal
from rlrecipe.trainers import SelectKeys
from rlrecipe.trainers.trainer import Trainer
from tests.trainers import parts
from tests.trainers.simple import simple

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
BACKENDS = ("torch", "safetensors", "dcp")


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("CKPT_BACKEND", request.param)
    return str(request.param)


def with_buffer(made: parts.Parts, **options: Any) -> Trainer:
    """Updates from a replay buffer, saved as a module."""
    from torchrl.trainers import ReplayBufferTrainer

    trainer = made.trainer(optim_steps_per_batch=4, **options)
    ReplayBufferTrainer(made.replay_buffer, flatten_tensordicts=True).register(trainer)
    if made.targets is not None:
        trainer.register_op("post_optim", made.targets.step)
    if made.exploration is not None:
        trainer.register_module("exploration", made.exploration)
        trainer.register_op("post_steps", lambda: made.exploration.step(parts.FRAMES))
    return trainer


# -- the page's example


def test_the_pages_trainer_with_select_keys_and_a_checkpoint(tmp_path: Path) -> None:
    made, filepath = parts.dqn(), tmp_path / "path" / "trainer.pt"
    trainer = Trainer(
        collector=made.collector,
        total_frames=128,
        frame_skip=1,
        loss_module=made.loss_module,
        optimizer=torch.optim.Adam(made.loss_module.parameters()),
        save_trainer_file=filepath,
    )
    keys = ["action", "observation", *(("next", key) for key in ("observation", "reward", "done", "terminated"))]
    select_keys = SelectKeys(keys)
    select_keys.register(trainer)
    seen = []
    trainer.register_op("pre_steps_log", lambda batch: seen.append(set(batch.keys(True, True))))
    trainer.save_trainer(True)
    trainer.train()
    trainer.load_from_file(filepath)
    assert seen == [set(keys)] * 4
    assert trainer.clock.frames == 128
    made.collector.shutdown()


# -- what is in it


@pytest.mark.parametrize("make", [parts.dqn, parts.sac], ids=["dqn", "sac"])
def test_a_trained_loss_is_loaded_into_a_fresh_trainer(
    make: Callable[[], parts.Parts], backend: str, tmp_path: Path
) -> None:
    file = tmp_path / "trainer"
    one = with_buffer(make(), save_trainer_file=file)
    one.train()
    other = with_buffer(make())
    assert other.load_from_file(file) is other
    assert torch.equal(parts.weights(one), parts.weights(other))
    assert one.clock.state_dict() == other.clock.state_dict()
    theirs, mine = (each.optimizer.state_dict()["state"] for each in (one, other))  # type: ignore[union-attr] # both have an optimizer
    assert theirs.keys() == mine.keys()
    assert all(torch.equal(theirs[key]["exp_avg"], mine[key]["exp_avg"]) for key in theirs)
    buffers = (each.modules["replay_buffer"].replay_buffer for each in (one, other))  # type: ignore[attr-defined] # any object may be one
    first, second = ([buffer[:]["observation"], len(buffer)] for buffer in buffers)
    assert torch.equal(first[0], second[0])
    assert first[1] == second[1] == 128
    other.shutdown()


def test_exploration_goes_on_where_it_stood(tmp_path: Path) -> None:
    one, made = parts.dqn(), parts.dqn(256)
    with_buffer(one, save_trainer_file=tmp_path / "x.pt").train()
    assert one.exploration.eps.item() == pytest.approx(1.0 - 0.9 * 128 / 1000, abs=1e-4)
    fresh = with_buffer(made, total_frames=256)
    fresh.load_from_file(tmp_path / "x.pt")
    assert made.exploration.eps.item() == one.exploration.eps.item()
    fresh.train()
    assert fresh.clock.frames == 256
    assert made.exploration.eps.item() == pytest.approx(1.0 - 0.9 * 256 / 1000, abs=1e-4)


def test_random_numbers_go_on(tmp_path: Path) -> None:
    trainer = simple(save_trainer_file=tmp_path / "x.pt")
    trainer.save_trainer(True)
    drawn = torch.rand(3)
    torch.manual_seed(99)
    trainer.load_from_file(tmp_path / "x.pt")
    assert torch.equal(torch.rand(3), drawn)


def test_an_interrupted_trainer_of_a_fixed_batch_goes_on_exactly(tmp_path: Path) -> None:
    whole, first = simple(4), simple(4, save_trainer_file=tmp_path / "x.pt")
    whole.train()
    first.register_op("post_steps", lambda: first.interrupt("a test") if first.clock.frames == 16 else None)
    first.train()
    second = simple(4)
    second.register_op("post_steps", lambda: None)
    second.load_from_file(tmp_path / "x.pt")
    # A loss that is a function holds no weights of its own to be saved.
    second.weight.data.copy_(first.weight.data)
    second.train()
    assert second.weight.item() == whole.weight.item()
    assert (second.clock.frames, second.clock.updates) == (32, 4)


def test_modules_that_differ_are_named(tmp_path: Path) -> None:
    one, other = simple(save_trainer_file=tmp_path / "x.pt"), simple()
    SelectKeys(["x"]).register(one)
    one.save_trainer(True)
    with pytest.raises(KeyError, match="without a module: \\['select_keys'\\]"):
        other.load_from_file(tmp_path / "x.pt")


# -- when it is written


def test_it_is_written_when_its_interval_was_crossed_and_at_the_end(tmp_path: Path) -> None:
    file, found = tmp_path / "x.pt", []
    trainer = simple(5, save_trainer_interval=16, save_trainer_file=file)
    trainer.boundaries.append(lambda: found.append(read(file)["clock"]["frames"] if file.exists() else 0))
    trainer.train()
    assert found == [0, 16, 16, 32, 32]
    assert read(file)["clock"]["frames"] == 40


def test_without_a_file_it_says_so() -> None:
    trainer = simple()
    trainer.save_trainer()
    with pytest.raises(Refusal, match="there is no file to save to; build the trainer with save_trainer_file"):
        trainer.save_trainer(True)


@pytest.mark.parametrize(
    ("name", "message"),
    [("torchsnapshot", "has had no release since 2022; dcp"), ("pickle", "should be 'safetensors', 'torch' or 'dcp'")],
)
def test_other_backends_are_refused(name: str, message: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CKPT_BACKEND", name)
    with pytest.raises(Refusal, match=f"CKPT_BACKEND: .*{message}"):
        simple(save_trainer_file=tmp_path / "x").save_trainer(True)


def test_what_cannot_be_saved_is_named(tmp_path: Path) -> None:
    class Odd:
        def state_dict(self) -> dict[str, Any]:
            return {"inner": [object()]}

        def load_state_dict(self, state: Any) -> None: ...

    trainer = simple(save_trainer_file=tmp_path / "x.pt")
    trainer.register_module("odd", Odd())
    with pytest.raises(TypeError, match=r"state at odd\.inner\.0 is a object, which cannot be saved"):
        trainer.save_trainer(True)
    assert not (tmp_path / "x.pt").exists()


# -- what happens to files


def largest(path: Path) -> Path:
    return path if path.is_file() else max((f for f in path.rglob("*") if f.is_file()), key=lambda f: f.stat().st_size)


@pytest.mark.parametrize("kind", BACKENDS)
def test_damage_is_found(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "x"
    state: dict[str, Any] = {"weights": torch.arange(4000.0), "text": "ö", "0": {1: [None, (2.5,)]}}
    write(path, state, kind)
    found = read(path)
    assert torch.equal(found.pop("weights"), state["weights"])
    assert found == {"text": "ö", "0": {1: [None, (2.5,)]}}
    file, content = largest(path), largest(path).read_bytes()
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 1
    for damaged in (bytes(flipped), content[: len(content) // 2], b"", b"PK" + content[:50]):
        file.write_bytes(damaged)
        with pytest.raises(DamagedFile, match="is damaged"):
            read(path)
    file.write_bytes(content)
    assert read(path)["text"] == "ö"


@pytest.mark.parametrize("kind", BACKENDS)
def test_a_version_takes_the_place_of_the_one_before(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "x"
    for i in range(3):
        write(path, {"i": i}, kind)
        assert read(path) == {"i": i}
    assert len(list(tmp_path.iterdir())) == 1
    if kind == "dcp":
        assert sorted(file.name for file in path.iterdir()) == ["3", "latest"]


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    class Code:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "ran",)

    for number, content in enumerate((pickle.dumps(Code()), _zipped(Code()))):
        file = tmp_path / f"{number}.pt"
        file.write_bytes(content)
        with pytest.raises(DamagedFile):
            read(file)
    assert not (tmp_path / "ran").exists()


def _zipped(code: Any) -> bytes:
    import io

    file = io.BytesIO()
    torch.save({"rlrecipe": code, "tensors": {}}, file)
    return file.getvalue()


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(FileNotFoundError, match="there is no checkpoint nowhere"):
        read(Path("nowhere"))
