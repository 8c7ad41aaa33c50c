from typing import Any

import pytest
import torch

from rlrecipe.interfaces import Objective
from rlrecipe.optim.base import OptimizerOptions
from rlrecipe.parameters import Parameters
from rlrecipe.recipe.options import Slot
from rlrecipe.recipe.registry import search
from rlrecipe.update import Update

#: Each optimizer, its options, and torch's with the same.
CASES: list[tuple[str, dict[str, Any], Any]] = [
    ("adam", {}, torch.optim.Adam),
    ("adam", {"betas": [0.8, 0.99], "eps": 1e-5, "weight_decay": 0.1}, torch.optim.Adam),
    ("adamw", {}, torch.optim.AdamW),
    ("adamw", {"weight_decay": 0.3, "eps": 1e-5}, torch.optim.AdamW),
    ("sgd", {}, torch.optim.SGD),
    ("sgd", {"momentum": 0.9, "weight_decay": 0.1}, torch.optim.SGD),
    ("rmsprop", {}, torch.optim.RMSprop),
    ("rmsprop", {"alpha": 0.9, "eps": 1e-5, "weight_decay": 0.1}, torch.optim.RMSprop),
]
LR, STEPS = 3e-3, 50


def tensors() -> dict[str, dict[str, torch.Tensor]]:
    generator = torch.Generator().manual_seed(0)
    return {
        "policy": {"weight": torch.randn(3, 4, generator=generator), "bias": torch.randn(3, generator=generator)},
        "value": {"weight": torch.randn(4, generator=generator)},
    }


def gradients(step: int) -> list[torch.Tensor]:
    """A different gradient each step, some elements of it zero for a while."""
    generator = torch.Generator().manual_seed(1 + step)
    drawn = [torch.randn(t.shape, generator=generator) for named in tensors().values() for t in named.values()]
    drawn[0][0] *= step >= 10
    return drawn


def optimizer(name: str, options: dict[str, Any]) -> Any:
    chosen: OptimizerOptions = Slot("optimizer").read({"name": name, "lr": LR, **options})  # type: ignore[assignment]
    return chosen.component.build(chosen)


def updated(name: str, options: dict[str, Any], groups: dict[str, float], factor: float) -> Parameters:
    parameters = Parameters(tensors())
    update = Update([Objective(lambda *_: (torch.zeros(()), {}))], parameters, optimizer(name, options), groups)
    for step in range(STEPS):
        update.scale_lr(1.0 if step < STEPS // 2 else factor)
        update.parts[0].apply(torch.cat([g.reshape(-1) for g in gradients(step)]), None)
    return parameters


def updated_by_torch(kind: Any, options: dict[str, Any], groups: dict[str, float], factor: float) -> Parameters:
    parameters = Parameters(tensors())
    leaves = parameters.by_slot([view.clone().requires_grad_() for view in parameters.views(parameters.flat)])
    slots = [{"params": list(named.values()), "lr": groups.get(slot, LR)} for slot, named in leaves.items()]
    torchs = kind(slots, lr=LR, **{**options, **({"betas": tuple(options["betas"])} if "betas" in options else {})})
    flat = [leaf for named in leaves.values() for leaf in named.values()]
    for step in range(STEPS):
        for leaf, gradient in zip(flat, gradients(step), strict=True):
            leaf.grad = gradient
        if step == STEPS // 2:
            for group in torchs.param_groups:
                group["lr"] *= factor
        torchs.step()
    return Parameters({slot: {k: v.detach() for k, v in named.items()} for slot, named in leaves.items()})


@pytest.mark.parametrize("groups", [{}, {"value": 1e-2}, {"policy": 0.0, "value": 1e-4}], ids=str)
@pytest.mark.parametrize(("name", "options", "kind"), CASES, ids=lambda value: str(value))
def test_fifty_steps_equal_torchs(name: str, options: dict[str, Any], kind: Any, groups: dict[str, float]) -> None:
    ours, theirs = updated(name, options, groups, 0.5), updated_by_torch(kind, options, groups, 0.5)
    torch.testing.assert_close(ours.flat, theirs.flat, rtol=0, atol=1e-6)
    start = Parameters(tensors())
    moved = ours.flat != start.flat
    frozen = groups.get("policy") == 0.0
    assert moved[slice(*start.range("value"))].all()
    assert moved[slice(*start.range("policy"))].any() != frozen


def test_every_optimizer_is_compared() -> None:
    assert {component.name for component in search("optimizer")} == {name for name, _, _ in CASES}


@pytest.mark.parametrize("name", sorted({name for name, _, _ in CASES}))
def test_a_step_reads_and_writes_nothing_else(name: str) -> None:
    made = optimizer(name, {})
    flat, gradient, lr = torch.randn(5), torch.randn(5), torch.tensor(0.1)
    state = made.init(flat)
    kept, memory = gradient.clone(), [flat.data_ptr(), *(tensor.data_ptr() for tensor in state.values())]
    made.step(flat, gradient, state, lr)
    assert torch.equal(gradient, kept)
    assert lr == 0.1
    assert [flat.data_ptr(), *(tensor.data_ptr() for tensor in state.values())] == memory
