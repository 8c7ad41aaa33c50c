"""Independent networks of one shape side by side, such as twin critics."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rlrecipe.interfaces import Network
from rlrecipe.interfaces.abilities import Stacks
from rlrecipe.lazy import np, torch


class Copies:
    """Outputs ``[copies, B, out]``; parameters are those of one network, stacked along a first dimension.

    A network that declares ``stacks`` computes all copies as one; any other is called for each.
    """

    def __init__(self, network: Network, copies: int) -> None:
        self.network, self.copies = network, copies
        self._at_once = isinstance(network, Stacks) and network.stacks

    def init(self, generator: torch.Generator) -> dict[str, torch.Tensor]:
        """First parameters, different ones for each copy."""
        tensors = [self.network.init(generator) for _ in range(self.copies)]
        return {name: torch.stack([one[name] for one in tensors]) for name in tensors[0]}

    def __call__(self, params: Mapping[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
        """Outputs of every copy for the same inputs ``[B, in]``."""
        if self._at_once:
            return self.network(params, x)
        return torch.stack([self.network(one(params, i), x) for i in range(self.copies)])

    def first(self, params: Mapping[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
        """Outputs ``[B, out]`` of the first copy alone."""
        return self.network(one(params, 0), x)

    def numpy(self, params: Mapping[str, np.ndarray]) -> Callable[[np.ndarray], np.ndarray] | None:
        """None: nobody acts with several networks."""
        return None


def one(params: Mapping[str, torch.Tensor], i: int) -> dict[str, torch.Tensor]:
    """Parameters of copy ``i``."""
    return {name: tensor[i] for name, tensor in params.items()}
