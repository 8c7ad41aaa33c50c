"""What an object may be able to do besides its interface, each as a protocol that one asks for by ``isinstance``.

A plug-in that has none of them is whole; what holds for it then stands with each.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from rlrecipe.interfaces import State, Transform
from rlrecipe.lazy import np


@runtime_checkable
class Stacks(Protocol):
    """A network that may compute all copies of itself as one; others are called for each copy."""

    stacks: bool


@runtime_checkable
class HasFront(Protocol):
    """A network behind a front; others read the whole observation."""

    front: Any


@runtime_checkable
class Observes(Protocol):
    """A transform that says whether it changes observations; others are taken to."""

    observes: bool


@runtime_checkable
class Parted(Protocol):
    """A transform that keeps something of each environment; others serve any of them as they are."""

    def part(self, rows: slice) -> Transform:
        """Itself for some environments, statistics shared."""


@runtime_checkable
class Measures(Protocol):
    """A module whose ``state_dict`` measures what is still unmeasured; others hold all that they will save."""

    def as_it_stands(self) -> State:
        """The state without measuring."""


@runtime_checkable
class Sequences(Protocol):
    """An algorithm that a memory learns from; others are given single rows."""

    def sequences(self, steps: int, envs: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
        """Row indexes ``[L, M]`` of the sub-batch of each update."""


@runtime_checkable
class Discounts(Protocol):
    """An algorithm, or a loss, that says how rewards are discounted."""

    gamma: Any


@runtime_checkable
class InFolder(Protocol):
    """A hook that writes files into a folder."""

    folder: Path


@runtime_checkable
class Collects(Protocol):
    """A collector that is asked for batches; others are iterated."""

    def collect(self) -> Any:
        """The next batch."""


@runtime_checkable
class HasEnvs(Protocol):
    """A collector that steps environments in this process."""

    envs: Any


@runtime_checkable
class HasPolicy(Protocol):
    """A collector that acts in this process."""

    policy: Any
