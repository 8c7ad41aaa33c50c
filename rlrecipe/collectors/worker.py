"""A worker process: a sync collector over its share of the environments, recording into shared memory.

Started by ``rlrecipe.collectors.workers``, it does what it is told through a pipe until it is told to close,
or until the process that started it is gone.
"""

from __future__ import annotations

import mmap
import os
import select
import sys
import threading
import traceback
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from rlrecipe.collectors.sync import SyncCollector, SyncOptions
from rlrecipe.errors import EnvironmentWarning
from rlrecipe.interfaces import Exploration, State, Transform
from rlrecipe.interfaces.abilities import Observes
from rlrecipe.lazy import np, torch
from rlrecipe.system.signals import leave_to_parent

if TYPE_CHECKING:
    from rlrecipe.acting.policy import Policy

#: Shape and type of each array by name.
Layout = Mapping[str, tuple[tuple[int, ...], str]]
#: Arrays begin at multiples of this.
ALIGNED = 64


def shared_arrays(file: int, layout: Layout) -> dict[str, np.ndarray]:
    """Named arrays over the memory of an open file, the same for every process that maps it.

    The file has no name, so that however its processes end, nothing of it is left.
    """
    sizes = {name: int(np.prod(shape)) * np.dtype(dtype).itemsize for name, (shape, dtype) in layout.items()}
    starts, end = {}, 0
    for name, size in sizes.items():
        starts[name], end = end, end + -(-size // ALIGNED) * ALIGNED
    os.ftruncate(file, end)
    memory = mmap.mmap(file, end)
    return {name: np.ndarray(shape, dtype, memory, starts[name]) for name, (shape, dtype) in layout.items()}


@dataclass(frozen=True)
class Share:
    """What every worker is sent.

    Attributes:
        environments: builds those of a range.
        policy: what acts; its parameters are those of the shared memory later.
        transforms: what stands between.
        exploration: of all environments, or None.
        rng: the action stream: each worker draws for all environments and takes its rows.
        raw: record observations and rewards as they are.
        steps: of a batch.
        random_frames: frames of the run with random actions.
        together: whether all workers' steps make one batch.
        starts: how often the environments were started before.
        flushing: whether numbers below 1.2e-38 are zero, where torch is loaded.
    """

    environments: Any
    policy: Policy
    transforms: Sequence[Transform]
    exploration: Exploration | None
    rng: np.random.Generator
    raw: bool
    steps: int
    random_frames: int
    together: bool
    starts: int
    flushing: bool


class Rows:
    """A policy that draws random numbers for all environments and takes those of its rows."""

    def __init__(self, policy: Policy, rows: slice, total: int) -> None:
        self.policy, self.rows, self.total = policy, rows, total

    def __getattr__(self, name: str) -> Any:
        return getattr(self.policy, name)

    def noise(self, rng: np.random.Generator, rows: int) -> np.ndarray:
        """Random numbers for this worker's actions."""
        return self.policy.noise(rng, self.total)[self.rows]

    def random(self, rng: np.random.Generator, rows: int) -> np.ndarray:
        """This worker's random actions."""
        return self.policy.random(rng, self.total)[self.rows]


class RowsOfExploration:
    """An exploration of all environments, of which a worker knows its rows only."""

    def __init__(self, exploration: Exploration, rows: slice, total: int) -> None:
        self.exploration, self.rows, self.total = exploration, rows, total
        self.state_dict, self.load_state_dict = exploration.state_dict, exploration.load_state_dict

    def __call__(self, action: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Actions of this worker's rows, changed."""
        return self.exploration(self._whole(action), rng)[self.rows]

    def reset(self, done: np.ndarray) -> None:
        """Rows whose episode has ended."""
        self.exploration.reset(self._whole(done))

    def _whole(self, own: np.ndarray) -> np.ndarray:
        whole = np.zeros((self.total, *own.shape[1:]), own.dtype)
        whole[self.rows] = own
        return whole


class Frozen:
    """All transforms with the statistics of a batch's start; what they were shown is kept for whoever updates them."""

    def __init__(self, transforms: Sequence[Transform]) -> None:
        self.transforms, self.t = transforms, 0
        #: Whether any of them changes observations.
        self.observes = any(not isinstance(transform, Observes) or transform.observes for transform in transforms)
        self.arrays: Mapping[str, np.ndarray] = {}

    def reset(self, observation: np.ndarray) -> np.ndarray:
        """First observations ``[n, ...]``."""
        self.arrays["first"][0] = observation
        return self.apply(observation)

    def step(
        self, observation: np.ndarray, final: np.ndarray, reward: np.ndarray, done: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Keep a step as it was, and show it."""
        for name, value in (("following", observation), ("final", final), ("gained", reward)):
            self.arrays[name][self.t] = value
        self.t += 1
        shown = self.apply(observation)
        return shown, self.apply(final) if done.any() else shown, self.apply_reward(reward)

    def apply(self, observation: np.ndarray) -> np.ndarray:
        """Observations as the policy sees them."""
        for transform in self.transforms:
            observation = transform.apply(observation)
        return observation

    def apply_reward(self, reward: np.ndarray) -> np.ndarray:
        """Rewards as they are shown until the statistics are updated."""
        for transform in self.transforms:
            reward = transform.apply_reward(reward)
        return reward

    def state_dict(self) -> State:
        """Empty: statistics belong to the process that updates them."""
        return {}

    def load_state_dict(self, state: State) -> None:
        """Nothing to put back."""

    def layout(self, steps: int, envs: Any) -> Layout:
        """Arrays for what is kept of a batch."""
        space, n = envs.single_observation_space, envs.num_envs
        observation = (n, *space.shape), space.dtype.str
        rows = {name: ((count, *observation[0]), observation[1]) for name, count in
                (("first", 1), ("following", steps), ("final", steps))}  # fmt: skip
        return {**rows, "gained": ((steps, n), "<f8")}


class Worker:
    """What a worker can be told to do; its methods are the commands."""

    def __init__(self, share: Share, rows: range, total: int) -> None:
        self.share, self.rows, self.total, self.frames = share, slice(rows.start, rows.stop), total, 0
        self.frozen = Frozen(share.transforms)
        envs = share.environments(rows)
        envs.starts = share.starts
        options = SyncOptions(frames_per_batch=share.steps * envs.num_envs, init_random_frames=share.random_frames)
        exploration = share.exploration and RowsOfExploration(share.exploration, self.rows, total)
        transforms = [self.frozen] if share.transforms else []
        self.collector = SyncCollector(
            envs, share.policy, transforms, options, share.rng, lambda: self.frames, exploration, share.raw
        )
        self.collector.stride = total if share.together else envs.num_envs

    def layout(self) -> Layout:
        """Arrays of this worker's share of a batch, ``[T, n, ...]``."""
        kept = self.frozen.layout(self.share.steps, self.collector.envs) if self.share.transforms else {}
        return {name: (array.shape, array.dtype.str) for name, array in self.collector.arrays.items()} | dict(kept)

    def record_into(self, own: dict[str, np.ndarray], weights: np.ndarray) -> None:
        """Let batches go to arrays ``[T, n, ...]`` of this worker's layout, and weights come from a vector.

        Whether another process sees their memory, or they are sent to another machine, is nothing to the worker.
        """
        self.collector.record_into({name: own[name] for name in self.collector.arrays})
        self.frozen.arrays = own
        acting: Any = Rows(self.share.policy.over(weights), self.rows, self.total)
        self.collector.policy = acting

    def collect(
        self, frames: int, numbers: Mapping[str, float], statistics: Sequence[State]
    ) -> list[tuple[int, float, int]]:
        """Record a batch; the episodes that ended in it.

        Args:
            frames: the run's, before it.
            numbers: of the exploration, by attribute.
            statistics: of the transforms, in their order.
        """
        self.frames, self.frozen.t = frames, 0
        for name, value in numbers.items():
            getattr(self.share.exploration, name).value = value
        for transform, state in zip(self.share.transforms, statistics, strict=True):
            transform.load_state_dict(state)
        self.collector.record()
        return self.collector.episodes.take()

    def restart(self) -> None:
        """Give up the episodes at hand."""
        self.collector.restart()

    def state_dict(self) -> State:
        """The collector's, and where its random stream stands."""
        return {"collector": self.collector.state_dict(), "rng": self.collector.rng.bit_generator.state}

    def load_state_dict(self, state: State) -> tuple[bool, list[str]]:
        """Go on from a saved state; whether that means new episodes, and what there is to warn of."""
        self.collector.rng.bit_generator.state = state["rng"]
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            self.collector.load_state_dict(state["collector"])
        return self.collector.anew, [str(warning.message) for warning in caught]


def main(pipe: int, file: int) -> None:
    """Serve the process at the other end of ``pipe``; ``file`` is the memory that is shared with it."""
    leave_to_parent()
    # The process at the other end says so of an environment of its own.
    warnings.simplefilter("ignore", EnvironmentWarning)
    threading.Thread(target=_end_with, args=(pipe,), daemon=True).start()
    connection = Connection(pipe)
    try:
        _serve(connection, file)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        # The other process is gone, and there is nobody to tell.
        return
    except BaseException as error:
        # Not before: options of this kind of collector are read without gymnasium.
        from rlrecipe.stepping.wrappers.checked import told

        connection.send((False, (told(error), traceback.format_exc())))


def _serve(connection: Connection, file: int) -> None:
    sent, index, rows, total = connection.recv()
    share: Share = sent.open()
    worker = Worker(share, rows, total)
    if "torch" in sys.modules:
        # Most policies act in numpy, and torch takes longer to load than all the rest.
        torch.set_num_threads(1)
        torch.set_flush_denormal(share.flushing)
    connection.send((True, worker.layout()))
    arrays = shared_arrays(file, connection.recv())
    weights = arrays.pop("weights")[index]
    worker.record_into({name: array[:, worker.rows] for name, array in arrays.items()}, weights)
    while True:
        command, arguments = connection.recv()
        if command == "close":
            return worker.collector.close()
        connection.send((True, getattr(worker, command)(*arguments)))


def _end_with(pipe: int) -> None:
    """End this process, in the middle of a step, too, when the other one has ended."""
    poll = select.poll()
    poll.register(pipe, 0)
    poll.poll()
    os._exit(1)
