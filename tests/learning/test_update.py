import copy
from typing import Any

import pytest
import torch

from rlrecipe.assembly.assemble import Assembly
from rlrecipe.interfaces import Batch, Objective
from rlrecipe.learning.parameters import Parameters
from rlrecipe.learning.update import Update, clip
from rlrecipe.recipe.slots import Slot
from tests import small


def loss(params: Any, batch: Batch, inputs: Any) -> Any:
    error = batch["x"] @ params["policy"]["w"] + params["value"]["b"] - inputs["shift"]
    return error.pow(2).mean(), {"error": error.detach().abs().mean()}


def update(groups: dict[str, float] | None = None, **options: Any) -> Update:
    chosen = Slot("optimizer").read({"name": "adam", "lr": 0.1, **options})
    parameters = Parameters({"policy": {"w": torch.ones(3)}, "value": {"b": torch.zeros(2)}})
    return Update([Objective(loss)], parameters, chosen.component.build(chosen), groups)


BATCH: Batch = {"x": torch.randn(2, 3, generator=torch.Generator().manual_seed(0))}
INPUTS = {"shift": torch.tensor(1.0)}


def state_of(built: Assembly) -> dict[str, Any]:
    return copy.deepcopy(built.trainer.update.state_dict())


@pytest.mark.parametrize("recipe", [small.CARTPOLE, small.PENDULUM], ids=["discrete", "continuous"])
def test_the_gradient_changes_nothing(recipe: dict[str, Any]) -> None:
    built = small.build(recipe)
    trainer = built.trainer
    batch = trainer.collector.collect()
    trainer.sampler.extend(trainer.update.params, batch)
    trainer.sampler.begin(batch)
    sub_batch = trainer.sampler.take()
    inputs = {name: torch.tensor(0.2) for name in trainer.inputs}
    kept, state, flat = copy.deepcopy(sub_batch), state_of(built), trainer.update.parameters.flat.clone()
    one, other = (trainer.update.parts[0].gradient(sub_batch, inputs) for _ in range(2))
    assert torch.equal(one[0], other[0])
    assert all(torch.equal(one[1][name], other[1][name]) for name in one[1])
    assert one[0].abs().max() > 0
    assert torch.equal(flat, trainer.update.parameters.flat)
    assert all(torch.equal(kept[key], sub_batch[key]) for key in kept)
    torch.testing.assert_close(state_of(built), state, rtol=0, atol=0)
    assert all(leaf.grad is None for leaf in trainer.update.parts[0].leaves)


def test_a_step_moves_the_leaves_and_every_view() -> None:
    one = update()
    before = one.parameters.flat.clone()
    gradient, _ = one.parts[0].gradient(BATCH, INPUTS)
    one.parts[0].apply(gradient, None)
    assert not torch.equal(one.parameters.flat, before)
    assert torch.equal(torch.cat([leaf.detach().reshape(-1) for leaf in one.parts[0].leaves]), one.parameters.flat)
    assert one.parameters.numpy()["policy"]["w"].tolist() == one.parameters.flat[:3].tolist()


@pytest.mark.parametrize("bound", [0.1, 1.0, 1e9])
def test_clipping_is_torchs(bound: float) -> None:
    gradient = torch.randn(50, generator=torch.Generator().manual_seed(0))
    leaf = torch.zeros(50, requires_grad=True)
    leaf.grad = gradient.clone()
    torch.nn.utils.clip_grad_norm_([leaf], bound)
    torch.testing.assert_close(clip(gradient, bound), leaf.grad, rtol=1e-7, atol=0)


def test_groups_have_rates_of_their_own_and_share_the_schedule() -> None:
    one = update({"value": 0.5})
    assert one.parts[0].lr.tolist() == pytest.approx([0.1] * 3 + [0.5] * 2)
    one.scale_lr(0.5)
    assert one.parts[0].lr.tolist() == pytest.approx([0.05] * 3 + [0.25] * 2)
    one.scale_lr(1.0)
    assert one.parts[0].lr.tolist() == pytest.approx([0.1] * 3 + [0.5] * 2)


def test_a_loaded_state_goes_on_with_the_same_bits_in_the_same_memory() -> None:
    one, other = update(), update()
    steps = [one.parts[0].gradient(BATCH, INPUTS)[0] * scale for scale in (1.0, -2.0, 0.5)]
    for gradient in steps[:2]:
        one.parts[0].apply(gradient, 0.5)
    address = other.parameters.flat.data_ptr()
    other.load_state_dict(copy.deepcopy(one.state_dict()))
    assert other.parameters.flat.data_ptr() == address
    for each in (one, other):
        each.parts[0].apply(steps[2], 0.5)
    assert torch.equal(one.parameters.flat, other.parameters.flat)
    assert torch.equal(other.parts[0].leaves[0].detach(), other.parameters.flat[:3])


@pytest.mark.parametrize(
    ("delay", "kinds"), [(1, [["loss_qvalue", "loss_policy"]]), (3, [["loss_qvalue"], ["loss_qvalue", "loss_policy"]])]
)
def test_the_kinds_of_updates_are_those_that_come(delay: int, kinds: list[list[str]]) -> None:
    recipe = small.changed({**small.TD3, "algorithm": {"name": "td3"}}, ("algorithm", "policy_delay"), delay)
    update = small.build(recipe).trainer.update
    assert [[part.name for part in parts] for parts in update.kinds()] == kinds
    begun = [[part.name for part in update.begin()] for _ in range(2 * delay)]
    assert [kind for i, kind in enumerate(begun) if kind not in begun[:i]] == kinds
