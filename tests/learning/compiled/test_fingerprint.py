from collections.abc import Callable

import pytest
import torch

from rlrecipe.learning.compiled.fingerprint import UntraceableError, fingerprint

X, Y = torch.arange(6.0).reshape(2, 3), torch.ones(2, 3)


def slope(x: torch.Tensor, scale: float = 2.0) -> torch.Tensor:
    leaf = x.detach().requires_grad_()
    return torch.autograd.grad((leaf.tanh() * scale).sum(), leaf)[0]


def test_the_same_function_has_the_same_operations_whatever_its_numbers_are() -> None:
    assert fingerprint(slope, [X]) == fingerprint(slope, [Y])


def test_gradients_are_part_of_it() -> None:
    operations, _ = fingerprint(slope, [X])
    assert any("tanh_backward" in line for line in operations)


@pytest.mark.parametrize(
    "other",
    [
        (lambda x: slope(x, 3.0), [X]),
        (lambda x: slope(x).neg(), [X]),
        (slope, [X.t()]),
        (slope, [X.double()]),
        (slope, [X[:1]]),
        (lambda x: (slope(x), slope(x))[::-1], [X]),
    ],
    ids=["a number", "an operation", "strides", "precision", "shape", "results"],
)
def test_what_differs_is_seen(other: tuple[object, list[torch.Tensor]]) -> None:
    function, inputs = other
    assert callable(function)
    assert fingerprint(function, inputs)[0] != fingerprint(slope, [X])[0]


def test_where_a_result_goes_is_seen() -> None:
    def one(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return (x + 1) - (y + 1)

    def other(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        a, b = x + 1, y + 1
        return b - a

    assert fingerprint(one, [X, Y])[0] != fingerprint(other, [X, Y])[0]


def test_nothing_is_written_and_unused_inputs_are_known() -> None:
    x = X.clone()

    def move(flat: torch.Tensor, unused: torch.Tensor, step: torch.Tensor) -> torch.Tensor:
        return flat.sub_(step).sum()

    _, used = fingerprint(move, [x, Y, Y])
    assert used == [0, 2]
    assert torch.equal(x, X)


def test_a_constant_is_refused() -> None:
    with pytest.raises(UntraceableError, match="neither given nor computed"):
        fingerprint(lambda x: x + Y, [X])


def test_a_number_that_is_read_back_is_refused() -> None:
    with pytest.raises(UntraceableError, match="reads a number back"):
        fingerprint(lambda x: x + 1 if x.sum() > 0 else x, [X])


@pytest.mark.parametrize("some", [lambda x: x[x > 0], lambda x: x.masked_select(x > 0), lambda x: x.nonzero()])
def test_results_whose_size_depends_on_numbers_are_refused(some: Callable[[torch.Tensor], torch.Tensor]) -> None:
    with pytest.raises(UntraceableError, match="depends on numbers, which may be others"):
        fingerprint(lambda x: some(x).sum() * 1.0, [X])


def test_rows_that_are_chosen_by_number_are_not() -> None:
    lines, used = fingerprint(lambda x, rows: x[rows], [X, torch.tensor([1, 0])])
    assert used == [0, 1]
    assert "index.Tensor" in lines[2]


def test_random_numbers_are_refused() -> None:
    with pytest.raises(UntraceableError, match="draws random numbers"):
        fingerprint(lambda x: x + torch.rand_like(x), [X])


@pytest.mark.parametrize("out", ["numpy", "tolist", "__array__", "item"])
def test_numbers_that_leave_torch_are_refused(out: str) -> None:
    def scaled(x: torch.Tensor) -> torch.Tensor:
        numbers = getattr(x.detach()[0, :1].squeeze(), out)()
        return x * float(numbers)

    with pytest.raises(UntraceableError, match="next time"):
        fingerprint(scaled, [X])


def test_a_comparison_that_ends_in_python_is_refused() -> None:
    def either(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return x if torch.equal(x, y) else y + 1

    with pytest.raises(UntraceableError, match="next time"):
        fingerprint(either, [X, Y])
