"""Updates that learn from a replay buffer of torchrl's."""

from typing import Any

import pytest
import torch
from tensordict import TensorDict
from torchrl.data import (
    LazyMemmapStorage,
    LazyTensorStorage,
    ListStorage,
    PrioritizedSampler,
    ReplayBuffer,
    TensorDictReplayBuffer,
)
from torchrl.data.replay_buffers.samplers import SamplerWithoutReplacement

from rlrecipe.state import join, split
from rlrecipe.trainers import HookError, ReplayBufferTrainer
from tests import small


def with_hook(**options: Any) -> dict[str, Any]:
    return {**small.CARTPOLE, "hooks": [{"name": "replay_buffer_trainer", **options}]}


def test_a_buffer_of_one_batch_is_the_newest_batch_in_another_order() -> None:
    """Each row of the batch is learned from once an epoch, as without it."""
    trainer = small.build(with_hook(batch_size=32, max_size=64)).trainer
    drawn: list[Any] = []
    batches: list[Any] = []
    trainer.register_op("post_steps_log", lambda batch: batches.append(batch["observation"].clone()))
    trainer.register_op("post_optim_log", lambda sub_batch: drawn.append(sub_batch["observation"].clone()))
    trainer.train()
    for i, batch in enumerate(batches):
        epoch = torch.cat(drawn[4 * i : 4 * i + 2])
        assert sorted(map(tuple, epoch.tolist())) == sorted(map(tuple, batch.reshape(-1, 4).tolist()))


def test_rows_of_earlier_batches_come_with_their_advantages() -> None:
    trainer = small.build(with_hook(batch_size=32, max_size=192, replacement=True)).trainer
    known: dict[Any, float] = {}
    batch_of: dict[Any, int] = {}
    ages: list[int] = []

    def note(batch: Any) -> None:
        for row in batch.reshape(-1):
            key = tuple(row["observation"].tolist())
            known[key] = float(row["advantage"])
            batch_of[key] = trainer.clock.frames

    def check(sub_batch: Any) -> None:
        for row in sub_batch:
            key = tuple(row["observation"].tolist())
            assert known[key] == float(row["advantage"])
            ages.append(trainer.clock.frames - batch_of[key])

    trainer.register_op("pre_steps_log", note)
    trainer.register_op("post_optim_log", check)
    trainer.train()
    assert set(ages) == {0, 64, 128}


@pytest.mark.parametrize(
    ("recipe", "place", "words"),
    [
        ({**small.DQN, "hooks": [{"name": "replay_buffer_trainer", "batch_size": 8, "max_size": 64}]},
         "hooks.0", "dqn learns from its replay_buffer already"),
        ({**with_hook(batch_size=32, max_size=65), "algorithm": "a2c"},
         "hooks.0.max_size", "65 rows are more than the 64 of the newest batch"),
        (with_hook(batch_size=65, max_size=100), "hooks.0.batch_size", "65 rows are more than the 64"),
    ],
    ids=["off-policy", "no ratio", "too many rows"],
)  # fmt: skip
def test_where_it_makes_no_sense(recipe: Any, place: str, words: str) -> None:
    ((code, path, message, cure),) = small.problems(recipe)
    assert (code, path) == ("E302", place)
    assert words in message
    assert cure


def test_a2c_may_have_a_buffer_of_its_newest_batch() -> None:
    assert small.problems({**with_hook(batch_size=32, max_size=64), "algorithm": "a2c"}) == []


def test_a_trainer_with_a_buffer_needs_no_other() -> None:
    buffer = TensorDictReplayBuffer(storage=LazyTensorStorage(100), batch_size=8)
    with pytest.raises(HookError, match="has a replay buffer already"):
        ReplayBufferTrainer(buffer).register(small.build(small.DQN).trainer)


# -- buffers that are given


def rows(first: int, environments: int = 2, steps: int = 5) -> TensorDict:
    """A batch ``[N, T]`` whose rows are numbered."""
    number = first + torch.arange(environments * steps).reshape(environments, steps, 1).float()
    flags = torch.zeros(environments, steps, 1, dtype=torch.bool)
    return TensorDict({"number": number, "next": {"truncated": flags}}, batch_size=[environments, steps])


