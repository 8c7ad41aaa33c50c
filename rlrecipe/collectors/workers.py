"""Worker processes that collect frames, as whoever started them sees them.

torchrl's collectors of several processes send pickled torchrl environments, policies and TensorDicts, and keep
no state that a run could go on from bit for bit. Here a worker is a ``SyncCollector`` over its share of the
environments: it acts in numpy over one flat vector of weights and records straight into the rows of the batch,
both in memory that is shared; pipes carry commands and ends of episodes only.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import subprocess
import sys
import time
import warnings
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from multiprocessing import Pipe
from multiprocessing.connection import wait
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from rlrecipe.collectors.sent import Sent
from rlrecipe.collectors.sync import EpisodeCounter, SyncOptions, check
from rlrecipe.collectors.worker import Layout, Share, shared_arrays
from rlrecipe.interfaces import Exploration, State, Transform
from rlrecipe.lazy import np
from rlrecipe.recipe.asked import env_name, num_envs
from rlrecipe.recipe.errors import Problem
from rlrecipe.recipe.options import option
from rlrecipe.system.descriptors import nameless
from rlrecipe.system.signals import held_back

if TYPE_CHECKING:
    from rlrecipe.acting.policy import Policy
    from rlrecipe.recipe.schema import Recipe

#: Seconds in which workers may finish a batch and close their environments.
GRACE = 5.0
#: Each worker is one thread; the libraries under numpy would start as many as there are cores.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


class WorkersOptions(SyncOptions):
    """What collectors in several processes have in common."""

    num_workers: Annotated[int, Field(gt=0)] | Literal["auto"] = option(
        "auto", "Processes that share the environments out among them: auto takes as many as there are cores."
    )
    update_weights_interval: int = option(
        1, "Batches between two times that workers get the newest weights and statistics.", gt=0
    )


class WorkerError(RuntimeError):
    """A worker process failed or was killed; raised from ``WorkerTraceback`` where it could tell why."""


class WorkerTraceback(Exception):  # noqa: N818 - another process's traceback, not an error of this one
    """The traceback of an exception in a worker."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"


