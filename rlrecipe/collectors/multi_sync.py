"""Collects frames in several processes; each batch waits for all of them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from rlrecipe.collectors.sync import as_batch
from rlrecipe.collectors.workers import WorkersCollector, WorkersOptions, check_workers, learns_from_newest
from rlrecipe.interfaces import Batch, Collector, Exploration, State, Transform
from rlrecipe.lazy import np
from rlrecipe.recipe.asked import update_weights_interval
from rlrecipe.recipe.errors import Problem
from rlrecipe.recipe.registry import register
from rlrecipe.recipe.traits import CollectorTraits

if TYPE_CHECKING:
    from rlrecipe.acting.policy import Policy
    from rlrecipe.recipe.schema import Recipe


class MultiSyncOptions(WorkersOptions):
    """Environments stepped in several processes, a batch by all of them: for environments that are slow to step."""


class MultiSync(WorkersCollector):
    """Batches ``[T, N, ...]`` as of the sync collector, in the same memory each time.

    Environment i has the seed that it has there, and every worker draws the random numbers of all environments
    and takes its own: without running statistics a batch is that of the sync collector, up to the last bit of the
    policy's outputs, which may depend on how many rows are computed together. Statistics of transforms stand still
    within a batch, and are then updated from its steps in their order. Rewards are scaled by them as in the sync
    collector.
    """

    anew = True

    def collect(self) -> Batch:
        """The next batch."""
        if not self.workers:
            self.start(self.rng)
        frames = self.frames()
        if self.renew():
            self.arrays["weights"][:] = self.weights()
        episodes = self.tell("collect", frames, self.numbers(), self.statistics)
        self.episodes.finished += sorted(itertools.chain(*episodes), key=itemgetter(0))
        self.transform(self.transforms, slice(None), self.anew)
        self.anew = False
        return as_batch(self.arrays)

    def restart(self) -> None:
        """Give up the episodes at hand."""
        self.anew = True
        self.tell("restart")

    def state_dict(self) -> State:
        """What each worker would save of itself, and what it acts with, where that is not the newest."""
        old = self.workers and self.batches % self.options.update_weights_interval
        return {
            "batches": self.batches,
            "weights": self.arrays["weights"][0].copy() if old else None,
            "statistics": self.statistics if old else None,
            "workers": self.tell("state_dict") if self.workers else None,
        }

    def load_state_dict(self, state: State) -> None:
        """Go on in the middle of the saved episodes, where the environments can be put back there."""
        self.batches = state["batches"]
        if state["workers"] is None:
            return
        if not self.workers:
            self.start(self.rng)
        if state["weights"] is not None:
            self.arrays["weights"][:] = state["weights"]
            self.statistics = state["statistics"]
        for worker, saved in zip(self.workers, state["workers"], strict=True):
            worker.send(("load_state_dict", (saved,)))
        answers = self.answers()
        self.anew = any(anew for anew, _ in answers)
        self.warn(text for _, texts in answers for text in texts)


def shared_out(options: MultiSyncOptions, num_envs: int, cores: int) -> MultiSyncOptions:
    """The options with a number of workers."""
    if options.num_workers != "auto":
        return options
    return options.model_copy(update={"num_workers": min(cores, num_envs)})


def check(recipe: Recipe) -> Iterator[Problem]:
    """What in a recipe cannot go with this collector."""
    yield from check_workers(recipe)
    interval = update_weights_interval(recipe.collector)
    if interval > 1 and learns_from_newest(recipe):
        yield Problem(
            "E302",
            ("collector", "update_weights_interval"),
            f"{recipe.algorithm.component.name} takes a batch for the work of the newest weights, but workers would "
            f"act with weights up to {interval} batches old",
            "make collector.update_weights_interval 1",
            (("algorithm",),),
        )


@register("collector", "multi_sync", check=check, traits=CollectorTraits(processes=True, shared_out=shared_out))
def make_multi_sync(
    options: MultiSyncOptions,
    environments: Any,
    policy: Policy,
    transforms: Sequence[Transform],
    rng: np.random.Generator,
    frames: Callable[[], int],
    exploration: Exploration | None = None,
    raw: bool = False,
) -> Collector:
    """A collector in several processes."""
    return MultiSync(options, environments, policy, transforms, rng, frames, exploration, raw, together=True)
