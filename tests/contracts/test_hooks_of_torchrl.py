"""Hooks that read TensorDicts, and an optimizer of torch's own in the place of the built-in step."""

from __future__ import annotations

from typing import Any

import torch
from tensordict import TensorDict

from rlrecipe.assembly.assemble import Assembly
from rlrecipe.interfaces import Batch
from tests import small

RECIPE = {**small.CARTPOLE, "evaluation": {}, "trainer": {"total_frames": 256, "clip_norm": 0.5}}


def trained(assembly: Assembly) -> torch.Tensor:
    assembly.trainer.train()
    return assembly.trainer.update.parameters.flat


def test_changes_in_place_of_a_tensordict_reach_training() -> None:
    """The same change by a hook that reads mappings and by one that reads TensorDicts ``[N, T]``."""

    def on_tensordict(data: TensorDict) -> TensorDict:
        assert data.batch_size == torch.Size([2, 32])
        data["next", "reward"][1, 3:, 0] *= -2.0
        return data

    def on_mapping(batch: Batch) -> Batch:
        batch["next", "reward"][3:, 1] *= -2.0
        return batch

    on_mapping.reads_mapping = True  # type: ignore[attr-defined]
    one, other, untouched = small.build(RECIPE), small.build(RECIPE), small.build(RECIPE)
    one.trainer.register_op("batch_process", on_tensordict)
    other.trainer.register_op("batch_process", on_mapping)
    assert torch.equal(trained(one), trained(other))
    assert not torch.equal(trained(one), trained(untouched))


def test_a_new_tensordict_takes_the_batchs_place() -> None:
    def doubled(data: TensorDict) -> TensorDict:
        return data.clone().set(("next", "reward"), 2 * data["next", "reward"])

    assembly, seen = small.build(RECIPE), []

    def note(batch: Batch) -> None:
        seen.append(set(batch["next", "reward"].flatten().tolist()))
        assert batch["next", "reward"].shape == (32, 2)

    note.reads_mapping = True  # type: ignore[attr-defined]
    assembly.trainer.register_op("batch_process", doubled)
    assembly.trainer.register_op("pre_steps_log", note)
    trained(assembly)
    assert seen == [{2.0}] * 4


def test_a_changed_sub_batch_is_what_the_update_learns_from() -> None:
    def zero(data: TensorDict) -> TensorDict:
        data["advantage"].zero_()
        return data

    assembly = small.build({**RECIPE, "optimizer": {"name": "sgd", "lr": 1.0}})
    start = assembly.trainer.update.parameters.named()["policy.0.weight"].clone()
    assembly.trainer.register_op("process_optim_batch", zero)
    trained(assembly)
    named = assembly.trainer.update.parameters.named()
    # No advantage, no entropy bonus: the policy stays, the value network learns.
    assert torch.equal(named["policy.0.weight"], start)


def test_a_hook_that_keeps_one_mapping_for_all_batches() -> None:
    kept: dict[Any, torch.Tensor] = {}

    def keep(batch: Batch) -> Batch:
        kept.update(batch)
        return kept

    keep.reads_mapping = True  # type: ignore[attr-defined]
    plain, keeping = small.build(RECIPE), small.build(RECIPE)
    keeping.trainer.register_op("batch_process", keep)
    assert torch.equal(trained(keeping), trained(plain))


def test_an_optimizer_of_torch_in_the_place_of_the_built_in_step() -> None:
    recipe = {**RECIPE, "optimizer": {"name": "sgd", "lr": 0.05, "momentum": 0.9}}
    built_in, replaced = small.build(recipe), small.build(recipe)
    leaves = replaced.trainer.update.parts[0].leaves
    optimizer = torch.optim.SGD(leaves, lr=0.05, momentum=0.9)

    def step(losses: TensorDict, clip_norm: float, index: int) -> None:
        optimizer.zero_grad()
        sum(losses.values()).backward()
        torch.nn.utils.clip_grad_norm_(leaves, clip_norm)
        optimizer.step()

    replaced.trainer.register_op("optimizer", step)
    start = replaced.trainer.update.parameters.flat.clone()
    expected = trained(built_in)
    torch.testing.assert_close(trained(replaced), expected, rtol=1e-5, atol=1e-6)
    assert not torch.allclose(start, expected, atol=1e-2)
    assert replaced.trainer.clock.updates == built_in.trainer.clock.updates == 16
    assert replaced.trainer.losses.take().keys() == built_in.trainer.losses.take().keys()


def test_what_a_logging_hook_returns_is_averaged_and_shown() -> None:
    assembly, values = small.build(RECIPE), iter(range(4))
    assembly.trainer.register_op("pre_steps_log", lambda _: {"count": next(values), "log_pbar": True})
    assembly.trainer.register_op("post_steps_log", lambda _: None)
    assembly.trainer.register_op("post_steps_log", lambda _: {"log_pbar": False})
    trained(assembly)
    assert assembly.trainer.logged.take() == {"count": 1.5}
    assert assembly.trainer.progress == {"count": 3.0}
