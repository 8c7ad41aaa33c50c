"""Other optimizers than the built-in one, for some losses or all."""

from typing import Any

import pytest
import torch
from pydantic import ValidationError

from rlrecipe.optim.sgd import SGDOptions
from rlrecipe.recipe.errors import RecipeError
from rlrecipe.recipe.slots import Slot
from rlrecipe.torchrl.recipe_trainer import RecipeTrainer
from rlrecipe.trainers import HookError, LogScalar, OptimizerHook
from tests import small

SGD = {**small.CARTPOLE, "optimizer": {"name": "sgd", "lr": 0.05}, "trainer": {"total_frames": 256, "clip_norm": 0.5}}


def flat(trainer: RecipeTrainer) -> torch.Tensor:
    trainer.train()
    return trainer.update.parameters.flat


def test_an_optimizer_of_a_recipe_takes_the_place_of_the_built_in_one() -> None:
    other = {**SGD, "optimizer": "adam", "hooks": [{"name": "optimizer_hook", "optimizer": SGD["optimizer"]}]}
    assert torch.equal(flat(small.build(other).trainer), flat(small.build(SGD).trainer))


def test_each_loss_may_have_its_own() -> None:
    """TD3 with one optimizer for both, and with the same one given to each by a hook."""
    rate = {"name": "sgd", "lr": 1e-3}
    hooks = [
        {"name": "optimizer_hook", "optimizer": rate, "loss_components": ["loss_policy"]},
        {"name": "optimizer_hook", "optimizer": rate, "loss_components": ["loss_qvalue"]},
    ]
    both = small.build({**small.TD3, "optimizer": "adam", "hooks": hooks})
    one = small.build({**small.TD3, "optimizer": "adam", "hooks": hooks[:1]})
    expected = flat(small.build({**small.TD3, "optimizer": rate}).trainer)
    assert torch.equal(flat(both.trainer), expected)
    assert not torch.equal(flat(one.trainer), expected)


def test_several_optimizers_of_torch_step_by_gradients_of_the_same_parameters() -> None:
    """Policy and value network of one loss, each with an optimizer: as one optimizer over both."""
    # A norm is bounded for each optimizer's own parameters: here it is not.
    recipe = {**SGD, "trainer": {"total_frames": 256, "clip_norm": 1e9}}
    trainer = small.build(recipe).trainer
    part = trainer.update.parts[0]
    slots = [entry.slot for entry in part.layout.parts]
    for slot in ("policy", "value"):
        leaves = [leaf for leaf, own in zip(part.leaves, slots, strict=True) if own == slot]
        OptimizerHook(torch.optim.SGD(leaves, lr=0.05)).register(trainer, f"optimizer_{slot}")
    torch.testing.assert_close(flat(trainer), flat(small.build(recipe).trainer), rtol=1e-5, atol=1e-6)


def test_an_optimizer_of_torch_goes_on_from_its_state() -> None:
    one, other = small.build(SGD).trainer, small.build(SGD).trainer
    hooks = [OptimizerHook(torch.optim.Adam(each.update.parts[0].leaves, lr=1e-2)) for each in (one, other)]
    for hook, trainer in zip(hooks, (one, other), strict=True):
        hook.register(trainer)
    one.train()
    other.load_state_dict(one.state_dict())
    theirs, ours = (hook.optimizer.state_dict()["state"][0]["exp_avg"] for hook in hooks)
    assert torch.equal(theirs, ours)


def test_torchrl_s_optimizer_hook_is_called_as_it_expects() -> None:
    from torchrl.trainers import OptimizerHook as Theirs

    trainer = small.build(SGD).trainer
    with pytest.warns(FutureWarning, match="OptimizerHook"):
        hook = Theirs(torch.optim.SGD(trainer.update.parts[0].leaves, lr=0.05))
    hook.register(trainer)
    torch.testing.assert_close(flat(trainer), flat(small.build(SGD).trainer), rtol=1e-5, atol=1e-6)


def test_hooks_that_cannot_take_their_gradient_any_more_are_told_the_cure() -> None:
    trainer = small.build({**small.CARTPOLE, "algorithm": {**small.CARTPOLE["algorithm"]}}).trainer
    leaves = trainer.update.parts[0].leaves

    def step(losses: Any, clip_norm: float | None, index: int) -> None:
        sum(losses.values()).backward(retain_graph=True)
        torch.optim.SGD(leaves, lr=0.1).step()

    def again(losses: Any, clip_norm: float | None, index: int) -> None:
        step(losses, clip_norm, index)

    trainer.register_op("optimizer", step)
    trainer.register_op("optimizer", again)
    with pytest.raises(
        HookError, match=r"again.* after another hook has stepped; use rlrecipe\.trainers\.OptimizerHook"
    ):
        trainer.train()


def rates(trainer: RecipeTrainer) -> dict[str, float]:
    """The learning rate of each slot of the first loss."""
    part = trainer.update.parts[0]
    lr = part.lr.expand(part.flat.shape)
    return {slot: float(lr[part.layout.range(slot)[0]]) for slot in part.layout.slots}


def test_rates_of_groups_are_those_of_the_hook_s_optimizer() -> None:
    optimizer = {**SGD["optimizer"], "groups": {"value": {"lr": 1.0}}}
    other = {**SGD, "optimizer": "adam", "hooks": [{"name": "optimizer_hook", "optimizer": optimizer}]}
    hooked, plain = (small.build(each).trainer for each in (other, {**SGD, "optimizer": optimizer}))
    assert rates(hooked) == pytest.approx({"policy": 0.05, "value": 1.0})
    assert torch.equal(flat(hooked), flat(plain))


