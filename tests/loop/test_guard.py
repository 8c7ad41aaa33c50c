from pathlib import Path

import pytest
import torch

from rlrecipe.errors import Diverged
from rlrecipe.interfaces import Batch
from rlrecipe.learning.parameters import Parameters
from rlrecipe.loop.guard import check_batch, check_gradient
from tests import small


def parameters() -> Parameters:
    return Parameters({"policy": {"0.weight": torch.zeros(2, 2)}, "value": {"0.bias": torch.zeros(3)}})


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_a_gradient_that_is_not_finite_is_named_by_its_parts(bad: float) -> None:
    gradient = torch.zeros(7)
    gradient[5] = bad
    with pytest.raises(Diverged, match=r"loss/value, gradient of value\.0\.bias;"):
        check_gradient(gradient, {"policy": torch.tensor(1.0), "value": torch.tensor(bad)}, parameters())


def test_opposite_infinities_do_not_cancel() -> None:
    gradient = torch.zeros(7)
    gradient[0], gradient[6] = float("inf"), float("-inf")
    with pytest.raises(Diverged, match=r"gradient of policy\.0\.weight, gradient of value\.0\.bias"):
        check_gradient(gradient, {}, parameters())


def test_finite_numbers_pass() -> None:
    check_gradient(torch.full((7,), 1e30), {}, parameters())
    batch: Batch = {"observation": torch.zeros(2), "action": torch.tensor([3])}
    batch["next", "done"] = torch.tensor([True])
    check_batch(batch)


def test_an_observation_that_is_not_finite_is_named() -> None:
    batch: Batch = {"observation": torch.zeros(2), ("next", "reward"): torch.tensor([float("nan")])}
    with pytest.raises(Diverged, match=r"in the collected batch: next\.reward;"):
        check_batch(batch)


def test_a_run_that_diverges_keeps_a_checkpoint_from_before(tmp_path: Path) -> None:
    recipe = {**small.PENDULUM, "optimizer": {"name": "sgd", "lr": 1e30}}
    outcome = small.train(recipe, tmp_path / "run").outcome
    assert (outcome.code, outcome.state) == (6, "failed")
    assert "loss/" in outcome.reason
    tensors = small.saved_policy(tmp_path / "run")
    assert all(bool(tensor.isfinite().all()) for tensor in tensors.values())
