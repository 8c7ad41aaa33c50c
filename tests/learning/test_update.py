import copy
from dataclasses import replace
from typing import Any

import pytest
import torch

from rlrecipe.assembly.assemble import Assembly
from rlrecipe.interfaces import Batch, Objective
from rlrecipe.learning.objectives import Objectives
from rlrecipe.learning.parameters import Parameters
from rlrecipe.learning.update import EAGER, Piece, Report, clip, gradient, split_update, step, update
from rlrecipe.recipe.slots import Slot
from rlrecipe.torchrl.recipe_trainer import RecipeTrainer
from tests import small


def loss(params: Any, batch: Batch, inputs: Any) -> Any:
    error = batch["x"] @ params["policy"]["w"] + params["value"]["b"] - inputs["shift"]
    return error.pow(2).mean(), {"error": error.detach().abs().mean()}


def objectives(groups: dict[str, float] | None = None, **options: Any) -> Objectives:
    chosen = Slot("optimizer").read({"name": "adam", "lr": 0.1, **options})
    parameters = Parameters({"policy": {"w": torch.ones(3)}, "value": {"b": torch.zeros(2)}})
    return Objectives([Objective(loss)], parameters, chosen.component.build(chosen), groups)


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
    one, other = (gradient(trainer.update.parts[0], sub_batch, inputs) for _ in range(2))
    assert torch.equal(one[0], other[0])
    assert all(torch.equal(one[1][name], other[1][name]) for name in one[1])
    assert one[0].abs().max() > 0
    assert torch.equal(flat, trainer.update.parameters.flat)
    assert all(torch.equal(kept[key], sub_batch[key]) for key in kept)
    torch.testing.assert_close(state_of(built), state, rtol=0, atol=0)
    assert all(leaf.grad is None for leaf in trainer.update.parts[0].leaves)


def test_a_step_moves_the_leaves_and_every_view() -> None:
    one = objectives()
    before = one.parameters.flat.clone()
    step(one.parts[0], gradient(one.parts[0], BATCH, INPUTS)[0], None)
    assert not torch.equal(one.parameters.flat, before)
    assert torch.equal(torch.cat([leaf.detach().reshape(-1) for leaf in one.parts[0].leaves]), one.parameters.flat)
    assert one.parameters.numpy()["policy"]["w"].tolist() == one.parameters.flat[:3].tolist()


@pytest.mark.parametrize("bound", [0.1, 1.0, 1e9])
def test_clipping_is_torchs(bound: float) -> None:
    flat = torch.randn(50, generator=torch.Generator().manual_seed(0))
    leaf = torch.zeros(50, requires_grad=True)
    leaf.grad = flat.clone()
    torch.nn.utils.clip_grad_norm_([leaf], bound)
    torch.testing.assert_close(clip(flat, bound), leaf.grad, rtol=1e-7, atol=0)


def test_groups_have_rates_of_their_own_and_share_the_schedule() -> None:
    one = objectives({"value": 0.5})
    assert one.parts[0].lr.tolist() == pytest.approx([0.1] * 3 + [0.5] * 2)
    one.scale_lr(0.5)
    assert one.parts[0].lr.tolist() == pytest.approx([0.05] * 3 + [0.25] * 2)
    one.scale_lr(1.0)
    assert one.parts[0].lr.tolist() == pytest.approx([0.1] * 3 + [0.5] * 2)


def test_a_loaded_state_goes_on_with_the_same_bits_in_the_same_memory() -> None:
    one, other = objectives(), objectives()
    flats = [gradient(one.parts[0], BATCH, INPUTS)[0] * scale for scale in (1.0, -2.0, 0.5)]
    for flat in flats[:2]:
        step(one.parts[0], flat, 0.5)
    address = other.parameters.flat.data_ptr()
    other.load_state_dict(copy.deepcopy(one.state_dict()))
    assert other.parameters.flat.data_ptr() == address
    for each in (one, other):
        step(each.parts[0], flats[2], 0.5)
    assert torch.equal(one.parameters.flat, other.parameters.flat)
    assert torch.equal(other.parts[0].leaves[0].detach(), other.parameters.flat[:3])