def test_the_recipe_s_schedule_moves_a_hook_s_rates() -> None:
    """The cure for a schedule of the hook's own is true."""
    hook = {"name": "optimizer_hook", "optimizer": SGD["optimizer"]}
    scheduled = {**SGD, "optimizer": {"name": "adam", "schedule": "linear"}, "hooks": [hook]}
    plain = {**SGD, "optimizer": {**SGD["optimizer"], "schedule": "linear"}}
    assert torch.equal(flat(small.build(scheduled).trainer), flat(small.build(plain).trainer))


@pytest.mark.parametrize(
    ("hooks", "path", "words"),
    [
        (
            [{"optimizer": {"name": "sgd", "schedule": "linear"}}],
            "hooks.0.optimizer.schedule",
            "no schedule of its own",
        ),
        ([{"optimizer": "sgd"}, {"optimizer": "adam"}], "hooks.1", "hooks.0 takes the steps of every loss already"),
        (
            [
                {"optimizer": "sgd", "loss_components": ["loss_policy", "loss_qvalue"]},
                {"optimizer": "adam", "loss_components": ["loss_qvalue"]},
            ],
            "hooks.1",
            "hooks.0 takes the steps of loss_qvalue already",
        ),
    ],
)
def test_what_optimizers_of_hooks_cannot_do_is_found_in_the_recipe(hooks: Any, path: str, words: str) -> None:
    recipe = {**small.TD3, "hooks": [{"name": "optimizer_hook", **hook} for hook in hooks]}
    with pytest.raises(RecipeError) as caught:
        small.build(recipe)
    (problem,) = caught.value.problems
    assert (problem.code, problem.path) == ("E302", path)
    assert words in problem.problem.message
    assert problem.problem.suggestion


def test_a_group_that_a_hook_s_losses_do_not_move() -> None:
    optimizer = {"name": "sgd", "groups": {"policy": {"lr": 1.0}}}
    hook = {"name": "optimizer_hook", "optimizer": optimizer, "loss_components": ["loss_qvalue"]}
    with pytest.raises(HookError, match=r"groups names policy, which loss_qvalue does not move; it moves: qvalue"):
        small.build({**small.TD3, "hooks": [hook]})


def test_two_hooks_of_one_loss_are_refused_in_python_too() -> None:
    trainer = small.build(small.TD3).trainer
    OptimizerHook("sgd", ["loss_policy"]).register(trainer, "one")
    with pytest.raises(HookError, match=r"takes the steps of loss_policy already; divide the losses"):
        OptimizerHook("adam").register(trainer, "other")
    leaves = trainer.update.parts[0].leaves
    OptimizerHook(torch.optim.SGD(leaves, lr=1.0)).register(trainer, "third")
    with pytest.raises(HookError, match="takes the steps of every loss already"):
        OptimizerHook(torch.optim.Adam(leaves[:1], lr=1.0)).register(trainer, "fourth")
    # Of the first and the third, the one of a recipe would never step.
    with pytest.raises(HookError, match="sgd is of a recipe and would never step"):
        trainer.train()


@pytest.mark.parametrize(
    "optimizer",
    ["sgd", {"name": "sgd"}, SGDOptions(), Slot("optimizer").read("sgd")],
    ids=["name", "mapping", "options by hand", "options"],
)
def test_an_optimizer_of_a_recipe_in_python(optimizer: Any) -> None:
    trainer = small.build(SGD).trainer
    OptimizerHook(optimizer).register(trainer)
    plain = small.build({**SGD, "optimizer": "sgd"}).trainer
    assert torch.equal(flat(trainer), flat(plain))


@pytest.mark.parametrize(
    ("optimizer", "error", "message"),
    [
        ("adamm", HookError, "(?s)no optimizer is named 'adamm'.*adam"),
        ({"name": "sgd", "lrr": 1.0}, ValidationError, "(?s)lrr.*Extra inputs are not permitted"),
        (0.1, HookError, r"expected the name, .*; got 0\.1: write OptimizerHook\(\{"),
        (torch.optim.SGD, HookError, r"expected the name, .*; got <class"),
        ({"name": "sgd", "schedule": "linear"}, HookError, "no schedule of its own.*lr_scheduler_hook"),
        (LogScalar().options, HookError, "expected a optimizer, got LogScalarOptions"),
    ],
)
def test_optimizers_that_there_are_not(optimizer: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        OptimizerHook(optimizer)


@pytest.mark.parametrize(
    ("components", "message"),
    [
        ([], "loss_components is empty"),
        (["loss_actor"], "no loss is named loss_actor; there are: loss_qvalue, loss_policy"),
    ],
)
def test_losses_that_there_are_not(components: list[str], message: str) -> None:
    trainer = small.build(small.TD3).trainer
    with pytest.raises(HookError, match=message):
        OptimizerHook(torch.optim.SGD(trainer.update.parts[0].leaves, lr=1.0), components).register(trainer)


@pytest.mark.parametrize(
    ("recipe", "names"),
    [
        (small.CARTPOLE, ["loss"]),
        ({**small.CARTPOLE, "algorithm": "a2c"}, ["loss"]),
        ({**small.CARTPOLE, "algorithm": "reinforce"}, ["loss"]),
        (small.DQN, ["loss"]),
        (small.TD3, ["loss_qvalue", "loss_policy"]),
    ],
)
def test_losses_have_the_names_of_which_the_docs_speak(recipe: Any, names: list[str]) -> None:
    assert small.build(recipe).trainer.loss_names() == names