class Handle:
    """One worker process.

    Args:
        index: which of them.
        rows: its environments among all.
        file: descriptor of the shared memory.
    """

    def __init__(self, index: int, rows: range, file: int) -> None:
        self.index, self.rows = index, rows
        self.connection, there = Pipe()
        path = os.pathsep.join(folder or str(Path.cwd()) for folder in sys.path)
        command = f"from rlrecipe.collectors.worker import main; main({there.fileno()}, {file})"
        # A fresh interpreter: a fork after torch has started threads may wait for them forever. What environments
        # print goes to standard error.
        with held_back():
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-c", command],
                pass_fds=[there.fileno(), file],
                stdin=subprocess.DEVNULL,
                stdout=2,
                env={**os.environ, **ONE_THREAD, "PYTHONPATH": path},
            )
        there.close()

    def __str__(self) -> str:
        first, last = self.rows.start, self.rows.stop - 1
        envs = f"environment {first}" if first == last else f"environments {first} to {last}"
        return f"worker {self.index} ({envs}, process {self.process.pid})"

    def send(self, message: Any) -> None:
        """Tell the worker something.

        Raises:
            WorkerError: it is gone.
        """
        try:
            self.connection.send(message)
        except OSError:
            # What it has said before it ended tells more.
            self.receive()
            raise self.died() from None

    def receive(self) -> Any:
        """Its answer; waits for one.

        Raises:
            WorkerError: it failed, or is gone.
        """
        try:
            while not self.connection.poll(1.0):
                if self.process.poll() is not None and not self.connection.poll():
                    raise self.died()
            well, answer = self.connection.recv()
        except (EOFError, OSError):
            raise self.died() from None
        if not well:
            last, text = answer
            raise WorkerError(f"{self} failed: {last}") from WorkerTraceback(text)
        return answer

    def died(self) -> WorkerError:
        """How it ended without a word."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(GRACE)
        code = self.process.returncode
        if code is None:
            return WorkerError(f"{self} does not answer")
        if code >= 0:
            return WorkerError(f"{self} ended with exit code {code}")
        why = "; the system does that when memory runs out" if -code == signal.SIGKILL else ""
        return WorkerError(f"{self} was ended by {signal.Signals(-code).name}{why}")


def close(workers: list[Handle], file: list[int]) -> None:
    """End worker processes: those in the middle of a batch may finish it, if that takes no longer than ``GRACE``."""
    for worker in workers:
        with contextlib.suppress(OSError):
            worker.connection.send(("close", ()))
    end = time.monotonic() + GRACE
    for worker in workers:
        try:
            worker.process.wait(max(0.0, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            worker.process.kill()
            worker.process.wait()
        worker.connection.close()
    for descriptor in file:
        os.close(descriptor)
    workers.clear()
    file.clear()


class WorkersCollector:
    """What collectors in several processes share: starting, telling and ending them.

    Processes start when the first batch or a saved state asks for them.

    Args:
        options: with a number of workers.
        environments: ``num_envs``; called with a range of them it builds those.
        policy: what acts.
        transforms: what stands between them, first to last; the workers have copies whose statistics do not move.
        rng: the action stream.
        frames: the run's frames before the next batch.
        exploration: changes the policy's actions.
        raw: record observations and rewards as they are, not as the policy sees them.
        together: whether all workers' steps make one batch, or each worker's its own.
    """

    def __init__(
        self,
        options: WorkersOptions,
        environments: Any,
        policy: Policy,
        transforms: Sequence[Transform],
        rng: np.random.Generator,
        frames: Callable[[], int],
        exploration: Exploration | None,
        raw: bool,
        together: bool,
    ) -> None:
        self.options, self.environments, self.policy, self.transforms = options, environments, policy, transforms
        self.rng, self.frames, self.exploration, self.raw, self.together = rng, frames, exploration, raw, together
        self.frames_per_batch, self.num_envs = options.frames_per_batch, environments.num_envs
        assert options.num_workers != "auto", "auto was replaced by a number"
        bounds = np.linspace(0, self.num_envs, options.num_workers + 1).astype(int).tolist()
        self.shares = [range(start, stop) for start, stop in itertools.pairwise(bounds)]
        self.steps = self.frames_per_batch // (self.num_envs if together else len(self.shares[0]))
        self.episodes = EpisodeCounter(self.num_envs)
        #: Batches since the workers last got weights and statistics, and the statistics that they got.
        self.batches, self.statistics = 0, list[State]()
        self.workers: list[Handle] = []
        self.arrays: dict[str, np.ndarray] = {}
        self._file: list[int] = []
        weakref.finalize(self, close, self.workers, self._file)

    # -- starting and ending

    def start(self, rng: np.random.Generator, starts: int = 0) -> None:
        """Start the processes, and map the memory that is shared with them.

        Args:
            rng: the workers' action stream.
            starts: how often the environments were started before.
        """
        flat = self.policy.parameters.flat
        share = Share(
            environments=self.environments,
            policy=self.policy.over(np.zeros(flat.numel(), np.float32)),
            transforms=self.transforms,
            exploration=self.exploration,
            rng=rng,
            raw=self.raw,
            steps=self.steps,
            random_frames=self.options.init_random_frames,
            together=self.together,
            starts=starts,
            flushing=bool(np.float32(1e-39) * np.float32(1) == 0),
        )
        sent = Sent(share, env_name(self.environments.options), self.environments.imports)
        self._file.append(nameless())
        for index, rows in enumerate(self.shares):
            self.workers.append(Handle(index, rows, self._file[0]))
        for worker in self.workers:
            worker.send((sent, worker.index, worker.rows, self.num_envs))
        layout = _whole([worker.receive() for worker in self.workers], self.num_envs)
        layout["weights"] = ((len(self.workers), flat.numel()), np.dtype(np.float32).str)
        self.arrays = shared_arrays(self._file[0], layout)
        for worker in self.workers:
            worker.send(layout)

    def close(self) -> None:
        """End the processes; their memory goes with the last batch over it."""
        close(self.workers, self._file)
        self.arrays = {}

    # -- telling

    def update_policy_weights_(self) -> None:
        """Let the workers have the newest weights and statistics before their next batch."""
        self.batches = 0

    def renew(self) -> bool:
        """Whether the workers' next batch is due for the newest weights; counts it."""
        due = self.batches % self.options.update_weights_interval == 0
        self.batches += 1
        if due:
            self.statistics = [transform.state_dict() for transform in self.transforms]
        return due

    def weights(self) -> np.ndarray:
        """The newest weights, on the CPU."""
        return self.policy.parameters.flat.detach().cpu().numpy()

    def numbers(self) -> dict[str, float]:
        """Numbers of the exploration that may follow a schedule, by attribute."""
        found = {} if self.exploration is None else vars(self.exploration)
        return {name: number.value for name, number in found.items() if hasattr(number, "value")}

    def tell(self, command: str, *arguments: Any) -> list[Any]:
        """Tell all workers the same; their answers, in their order."""
        for worker in self.workers:
            worker.send((command, arguments))
        return self.answers()

    def answers(self) -> list[Any]:
        """An answer of each worker, in their order; the first that fails is told of at once."""
        busy, found = list(self.workers), dict[int, Any]()
        try:
            while busy:
                worker = ready(busy)
                busy.remove(worker)
                found[worker.index] = worker.receive()
        except BaseException:
            # Nobody may take an answer that is still to come for that to the next command.
            self.close()
            raise
        return [found[worker.index] for worker in self.workers]

    # -- what is left to this process of a batch

    def transform(self, transforms: Sequence[Transform], rows: slice, anew: bool) -> None:
        """Update the transforms' statistics with the steps of some environments, and scale their rewards by them."""
        if not transforms:
            return
        if anew:
            shown = self.arrays["first"][0, rows]
            for transform in transforms:
                shown = transform.reset(shown)
        kept = [self.arrays[name][:, rows] for name in ("following", "final", "gained", "done")]
        for t, (following, final, reward, done) in enumerate(zip(*kept, strict=True)):
            for transform in transforms:
                following, final, reward = transform.step(following, final, reward, done)
            if not self.raw:
                self.arrays["reward"][t, rows] = reward

    def warn(self, texts: Iterable[str]) -> None:
        """Warn of what workers have warned of."""
        for text in dict.fromkeys(texts):
            warnings.warn(text, stacklevel=3)


