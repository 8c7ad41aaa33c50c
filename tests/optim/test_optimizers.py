import copy
import inspect
import re
from typing import Any

import pytest
import torch
from torch.fx.experimental.proxy_tensor import make_fx

from rlrecipe.interfaces import Objective
from rlrecipe.learning.objectives import Objectives
from rlrecipe.learning.parameters import Parameters
from rlrecipe.learning.update import step
from rlrecipe.optim.base import OptimizerOptions
from rlrecipe.recipe.registry import find, left_out, search
from rlrecipe.recipe.slots import Slot
from tests import small

#: Each optimizer, its options, and torch's with the same.
CASES: list[tuple[str, dict[str, Any], Any]] = [
    ("adam", {}, torch.optim.Adam),
    ("adam", {"betas": [0.8, 0.99], "eps": 1e-5, "weight_decay": 0.1}, torch.optim.Adam),
    ("adamw", {}, torch.optim.AdamW),
    ("adamw", {"weight_decay": 0.3, "eps": 1e-5}, torch.optim.AdamW),
    ("sgd", {}, torch.optim.SGD),
    ("sgd", {"momentum": 0.9, "weight_decay": 0.1}, torch.optim.SGD),
    ("sgd", {"momentum": 0.9, "nesterov": True}, torch.optim.SGD),
    ("rmsprop", {}, torch.optim.RMSprop),
    ("rmsprop", {"alpha": 0.9, "eps": 1e-5, "weight_decay": 0.1}, torch.optim.RMSprop),
    ("rmsprop", {"centered": True, "momentum": 0.5, "alpha": 0.9}, torch.optim.RMSprop),
    ("adagrad", {}, torch.optim.Adagrad),
    ("adagrad", {"lr_decay": 0.1, "initial_accumulator_value": 0.5, "weight_decay": 0.1}, torch.optim.Adagrad),
    ("adadelta", {}, torch.optim.Adadelta),
    ("adadelta", {"rho": 0.5, "eps": 1e-3, "weight_decay": 0.1}, torch.optim.Adadelta),
    ("adamax", {}, torch.optim.Adamax),
    ("adamax", {"betas": [0.8, 0.99], "eps": 1e-5, "weight_decay": 0.1}, torch.optim.Adamax),
    ("nadam", {}, torch.optim.NAdam),
    ("nadam", {"betas": [0.8, 0.99], "momentum_decay": 0.1, "weight_decay": 0.1}, torch.optim.NAdam),
    ("nadam", {"weight_decay": 0.3, "decoupled_weight_decay": True}, torch.optim.NAdam),
    ("radam", {}, torch.optim.RAdam),
    ("radam", {"betas": [0.8, 0.9], "eps": 1e-5, "weight_decay": 0.1}, torch.optim.RAdam),
    ("radam", {"weight_decay": 0.3, "decoupled_weight_decay": True}, torch.optim.RAdam),
    ("rprop", {}, torch.optim.Rprop),
    ("rprop", {"etas": [0.3, 1.5], "step_sizes": [1e-4, 1e-2]}, torch.optim.Rprop),
    ("asgd", {}, torch.optim.ASGD),
    ("asgd", {"lambd": 0.1, "alpha": 0.5, "t0": 20.0, "weight_decay": 0.1}, torch.optim.ASGD),
]
#: Arguments of torch's classes that say how to compute, not what, and those that have a meaning only without a recipe.
HOW = {"params", "foreach", "fused", "capturable", "differentiable", "maximize"}
#: Of torch's options: a variant that its fused kernel takes further state for, what AdamW is, and a first step apart.
NOT_OFFERED = {"adam": {"amsgrad", "decoupled_weight_decay"}, "adamw": {"amsgrad"}, "sgd": {"dampening"}}
LR, STEPS = 3e-3, 50


def tensors() -> dict[str, dict[str, torch.Tensor]]:
    generator = torch.Generator().manual_seed(0)
    return {
        "policy": {"weight": torch.randn(3, 4, generator=generator), "bias": torch.randn(3, generator=generator)},
        "value": {"weight": torch.randn(4, generator=generator)},
    }


