"""The nouns of rlrecipe as small interfaces; no implementation, and nothing to import but this.

A component knows these interfaces and its own options. It knows neither the recipe nor the trainer,
which is why any of them can be tried alone, or replaced by one file.

Shapes: T steps of N environments are kept time-major, ``[T, N, ...]``; a sub-batch is ``[B, ...]``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, Protocol, TypeAlias, runtime_checkable

from rlrecipe.lazy import np, torch

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


class ReplayBuffer(Stateful, Protocol):
    """Transitions of the past; the oldest make room for new ones."""

    batch_size: int
    #: Whether its state holds the rows.
    include_content: bool

    @property
    def ready(self) -> bool:
        """False while a buffer whose rows were not saved fills up again."""

    def __len__(self) -> int: ...
    def extend(self, batch: Batch) -> None:
        """Take the rows of a batch ``[T, N, ...]``."""

    def cut(self) -> None:
        """The newest step's episodes are given up: no return goes on beyond it."""

    def sample(self, count: int) -> Iterator[Batch]:
        """Sub-batches ``[B, ...]``, drawn at random."""

    def update_priority(self, sub_batch: Batch) -> None:
        """Let the rows of a sub-batch with a ``td_error`` be drawn accordingly."""


class Sampler(Stateful, Protocol):
    """Where the sub-batches of updates come from."""

    #: Whether a memory learns from them, so that they come as sequences.
    remembers: bool

    def extend(self, params: Params, batch: Batch) -> None:
        """Take a collected batch in."""

    def begin(self, batch: Batch) -> int:
        """Make the sub-batches after a batch ready; how many there are."""

    def take(self) -> Batch:
        """The next sub-batch ``[B, ...]``."""

    def after(self, sub_batch: Batch) -> None:
        """Learn what the loss has written into a sub-batch."""

    def cut(self) -> None:
        """The next batch does not go on where the last one ended: its episodes are new."""


class Transform(Stateful, Protocol):
    """Changes observations or rewards between the environments and everything else.

    What its ``state_dict`` holds under "statistics" travels with the policy.
    """

    def reset(self, observation: np.ndarray) -> np.ndarray: ...

    def step(
        self, observation: np.ndarray, final: np.ndarray, reward: np.ndarray, done: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What to show of a step: observation ``[N, ...]``, the true next one, and the reward ``[N]``."""

    def apply(self, observation: np.ndarray) -> np.ndarray:
        """Observations as the policy sees them, with the statistics as they stand."""

    def apply_reward(self, reward: np.ndarray) -> np.ndarray:
        """Rewards as the loss sees them, with the statistics as they stand."""

    # One that keeps something of each environment has ``part(rows)``: itself for some of them, statistics shared.


class Vectored(Protocol):
    """Environments stepped as one, a row of each array for each of them, or for each agent in them.

    Attributes:
        num_envs: rows, N.
        starts: how often they were started; each start has seeds of its own.
        over: where the last step ended an episode ``[N]``.
    """

    num_envs: int
    starts: int
    over: np.ndarray
    single_observation_space: Any
    observation_dtype: np.dtype[Any]

    def start(self) -> np.ndarray:
        """First observations ``[N, ...]`` of new episodes."""

    def advance(self, action: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """One step of each with actions ``[N, ...]``; where an episode ends, the next one starts in it.

        Returns:
            Observations to act on ``[N, ...]``, rewards, terminated, truncated ``[N]``, and the true next
            observations ``[N, ...]``: where an episode ended, its last one.
        """

    def state_dict(self) -> State: ...
    def load_state_dict(self, state: State) -> bool:
        """Put every environment back; False if they have to start anew."""

    def close(self) -> None: ...


class Collector(Stateful, Protocol):
    """Yields batches of frames, forever; what it yields is overwritten by the next.

    Where it steps environments, in this process, in others or on other machines, is its own affair: it is given what
    builds them and a policy whose weights are one vector.

    Attributes:
        frames_per_batch: frames that a batch adds to the run's; 0 where nothing is stepped, as for rows of a dataset.
    """

    frames_per_batch: int

    @property
    def episodes(self) -> Episodes: ...
    @property
    def anew(self) -> bool:
        """Whether the next batch starts new episodes."""

    def collect(self) -> Batch: ...
    def restart(self) -> None: ...
    def close(self) -> None: ...


class Episodes(Protocol):
    """Finished training episodes that nobody has taken yet."""

    def take(self) -> list[tuple[int, float, int]]:
        """Frames at the end, return and length of each, oldest first; they are taken only once."""


class Logger(Protocol):
    """Writes rows somewhere. Built with the rows of before, so that a resumed run has each row once."""

    def write(self, row: Mapping[str, Any]) -> None: ...
    def close(self) -> None: ...
