"""What stands between an observation and the networks: chosen entries, an encoder, a memory.

A row that a memory reads is ``[observation, what it remembers, whether an episode starts]``, so that a row says all
that its features depend on, and nothing else in the loop has to know of memories.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rlrecipe.interfaces import Encoder, Memory, Network
from rlrecipe.lazy import np, torch
from rlrecipe.stepping.packing import Packing

Named = Mapping[str, "torch.Tensor"]
Packs = Callable[[int], Packing | None]
ENCODER, MEMORY = "encoder", "memory"


class Front:
    """Features of rows; several networks may share one, and its parameters.

    Args:
        columns: of an observation's row.
        encoder: of the whole row; None takes ``chosen`` as they are.
        memory: what follows the encoder.
        chosen: columns of the row that are read where there is no encoder.
        packs: from the numbers behind an observation in a row to how rows that come as bytes are read, if any do.
    """

    def __init__(
        self,
        columns: int,
        encoder: Encoder | None = None,
        memory: Memory | None = None,
        chosen: Sequence[int] | None = None,
        packs: Packs | None = None,
    ) -> None:
        self.columns, self.encoder, self.memory = columns, encoder, memory
        self.chosen = list(range(columns)) if chosen is None else list(chosen)
        encoded = encoder.features if encoder is not None else len(self.chosen)
        self.features = memory.features if memory is not None else encoded
        self.carry = memory.carry if memory is not None else 0
        #: Of a row as networks get it: the observation, and what belongs to a memory.
        self.width = columns + (self.carry + 1 if memory is not None else 0)
        self.packing = None if packs is None else packs(self.width - columns)

    def __call__(self, params: Named, x: torch.Tensor) -> torch.Tensor:
        """Features ``[B, features]`` of rows ``[B, width]``, or of all ``L * M`` rows of sequences ``[L, M, width]``.

        In a sequence only the first row's memory is read: the others' follow from it, and gradients go through them.
        """
        encoded = self._encoded(params, x.reshape(-1, x.shape[-1]))
        if self.memory is None:
            return encoded
        own = inner(params, MEMORY)
        read = self.memory.read(own, encoded)
        if x.dim() == 2:
            return self.memory.step(own, read, x[:, self.columns : -1])[0]
        carry, rows = x[0, :, self.columns : -1], list[torch.Tensor]()
        for t, step in enumerate(read.reshape(*x.shape[:2], -1).unbind()):
            # Where an episode starts, nothing is remembered.
            features, carry = self.memory.step(own, step, carry * (1 - x[t, :, -1:]))
            rows.append(features)
        return torch.cat(rows)

    def _encoded(self, params: Named, rows: torch.Tensor) -> torch.Tensor:
        seen = rows[:, : self.columns]
        if self.encoder is not None:
            return self.encoder(inner(params, ENCODER), seen)
        return seen if len(self.chosen) == self.columns else seen[:, self.chosen]

    def remember(self, params: Named, x: torch.Tensor) -> torch.Tensor:
        """What is remembered after rows ``[B, width]``: ``[B, carry]``."""
        assert self.memory is not None, "there is a memory"
        own = inner(params, MEMORY)
        read = self.memory.read(own, self._encoded(params, x))
        return self.memory.step(own, read, x[:, self.columns : -1])[1]


class Fed:
    """A network behind a front; what follows the observation in its input, such as an action, passes by.

    Args:
        network: reads the front's features, then what passes by.
        front: what feeds it.
        own: whether the front's parameters are this network's own, and not shared.
    """

    def __init__(self, network: Network, front: Front, *, own: bool = False) -> None:
        self.network, self.front, self.own = network, front, own

    def init(self, generator: torch.Generator) -> dict[str, torch.Tensor]:
        """First parameters, the front's among them if they are its own."""
        tensors = self.network.init(generator)
        if self.own and self.front.encoder is not None:
            tensors |= outer(self.front.encoder.init(generator), ENCODER)
        return tensors

    def __call__(self, params: Named, x: torch.Tensor) -> torch.Tensor:
        """Outputs of rows ``[B, width + what passes by]``, or of all rows of sequences ``[L, M, width]``."""
        return self.network(params, self.features(params, x))

    def first(self, params: Named, x: torch.Tensor) -> torch.Tensor:
        """Outputs of the first of several copies alone."""
        copies: Any = self.network
        first: torch.Tensor = copies.first(params, self.features(params, x))
        return first

    def features(self, params: Named, x: torch.Tensor) -> torch.Tensor:
        """What the network behind the front reads of such rows."""
        width = self.front.width
        if self.front.packing is not None:
            x = self.front.packing.unpacked(x)
        if x.shape[-1] == width:
            return self.front(params, x)
        return torch.cat([self.front(params, x[:, :width]), x[:, width:]], -1)

    def numpy(self, params: Mapping[str, np.ndarray]) -> Callable[[np.ndarray], np.ndarray] | None:
        """The network in numpy over the columns that it reads; None where there is more than that."""
        forward = None if self.front.encoder or self.front.memory else self.network.numpy(params)
        if forward is None:
            return None
        chosen = self.front.chosen
        return lambda x: forward(x[:, chosen])


def shared(first: Network, second: Network) -> tuple[Callable[[Named, torch.Tensor], torch.Tensor], list[Network]]:
    """What two networks share, for rows that both read, and the networks behind it: so it is computed once.

    Networks that share nothing read the rows themselves.
    """
    if isinstance(first, Fed) and isinstance(second, Fed) and first.front is second.front:
        return first.features, [first.network, second.network]
    return _unchanged, [first, second]


def _unchanged(params: Named, x: torch.Tensor) -> torch.Tensor:
    return x


def inner(params: Named, name: str) -> dict[str, torch.Tensor]:
    """Parameters below ``name``, without it."""
    return {key[len(name) + 1 :]: tensor for key, tensor in params.items() if key.startswith(f"{name}.")}


def outer(params: Named, name: str) -> dict[str, torch.Tensor]:
    """Parameters under ``name``."""
    return {f"{name}.{key}": tensor for key, tensor in params.items()}
