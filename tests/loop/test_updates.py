"""What the loop does with an algorithm's updates: the same as the functions that parity tests compare."""

from typing import Any

import pytest
import torch

from rlrecipe.interfaces import Batch
from rlrecipe.learning.update import update
from tests import small

SAC = {**small.TD3, "algorithm": "sac"}
CLIP_NORM = 0.5


@pytest.mark.parametrize("recipe", [small.TD3, SAC], ids=["td3", "sac"])
def test_a_trainers_updates_are_those_that_parity_compares(
    recipe: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    clipped = small.changed(recipe, ("trainer", "clip_norm"), CLIP_NORM)
    trainer, other = small.build(clipped).trainer, small.build(clipped).trainer.update
    seen: list[Batch] = []
    take = trainer.sampler.take

    def kept() -> Batch:
        seen.append(take())
        return {key: tensor.clone() for key, tensor in seen[-1].items()}

    monkeypatch.setattr(trainer.sampler, "take", kept)
    trainer.train()
    assert len(seen) > 60
    assert trainer.update.targets is not None
    assert other.targets is not None
    first, first_copies = other.parameters.flat.clone(), other.targets.copies.flat.clone()
    for batch in seen:
        assert update(other.begin(), batch, {})[0] == 0
    assert torch.equal(trainer.update.parameters.flat, other.parameters.flat)
    assert torch.equal(trainer.update.targets.copies.flat, other.targets.copies.flat)
    assert not torch.equal(other.targets.copies.flat, first_copies)
    for slot in other.parameters.params:
        own = slice(*other.parameters.range(slot))
        assert not torch.equal(other.parameters.flat[own], first[own]), f"{slot} did not learn"


def test_hard_targets_are_copies_of_before_the_first_update_after_each_interval() -> None:
    trainer = small.build(small.DQN, "algorithm.target.every=128").trainer
    update, seen = trainer.update, list[tuple[int, torch.Tensor, torch.Tensor]]()
    assert update.targets is not None
    copies, copied = update.targets.copies.flat, update.targets.copies.flat.clone()

    def note(batch: Batch) -> None:
        seen.append((trainer.clock.frames, update.parameters.flat.clone(), copies.clone()))

    trainer.register_op("post_loss", note)
    trainer.train()
    intervals = 0
    for frames, now, target in seen:
        if frames // 128 > intervals:
            intervals, copied = frames // 128, now
        assert torch.equal(target, copied), frames
    assert intervals == 4


def test_scheduled_numbers_follow_the_clock() -> None:
    eps = {"name": "linear", "start": 1.0, "end": 0.0, "until": 1.0}
    trainer = small.build({**small.DQN, "exploration": {"name": "egreedy", "eps": eps}}).trainer
    collector: Any = trainer.collector
    seen: list[float] = []
    trainer.register_op("pre_optim_steps", lambda: seen.append(collector.exploration.eps.value))
    trainer.train()
    assert seen == pytest.approx([1 - i / 8 for i in range(8)])
