"""What a package computes in another way than torch's own kernels do: faster, within a few units in the last place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

#: tanh(x) = x P(x^2) / Q(x^2) between -BOUND and BOUND, where float32 reaches 1: coefficients from the highest power
#: down. The rational approximation is the one that Eigen and XLA use (Eigen, MathFunctionsImpl.h): off by 5e-7 of a
#: value at most.
BOUND = 7.90531110763549805
P = [-2.76076847742355e-16, 2.00018790482477e-13, -8.60467152213735e-11, 5.12229709037114e-08]
P += [1.48572235717979e-05, 6.37261928875436e-04, 4.89352455891786e-03]
Q = [1.19825839466702e-06, 1.18534705686654e-04, 2.26843463243900e-03, 4.89352518554385e-03]


def tanh(x: torch.Tensor) -> Any:
    """Hyperbolic tangent: a third of the time of torch's kernel, and one loop with what stands beside it.

    A NaN stays one.
    """
    if x.dtype != torch.float32:
        return NotImplemented
    bounded = torch.clamp(x, -BOUND, BOUND)
    square = bounded * bounded
    return bounded * _horner(P, square) / _horner(Q, square)


def tanh_(x: torch.Tensor) -> Any:
    """The same in place."""
    result = tanh(x)
    return result if result is NotImplemented else x.copy_(result)


def _horner(coefficients: list[float], x: torch.Tensor) -> torch.Tensor:
    first, second, *rest = coefficients
    value = x * first + second
    for coefficient in rest:
        value = value * x + coefficient
    return value


def power(base: float, exponent: torch.Tensor) -> Any:
    """``base ** exponent`` of one number, computed once.

    A compiler puts what is one number into the loops that use it: Adam's bias correction was computed for every 16
    parameters. A maximum is computed before them; its 16 equal values keep it from being unrolled into the loops.
    """
    if exponent.dim() or not exponent.is_floating_point():
        return NotImplemented
    same = exponent.expand(16)
    return torch.pow(torch.full_like(same, base), same).amax()


def biased(bias: torch.Tensor, x: torch.Tensor, y: torch.Tensor, *, beta: float = 1, alpha: float = 1) -> Any:
    """``x y + bias`` of matrices or stacks of them, the bias in the loop that follows, where it costs nothing.

    A product that adds the bias copies it to every row first. Written as a difference: the compiler would join a sum
    with the product again.
    """
    return torch.matmul(x, y) - -bias if beta == alpha == 1 else NotImplemented


#: By operation.
REPLACED: dict[Any, Callable[..., Any]] = {
    torch.ops.aten.tanh.default: tanh,
    torch.ops.aten.tanh_.default: tanh_,
    torch.ops.aten.pow.Scalar: power,
    torch.ops.aten.addmm.default: biased,
    torch.ops.aten.baddbmm.default: biased,
}
