"""What all of them speak of: keys, batches, parameters, states, spaces and what a slot asks of its network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, Protocol, TypeAlias, runtime_checkable

from rlrecipe.lazy import torch

Key: TypeAlias = "str | tuple[str, ...]"
#: Named arrays of one collection or sub-batch under torchrl's keys: "observation", "action",
#: ("next", "reward"), ("next", "terminated"), ...
Batch: TypeAlias = "dict[Key, torch.Tensor]"
#: Where a sub-batch is of sequences of L steps, the steps of all first: which step a row is, one-hot ``[B, L]``.
SEQUENCE_STEP = "sequence_step"
#: Parameters by slot and name: ``params["policy"]["0.weight"]``.
Params: TypeAlias = "Mapping[str, Mapping[str, torch.Tensor]]"
#: Parameters of one slot, or of a part of a network.
Named: TypeAlias = "Mapping[str, torch.Tensor]"
#: Named numbers as 0-dimensional tensors: what a loss reports, and what it is given besides a batch.
Scalars: TypeAlias = "dict[str, torch.Tensor]"
State: TypeAlias = dict[str, Any]


@runtime_checkable
class Stateful(Protocol):
    """Something whose state a checkpoint holds: plain numbers, text, lists, mappings, arrays, tensors."""

    def state_dict(self) -> State: ...
    def load_state_dict(self, state: State) -> None: ...


class Number(Protocol):
    """A number of the recipe that may follow a schedule: its value for the batch at hand."""

    value: float


@dataclass(frozen=True)
class Spaces:
    """What an environment observes and takes: gymnasium's spaces, an observation of several parts as a row."""

    observation: Any
    action: Any


@dataclass(frozen=True)
class Head:
    """What an algorithm asks of a slot's network.

    Attributes:
        features: outputs.
        gain: scale of the last layer's first weights.
        action: whether the action follows the observation in its input.
        copies: independent networks side by side, their parameters stacked along a first dimension.
    """

    features: int
    gain: float = 1.0
    action: bool = False
    copies: int | None = None


@dataclass(frozen=True)
class Entry:
    """Where one entry of an observation lies in a row of numbers, from which column on, and what it was.

    ``choices`` is how many values a discrete one has, which a row holds one-hot; ``pixels`` an image of bytes.
    """

    start: int
    shape: tuple[int, ...]
    dtype: str = "float32"
    choices: int | None = None
    pixels: bool = False

    @property
    def stop(self) -> int:
        """One past its last column."""
        return self.start + prod(self.shape)