@pytest.mark.parametrize(
    ("delay", "kinds"), [(1, [["loss_qvalue", "loss_policy"]]), (3, [["loss_qvalue"], ["loss_qvalue", "loss_policy"]])]
)
def test_the_kinds_of_updates_are_those_that_come(delay: int, kinds: list[list[str]]) -> None:
    recipe = small.changed({**small.TD3, "algorithm": {"name": "td3"}}, ("algorithm", "policy_delay"), delay)
    update = small.build(recipe).trainer.update
    assert [[piece.name for piece in pieces.objectives] for pieces in update.kinds()] == kinds
    begun = [[piece.name for piece in update.begin().objectives] for _ in range(2 * delay)]
    assert [kind for i, kind in enumerate(begun) if kind not in begun[:i]] == kinds


def sub_batches(trainer: RecipeTrainer, count: int) -> list[Batch]:
    """The first sub-batches of a run."""
    for batch in trainer._batches():
        trainer.sampler.extend(trainer.update.params, batch)
        if trainer.sampler.begin(batch):
            break
    return [trainer.sampler.take() for _ in range(count)]


@pytest.mark.parametrize(
    "recipe", [small.CARTPOLE, small.TD3, {**small.TD3, "algorithm": "sac"}], ids=["ppo", "td3", "sac"]
)
def test_an_update_that_is_split_has_the_same_bits(recipe: dict[str, Any]) -> None:
    one, other = small.build(recipe).trainer, small.build(recipe).trainer
    inputs = {name: torch.tensor(0.2) for name in one.inputs}
    first = one.update.parameters.flat.clone()
    for i, batch in enumerate(sub_batches(one, 2)):
        between = list[Report]()
        whole, reports = update(one.update.begin(), batch, inputs)
        pieces = other.update.begin()
        # Where a hook stands at post_loss, nothing was moved yet.
        before = other.update.parameters.flat.clone()

        def look(report: Report, before: torch.Tensor = before, between: list[Report] = between) -> None:
            assert torch.equal(other.update.parameters.flat, before)
            between.append(report)

        split, others = split_update(pieces, batch, inputs, look)
        assert whole == split == 0
        assert len(reports) == len(others) == len(pieces.objectives), i
        for mine, its in zip([*reports, reports[0]], [*others, *between], strict=True):
            assert mine.names == its.names
            torch.testing.assert_close((mine.numbers, mine.columns), (its.numbers, its.columns), rtol=0, atol=0)
    assert not torch.equal(one.update.parameters.flat, first)
    torch.testing.assert_close(one.update.state_dict(), other.update.state_dict(), rtol=0, atol=0)


def test_nothing_is_moved_from_a_gradient_on_that_is_not_finite() -> None:
    one = small.build({**small.TD3, "algorithm": {"name": "td3", "policy_delay": 1}}).trainer
    batch = sub_batches(one, 1)[0]
    pieces = one.update.begin()
    critic, policy = (piece.flat.clone() for piece in pieces.objectives)
    assert one.update.targets is not None
    copies = one.update.targets.copies.flat.clone()

    def second(piece: Piece, *given: Any) -> Any:
        flat, metrics = gradient(piece, *given)
        return (flat if piece is pieces.objectives[0] else flat * torch.inf), metrics

    status, reports = update(pieces, batch, {}, replace(EAGER, gradient=second))
    assert (status, len(reports)) == (2, 2)
    assert not torch.equal(pieces.objectives[0].flat, critic)
    assert torch.equal(pieces.objectives[1].flat, policy)
    assert torch.equal(one.update.targets.copies.flat, copies)


def test_an_algorithm_that_ends_the_updates_moves_nothing() -> None:
    one = objectives()
    before = one.parameters.flat.clone()
    pieces = replace(one.begin(), stop=lambda metrics: metrics["error"] > 0)
    assert update(pieces, BATCH, INPUTS)[0] == -1
    assert torch.equal(one.parameters.flat, before)
