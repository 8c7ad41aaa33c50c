"""Who learns: networks, distributions, optimizers, algorithms."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from rlrecipe.interfaces.base import Batch, Key, Named, Params, Scalars, Stateful
from rlrecipe.lazy import np, torch


class Encoder(Protocol):
    """A pure function of named parameters and rows of an observation ``[B, columns]`` to features ``[B, features]``."""

    features: int

    def init(self, generator: torch.Generator) -> dict[str, torch.Tensor]: ...
    def __call__(self, params: Mapping[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor: ...


class Memory(Protocol):
    """A recurrent cell over features; what it remembers is one row of ``carry`` numbers, zeros at first."""

    features: int
    carry: int

    def init(self, generator: torch.Generator) -> dict[str, torch.Tensor]: ...
    def read(self, params: Mapping[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
        """What of a step depends on its inputs ``[..., in]`` alone."""

    def step(self, params: Named, read: torch.Tensor, carry: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Features ``[B, features]`` and what is remembered next ``[B, carry]``."""


class Network(Protocol):
    """A pure function of named parameters and an input ``[B, in]`` to outputs ``[B, out]``."""

    def init(self, generator: torch.Generator) -> dict[str, torch.Tensor]: ...
    def __call__(self, params: Mapping[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor: ...

    def numpy(self, params: Mapping[str, np.ndarray]) -> Callable[[np.ndarray], np.ndarray] | None:
        """The same function in numpy over the same memory, or None where torch has to do it."""


class Distribution(Protocol):
    """How a policy network's outputs become actions. Random numbers come in as ``noise``."""

    @property
    def features(self) -> int:
        """Outputs that it asks of the network."""

    def init(self) -> dict[str, torch.Tensor]:
        """Parameters of its own, such as a deviation that no network computes."""

    def noise(self, rng: np.random.Generator, rows: int) -> np.ndarray:
        """Random numbers for ``rows`` actions."""

    def sample(self, params: Mapping[str, Any], outputs: Any, noise: Any) -> Any:
        """Actions from outputs; numpy arrays or tensors, as given."""

    def mode(self, outputs: Any) -> Any:
        """The most probable actions."""

    def log_prob(self, params: Named, outputs: torch.Tensor, action: torch.Tensor) -> torch.Tensor: ...

    def entropy(self, params: Mapping[str, torch.Tensor], outputs: torch.Tensor) -> torch.Tensor: ...

    def to_env(self, action: np.ndarray) -> np.ndarray:
        """The actions as the environment takes them: clipped, scaled or shifted."""

    def random(self, rng: np.random.Generator, rows: int) -> np.ndarray:
        """Actions drawn evenly from the whole space, as they are stored."""


class Exploration(Stateful, Protocol):
    """Changes the policy's actions, as they are stored, so that others are tried."""

    def __call__(self, action: np.ndarray, rng: np.random.Generator) -> np.ndarray: ...
    def reset(self, done: np.ndarray) -> None:
        """Environments ``[N]`` whose episode has ended."""


class Optimizer(Protocol):
    """A step on one flat vector. ``lr`` is 0-dimensional, or one rate for each element."""

    lr: float

    def init(self, flat: torch.Tensor) -> dict[str, torch.Tensor]:
        """The state before the first step."""

    def step(
        self, flat: torch.Tensor, gradient: torch.Tensor, state: dict[str, torch.Tensor], lr: torch.Tensor
    ) -> None:
        """Move ``flat`` and ``state`` in place; reads and writes nothing else."""


@dataclass(frozen=True)
class Objective:
    """A loss and the slots that it moves.

    An update takes an algorithm's objectives one after the other; each sees what the one before moved.

    Attributes:
        loss: ``loss(params, batch, inputs) -> (loss, metrics)``, pure. Parameters of other slots carry no
            gradient; copies that follow a slot slowly are there as ``params["target_<slot>"]``.
            A metric with more than no dimension goes into the sub-batch under its name (``td_error``).
        slots: what it moves; empty means everything.
        every: it is taken in every so many updates.
    """

    loss: Callable[[Params, Batch, Scalars], tuple[torch.Tensor, Scalars]]
    slots: tuple[str, ...] = ()
    every: int = 1


@dataclass(frozen=True)
class Target:
    """How target networks follow: the share of the way that they go, and when.

    Attributes:
        tau: share of the way to the networks that they follow.
        every: a duration, before the first update after it is crossed; None means after every update.
    """

    tau: float
    every: Any = None


class Algorithm(Protocol):
    """An algorithm as data and pure functions; gradients, clipping and steps are shared machinery."""

    @property
    def coefficients(self) -> Mapping[str, Any]:
        """Schedulable numbers by name: they reach ``loss`` as ``inputs``."""

    @property
    def objectives(self) -> Sequence[Objective]:
        """What an update does, in order."""

    @property
    def targets(self) -> tuple[str, ...]:
        """Slots that have a target network."""

    @property
    def target(self) -> Target | None:
        """How target networks follow."""

    def init(self) -> dict[str, dict[str, torch.Tensor]]:
        """Parameters of its own by slot and name, besides those of networks and distribution."""

    def stop(self, metrics: Scalars) -> bool | torch.Tensor:
        """Whether the rest of this batch's updates, this one included, is left out; no number is read back."""


@runtime_checkable
class Prepares(Protocol):
    """What an algorithm has besides whose losses share something: values and advantages, or a model's rollout."""

    def prepare(self, params: Params, batch: Batch) -> None:
        """Add to a batch what its losses share: on-policy to a collected one, off-policy to each sub-batch drawn."""


@runtime_checkable
class OnPolicy(Algorithm, Prepares, Protocol):
    """Learns from the newest batch only."""

    @property
    def reads(self) -> frozenset[Key]:
        """Keys of a batch that ``loss`` reads."""

    def updates_per_batch(self, frames: int) -> int:
        """Updates after a batch of ``frames`` frames."""

    def sub_batches(self, frames: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
        """Row indexes of the sub-batch of each update."""


class OffPolicy(Algorithm, Protocol):
    """Learns from a replay buffer; one that ``Prepares`` is shown each sub-batch before its losses are."""

    @property
    def n_steps(self) -> int:
        """Steps of an n-step return."""

    @property
    def gamma(self) -> float:
        """Discount of each step."""

    def noise(self, rng: np.random.Generator, rows: int) -> dict[Key, np.ndarray]:
        """Random numbers of ``rows`` rows of sub-batches, ``[rows, ...]`` each, by their key in a batch."""
