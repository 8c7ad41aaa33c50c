"""Networks side by side, computed as one or one after the other."""

from typing import Any

import torch

from rlrecipe.networks.copies import Copies
from rlrecipe.networks.mlp import MLPOptions, make_mlp


class Alone:
    """A network that cannot compute its copies as one."""

    def __init__(self, network: Any) -> None:
        self.init, self.call = network.init, network

    def __call__(self, params: Any, x: torch.Tensor) -> torch.Tensor:
        given: torch.Tensor = self.call(params, x)
        return given


def test_copies_are_the_same_however_they_are_computed() -> None:
    network: Any = make_mlp(MLPOptions(num_cells=[5], activation="relu"), 3, 2)
    alone: Any = Alone(network)
    params = Copies(network, 3).init(torch.Generator().manual_seed(0))
    x = torch.randn(4, 3, generator=torch.Generator().manual_seed(1))
    together, apart = Copies(network, 3)(params, x), Copies(alone, 3)(params, x)
    assert together.shape == (3, 4, 2)
    torch.testing.assert_close(together, apart)
    torch.testing.assert_close(Copies(network, 3).first(params, x), apart[0])
    assert not torch.equal(apart[0], apart[1])
