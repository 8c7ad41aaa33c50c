from typing import Any

import numpy as np
import pytest
import torch

from rlrecipe.loop.averages import Averages
from rlrecipe.loop.tensordicts import from_tensordict, to_tensordict
from tests import small


def test_averages_are_the_means_since_they_were_taken() -> None:
    averages = Averages()
    assert not averages
    for value in (1.0, 2.0, 6.0):
        averages.add({"a": torch.tensor(value), "b": torch.tensor([2 * value])})
    averages.add({"c": torch.tensor(5)})
    averages.add({})
    assert averages
    assert averages.take() == {"a": 3.0, "b": 6.0, "c": 5.0}
    assert averages.take() == {}


def test_saved_averages_go_on() -> None:
    one, other = Averages(), Averages()
    one.add({"a": torch.tensor(1.0)})
    other.load_state_dict(one.state_dict())
    other.add({"a": torch.tensor(4.0)})
    assert other.take() == {"a": 2.5}


@pytest.mark.parametrize("time_major", [True, False])
def test_a_tensordict_and_back_is_the_same_memory(time_major: bool) -> None:
    built = small.build(small.CARTPOLE)
    batch = built.trainer.collector.collect()
    built.trainer.sampler.extend(built.trainer.update.params, batch)
    if not time_major:
        batch = {key: tensor.reshape(-1, *tensor.shape[2:]) for key, tensor in batch.items()}
    back = from_tensordict(to_tensordict(batch, time_major), time_major)
    assert back.keys() == batch.keys()
    for key, tensor in batch.items():
        assert back[key].shape == tensor.shape, key
        assert back[key].data_ptr() == tensor.data_ptr(), key
        assert torch.equal(back[key], tensor), key


def test_minibatches_are_rows_of_the_batch() -> None:
    trainer = small.build(small.CARTPOLE).trainer
    algorithm: Any = trainer.algorithm
    batch = trainer.collector.collect()
    trainer.sampler.extend(trainer.update.params, batch)
    trainer.sampler.begin(batch)
    subs = [trainer.sampler.take() for _ in range(2)]
    assert set(subs[0]) == algorithm.reads
    for key in algorithm.reads:
        joined = torch.cat([sub[key] for sub in subs]).reshape(64, -1)
        whole = batch[key].reshape(64, -1)
        assert sorted(map(tuple, joined.tolist())) == sorted(map(tuple, whole.tolist())), key


def test_the_trainer_refuses_a_state_with_other_modules() -> None:
    trainer = small.build(small.CARTPOLE).trainer
    state = trainer.state_dict()
    with pytest.raises(KeyError, match="mine"):
        trainer.load_state_dict({**state, "mine": {}})
    with pytest.raises(KeyError, match="clock"):
        trainer.load_state_dict({key: value for key, value in state.items() if key != "clock"})


def test_the_learning_rate_follows_its_schedule() -> None:
    trainer = small.build({**small.CARTPOLE, "optimizer": {"name": "adam", "lr": 0.1, "schedule": "linear"}}).trainer
    seen: list[float] = []
    trainer.register_op("pre_optim_steps", lambda: seen.append(float(trainer.update.parts[0].lr)))
    trainer.train()
    np.testing.assert_allclose(seen, [0.1 * (1 - i / 8) for i in range(8)], rtol=1e-6)


def test_whole_batches_are_taken() -> None:
    for total, frames in ((1, 64), (64, 64), (65, 128)):
        trainer = small.build(small.CARTPOLE, f"trainer.total_frames={total}").trainer
        trainer.train()
        assert (trainer.clock.frames, trainer.clock.done) == (frames, True)


def test_a_run_may_be_counted_in_updates() -> None:
    trainer = small.build({**small.CARTPOLE, "trainer": {"total_updates": 9}}).trainer
    trainer.train()
    assert (trainer.clock.updates, trainer.clock.frames) == (12, 192)