def gradients(number: int) -> list[torch.Tensor]:
    """A different gradient each step, some elements of it zero for a while."""
    generator = torch.Generator().manual_seed(1 + number)
    drawn = [torch.randn(t.shape, generator=generator) for named in tensors().values() for t in named.values()]
    drawn[0][0] *= number >= 10
    return drawn


def optimizer(name: str, options: dict[str, Any]) -> Any:
    chosen: OptimizerOptions = Slot("optimizer").read({"name": name, "lr": LR, **options})  # type: ignore[assignment]
    return chosen.component.build(chosen)


def updated(name: str, options: dict[str, Any], groups: dict[str, float], factor: float) -> Parameters:
    parameters = Parameters(tensors())
    moved = Objectives([Objective(lambda *_: (torch.zeros(()), {}))], parameters, optimizer(name, options), groups)
    for i in range(STEPS):
        moved.scale_lr(1.0 if i < STEPS // 2 else factor)
        step(moved.parts[0], torch.cat([g.reshape(-1) for g in gradients(i)]), None)
    return parameters


def updated_by_torch(kind: Any, options: dict[str, Any], groups: dict[str, float], factor: float) -> Parameters:
    parameters = Parameters(tensors())
    leaves = parameters.by_slot([view.clone().requires_grad_() for view in parameters.views(parameters.flat)])
    rates = {slot: groups.get(slot, LR) for slot in leaves}
    # Torch's Rprop moves what has a rate of zero by its smallest step.
    slots = [{"params": list(named.values()), "lr": rates[slot]} for slot, named in leaves.items() if rates[slot]]
    given = {name: tuple(value) if isinstance(value, list) else value for name, value in options.items()}
    torchs = kind(slots, lr=LR, **given)
    flat = [leaf for named in leaves.values() for leaf in named.values()]
    for i in range(STEPS):
        for leaf, gradient in zip(flat, gradients(i), strict=True):
            leaf.grad = gradient
        if i == STEPS // 2:
            for group in torchs.param_groups:
                group["lr"] *= factor
        torchs.step()
    return Parameters({slot: {k: v.detach() for k, v in named.items()} for slot, named in leaves.items()})


@pytest.mark.parametrize("groups", [{}, {"value": 1e-2}, {"policy": 0.0, "value": 1e-4}], ids=str)
@pytest.mark.parametrize(("name", "options", "kind"), CASES, ids=lambda value: str(value))
def test_fifty_steps_equal_torchs(name: str, options: dict[str, Any], kind: Any, groups: dict[str, float]) -> None:
    ours, theirs = updated(name, options, groups, 0.5), updated_by_torch(kind, options, groups, 0.5)
    torch.testing.assert_close(ours.flat, theirs.flat, rtol=1e-6, atol=1e-6)
    start = Parameters(tensors())
    moved = ours.flat != start.flat
    frozen = groups.get("policy") == 0.0
    assert moved[slice(*start.range("value"))].all()
    assert moved[slice(*start.range("policy"))].any() != frozen


def test_every_optimizer_is_compared() -> None:
    assert {component.name for component in search("optimizer")} == {name for name, _, _ in CASES}


@pytest.mark.parametrize(("name", "kind"), sorted({(name, kind) for name, _, kind in CASES}, key=str))
def test_options_are_torchs(name: str, kind: Any) -> None:
    """Names and defaults; the learning rate's is the recipe's own for those that were here from the beginning."""
    theirs = {key: each.default for key, each in inspect.signature(kind).parameters.items() if key not in HOW}
    fields = find("optimizer", name).options.model_fields
    ours = {key: field.default for key, field in fields.items() if key not in ("schedule", "groups")}
    lr = ours.pop("lr"), theirs.pop("lr")
    ours = {key: tuple(value) if isinstance(value, list) else value for key, value in ours.items()}
    assert {key: theirs.get(key) for key in ours} == ours
    assert theirs.keys() - ours.keys() == NOT_OFFERED.get(name, set())
    assert lr[0] == (3e-4 if name in ("adam", "adamw", "sgd", "rmsprop") else lr[1])


def test_every_optimizer_of_torchs_is_offered_or_left_out_with_a_reason() -> None:
    classes = {each for each in vars(torch.optim).values() if isinstance(each, type)}
    names = {each.__name__.lower() for each in classes if issubclass(each, torch.optim.Optimizer)} - {"optimizer"}
    offered = {component.name for component in search("optimizer")}
    assert len(names) >= 15
    assert names - offered == left_out("optimizer")


@pytest.mark.parametrize("name", ["muon", "Adafactor", "LBFGS", "sparse_adam", "SparseAdam"])
def test_one_that_is_left_out_is_refused_with_its_reason(name: str) -> None:
    recipe = {**small.CARTPOLE, "optimizer": {"name": name, "lr": 1e-3}}
    ((code, path, message, _),) = small.problems(recipe)
    assert (code, path) == ("E201", "optimizer.name")
    assert re.fullmatch(f"no optimizer is named '{name}': it .*adam.*", message)


def test_nesterov_without_momentum_is_refused() -> None:
    recipe = {**small.CARTPOLE, "optimizer": {"name": "sgd", "nesterov": True}}
    ((code, path, message, cure),) = small.problems(recipe)
    assert (code, path, cure) == ("E302", "optimizer.nesterov", "add momentum: 0.9, or remove nesterov")
    assert message == "nesterov looks ahead along the momentum, which is 0"


def test_rprop_refuses_a_schedule() -> None:
    recipe = {**small.CARTPOLE, "optimizer": {"name": "rprop", "schedule": "linear"}}
    ((code, path, message, cure),) = small.problems(recipe)
    assert (code, path) == ("E302", "optimizer.schedule")
    assert "first step only" in message
    assert cure == "remove it, or take another optimizer"


@pytest.mark.parametrize("name", sorted({name for name, _, _ in CASES}))
def test_a_saved_state_goes_on_with_the_same_bits(name: str) -> None:
    whole = updated(name, {}, {"value": 1e-2}, 0.5)
    parameters = Parameters(tensors())
    objective = Objective(lambda *_: (torch.zeros(()), {}))
    saved: dict[str, Any] = {}
    for stretch in (range(20), range(20, STEPS)):
        moved = Objectives([objective], parameters, optimizer(name, {}), {"value": 1e-2})
        if saved:
            moved.load_state_dict(saved)
        for i in stretch:
            moved.scale_lr(1.0 if i < STEPS // 2 else 0.5)
            step(moved.parts[0], torch.cat([g.reshape(-1) for g in gradients(i)]), None)
        saved = copy.deepcopy(moved.state_dict())
    assert torch.equal(parameters.flat, whole.flat)


@pytest.mark.parametrize("name", sorted({name for name, _, _ in CASES}))
def test_a_rate_for_each_element_is_the_same_step(name: str) -> None:
    """Compiled updates always have one: what they trace is this."""
    made = optimizer(name, {})
    one, each = (torch.linspace(-1, 1, 5) for _ in range(2))
    states = made.init(one), made.init(each)
    for i in range(10):
        gradient = torch.randn(5, generator=torch.Generator().manual_seed(i))
        made.step(one, gradient, states[0], torch.tensor(0.1))
        made.step(each, gradient, states[1], torch.full((5,), 0.1))
    torch.testing.assert_close(one, each)


@pytest.mark.parametrize(("name", "options"), [(name, options) for name, options, _ in CASES], ids=str)
def test_what_is_traced_for_compiling_is_the_step(name: str, options: dict[str, Any]) -> None:
    made = optimizer(name, options)
    names = list(made.init(torch.zeros(5)))

    def step(flat: torch.Tensor, gradient: torch.Tensor, lr: torch.Tensor, *state: torch.Tensor) -> torch.Tensor:
        made.step(flat, gradient, dict(zip(names, state, strict=True)), lr)
        return flat

    def drawn(seed: int) -> torch.Tensor:
        return torch.randn(5, generator=torch.Generator().manual_seed(seed))

    flat, lr = drawn(0), torch.full((5,), 0.01)
    traced = make_fx(step)(flat.clone(), drawn(1), lr, *made.init(flat).values())
    expected, state, its = flat.clone(), made.init(flat), made.init(flat)
    # Once traced with one step's numbers, it has to be right for those of others.
    for seed in range(1, 8):
        made.step(expected, drawn(seed), state, lr)
        traced(flat, drawn(seed), lr, *its.values())
        torch.testing.assert_close(flat, expected)


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
