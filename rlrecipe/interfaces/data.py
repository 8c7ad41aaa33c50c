"""Where batches come from and go: environments, transforms, collectors, replay buffers, samplers, loggers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from rlrecipe.interfaces.base import Batch, Params, State, Stateful
from rlrecipe.lazy import np


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