def ready(workers: Sequence[Handle]) -> Handle:
    """The first worker, of several the one named first, that has an answer or is gone."""
    while True:
        there = set(wait([worker.connection for worker in workers], timeout=1.0))
        for worker in workers:
            if worker.connection in there or worker.process.poll() is not None:
                return worker


def _whole(layouts: Sequence[Layout], num_envs: int) -> dict[str, tuple[tuple[int, ...], str]]:
    """Arrays ``[T, N, ...]`` over all environments from those of the workers' shares."""
    return {name: ((shape[0], num_envs, *shape[2:]), dtype) for name, (shape, dtype) in layouts[0].items()}


# -- recipes


def check_workers(recipe: Recipe) -> Iterator[Problem]:
    """What in a recipe cannot go with worker processes."""
    yield from check(recipe)
    options: Any = recipe.collector
    workers, n = options.num_workers, num_envs(recipe.env)
    if workers != "auto" and workers > n:
        message = f"{workers} workers cannot share {n} environments out among them"
        cure = f"make collector.num_workers {n} or less, or env.num_envs more"
        yield Problem("E302", ("collector", "num_workers"), message, cure, (("env", "num_envs"),))


def learns_from_newest(recipe: Recipe) -> bool:
    """Whether the recipe's algorithm takes the newest batch for the work of the newest weights."""
    return recipe.algorithm is not None and recipe.replay_buffer is None
