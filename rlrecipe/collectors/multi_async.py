"""Collects frames in several processes; each batch is that of the process that is ready first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from rlrecipe.collectors.sync import RECORDED, as_batch
from rlrecipe.collectors.workers import (
    Handle,
    WorkersCollector,
    WorkersOptions,
    check_workers,
    learns_from_newest,
    ready,
)
from rlrecipe.interfaces import Batch, Collector, Exploration, State, Transform
from rlrecipe.interfaces.abilities import Parted
from rlrecipe.lazy import np
from rlrecipe.recipe.asked import num_envs
from rlrecipe.recipe.errors import Problem
from rlrecipe.recipe.registry import register
from rlrecipe.recipe.traits import CollectorTraits

if TYPE_CHECKING:
    from rlrecipe.acting.policy import Policy
    from rlrecipe.recipe.schema import Recipe


class MultiAsyncOptions(WorkersOptions):
    """Environments stepped in several processes, a batch by each: they go on while updates run. Not exact."""


class MultiAsync(WorkersCollector):
    """Batches ``[T, N / num_workers, ...]``, each of one worker's environments, in the order they are ready.

    A worker begins its next batch as soon as its last one was taken, with weights that are up to
    ``update_weights_interval`` batches old, then. Which worker is first depends on the machine, so no run repeats
    another; a resumed one starts new episodes.
    """

    #: No batch goes on where the one before it ended.
    anew = True

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        #: Workers with a batch to come, longest at it first, and the frames each was told that the run had.
        self.busy: list[Handle] = []
        self.told: dict[int, int] = {}
        #: How often the environments were started.
        self.starts = 0
        self.fresh = set(range(len(self.shares)))
        self.newest = np.zeros(0, np.float32)

    def collect(self) -> Batch:
        """The next batch."""
        frames, ahead = self.frames(), self.frames_per_batch * len(self.shares)
        if not self.workers:
            self._renew()
            self._begin(frames)
        worker = ready(self.busy)
        episodes = worker.receive()
        self.busy.remove(worker)
        rows = slice(worker.rows.start, worker.rows.stop)
        self.transform([_part(one, rows) for one in self.transforms], rows, worker.index in self.fresh)
        self.fresh.discard(worker.index)
        since = frames - self.told[worker.index]
        self.episodes.finished += [(at + since, gained, length) for at, gained, length in episodes]
        # Copied: the worker goes on at once.
        batch = as_batch({name: self.arrays[name][:, rows].copy() for name in RECORDED})
        self._renew()
        self._dispatch(worker, frames + ahead)
        return batch

    def _begin(self, frames: int) -> None:
        # Of the run's stream: a session that goes on draws other numbers.
        self.start(np.random.default_rng(int(self.rng.integers(2**63))), self.starts)
        self.starts += 1
        for i, worker in enumerate(self.workers):
            self._dispatch(worker, frames + i * self.frames_per_batch)

    def _renew(self) -> None:
        if self.renew():
            self.newest = self.weights().copy()

    def _dispatch(self, worker: Handle, frames: int) -> None:
        """Let a worker record its next batch."""
        self.arrays["weights"][worker.index] = self.newest
        self.told[worker.index] = frames
        worker.send(("collect", (frames, self.numbers(), self.statistics)))
        self.busy.append(worker)

    def restart(self) -> None:
        """Give up the episodes and batches at hand."""
        self.close()
        self.busy, self.fresh, self.batches = [], set(range(len(self.shares))), 0

    def state_dict(self) -> State:
        """How often the environments were started; what workers are at is given up."""
        return {"starts": self.starts}

    def load_state_dict(self, state: State) -> None:
        """Start new episodes, other than those before."""
        self.starts = state["starts"]


def _part(transform: Transform, rows: slice) -> Transform:
    """A transform for some environments; one that keeps nothing of each serves as it is."""
    return transform.part(rows) if isinstance(transform, Parted) else transform


def shared_out(options: MultiAsyncOptions, num_envs: int, cores: int) -> MultiAsyncOptions:
    """The options with a number of workers, each of which has as many environments as the others."""
    if options.num_workers != "auto":
        return options
    workers = max(n for n in range(1, min(cores, num_envs) + 1) if num_envs % n == 0)
    return options.model_copy(update={"num_workers": workers})


def width(options: MultiAsyncOptions, num_envs: int) -> int:
    """Environments in each batch."""
    assert options.num_workers != "auto", "auto was replaced by a number"
    return num_envs // options.num_workers


def check(recipe: Recipe) -> Iterator[Problem]:
    """What in a recipe cannot go with this collector."""
    yield from check_workers(recipe)
    options: Any = recipe.collector
    workers, n = options.num_workers, num_envs(recipe.env)
    if workers != "auto" and workers <= n and n % workers:
        divisors = ", ".join(str(i) for i in range(1, n + 1) if n % i == 0)
        message = f"batches differ in size: {workers} workers cannot have as many each of {n} environments"
        yield Problem(
            "E302", ("collector", "num_workers"), message, f"choose one of {divisors}", (("env", "num_envs"),)
        )
    if learns_from_newest(recipe):
        name = recipe.algorithm.component.name
        message = f"{name} takes a batch for the work of the newest weights; those of multi_async are older"
        yield Problem("E302", ("collector", "name"), message, "use multi_sync", (("algorithm",),))


@register(
    "collector",
    "multi_async",
    check=check,
    traits=CollectorTraits(
        processes=True,
        shared_out=shared_out,
        width=width,
        level=("continue", "batches of multi_async come as workers are ready, and a resumed run starts new episodes"),
    ),
)
def make_multi_async(
    options: MultiAsyncOptions,
    environments: Any,
    policy: Policy,
    transforms: Sequence[Transform],
    rng: np.random.Generator,
    frames: Callable[[], int],
    exploration: Exploration | None = None,
    raw: bool = False,
) -> Collector:
    """A collector in several processes, none of which waits for another."""
    return MultiAsync(options, environments, policy, transforms, rng, frames, exploration, raw, together=False)