BUFFERS = {
    "random": lambda: TensorDictReplayBuffer(storage=LazyTensorStorage(16), batch_size=4),
    "without replacement": lambda: TensorDictReplayBuffer(
        storage=LazyTensorStorage(16), sampler=SamplerWithoutReplacement(), batch_size=4
    ),
    "memmap": lambda: TensorDictReplayBuffer(storage=LazyMemmapStorage(16), batch_size=4),
    "prioritized": lambda: TensorDictReplayBuffer(
        storage=LazyTensorStorage(16), sampler=PrioritizedSampler(16, 0.7, 0.5), batch_size=4
    ),
}


def registered(make: Any, **arguments: Any) -> ReplayBufferTrainer:
    hook = ReplayBufferTrainer(make(), **arguments)
    hook.register(small.build(small.CARTPOLE).trainer)
    return hook


def live(hook: ReplayBufferTrainer, first: int) -> list[float]:
    """A batch goes in, four draws come out, each with priorities."""
    hook.extend(rows(first))
    drawn = []
    for _ in range(4):
        sample = hook.sample(None)
        sample["td_error"] = sample["number"].squeeze(-1) + 1
        hook.update_priority(sample)
        drawn += sample["number"].flatten().tolist()
    return drawn


@pytest.mark.parametrize("kind", BUFFERS)
@pytest.mark.parametrize("flat", [True, False])
def test_the_buffer_goes_on_from_a_checkpoint(kind: str, flat: bool) -> None:
    one, other = (registered(BUFFERS[kind], flatten_tensordicts=flat) for _ in range(2))
    for first in (0, 10):
        live(one, first)
    arrays: dict[str, torch.Tensor] = {}
    tree = split(one.state_dict(), "", arrays)
    other.load_state_dict(join(tree, arrays))
    for first in (20, 30):
        assert live(one, first) == live(other, first)
    assert len(one.replay_buffer) == len(other.replay_buffer)


def test_an_empty_buffer_has_a_state_too() -> None:
    one, other = (registered(BUFFERS["random"], flatten_tensordicts=True) for _ in range(2))
    other.load_state_dict(one.state_dict())
    assert live(one, 0) == live(other, 0)


def test_flattened_rows_do_not_run_into_each_other() -> None:
    hook, batch = registered(BUFFERS["random"], flatten_tensordicts=True), rows(0)
    assert hook.extend(batch) is batch
    held = hook.replay_buffer[:]
    assert held["next", "truncated"].flatten().tolist() == ([False] * 4 + [True]) * 2
    assert not batch["next", "truncated"].any(), "the batch stays as it is"


def test_padding_is_left_out_or_put_in() -> None:
    batch = rows(0)
    batch["collector", "mask"] = torch.arange(5).expand(2, 5) < torch.tensor([[2], [5]])
    hook = registered(BUFFERS["random"], flatten_tensordicts=True)
    hook.extend(batch)
    assert hook.replay_buffer[:]["number"].flatten().tolist() == [0, 1, 5, 6, 7, 8, 9]
    padded = registered(BUFFERS["random"], max_dims=[-1, 8], memmap=True)
    padded.extend(rows(0))
    assert padded.replay_buffer[:].batch_size == torch.Size([2, 8])


def test_draws_are_of_the_asked_size_and_on_the_device() -> None:
    buffer = TensorDictReplayBuffer(storage=LazyTensorStorage(16))
    hook = registered(lambda: buffer, batch_size=3, device="cpu", flatten_tensordicts=True)
    hook.extend(rows(0))
    assert hook.sample(None).batch_size == torch.Size([3])


def test_priorities_need_the_rows_of_a_sub_batch() -> None:
    with pytest.raises(HookError, match="TensorDictReplayBuffer"):
        ReplayBufferTrainer(ReplayBuffer(storage=ListStorage(4), sampler=PrioritizedSampler(4, 1.0, 1.0)))


def test_a_prioritized_buffer_hears_of_errors_at_post_loss() -> None:
    trainer = small.build(small.CARTPOLE).trainer
    buffer = TensorDictReplayBuffer(storage=LazyTensorStorage(256), sampler=PrioritizedSampler(256, 1.0, 1.0))
    heard: list[Any] = []
    hook = ReplayBufferTrainer(buffer, 32, flatten_tensordicts=True)
    hook._update = heard.append
    hook.register(trainer)
    trainer.train()
    assert len(heard) == trainer.clock.updates
    assert all(sub_batch["index"].shape == (32,) for sub_batch in heard)
