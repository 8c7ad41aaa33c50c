"""The loop over the parts of a recipe, on plain arrays."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch

from rlrecipe.clock import Clock
from rlrecipe.context import RunContext
from rlrecipe.interfaces import Algorithm, Batch, Collector, Key, OnPolicy, Sampler, Scalars, State, Stateful
from rlrecipe.learning.objectives import Objectives
from rlrecipe.loop.guard import check_batch
from rlrecipe.loop.loop import FrozenState, Loop
from rlrecipe.loop.pace import Pace
from rlrecipe.loop.points import HookError, Registered
from rlrecipe.loop.tensordicts import from_tensordict, to_tensordict
from rlrecipe.loop.updates import Compiler, Updates
from rlrecipe.stepping.packing import OBSERVATIONS, Packing, unpacked
from rlrecipe.streams import Streams

if TYPE_CHECKING:
    from rlrecipe.acting.evaluation import Stage

Schedule = Callable[[Clock], float]
_LR = "a trainer's lr is lr_factor now: by what learning rates are multiplied, by the clock"


class RecipeLoop(Loop):
    """Collects batches and learns from them until the clock says that the run is complete.

    Args:
        collector: yields batches.
        algorithm: pure functions over batches.
        sampler: gives the sub-batches of updates.
        update: the algorithm's objectives, with what updates move.
        clock: counts; training goes on while it is not done.
        streams: the run's random streams.
        native: makes updates native; None leaves them as they are.
        lr_factor: by which learning rates are multiplied, by the clock; None for no schedule.
        coefficients: the algorithm's schedulable numbers by the clock.
        numbers: other components' scheduled numbers: each is called before a batch, with the clock.
        packing: how batches keep observations as bytes, if they do; hooks are shown numbers.
        context: the run around it.
        stage: where the policy can be evaluated.
    """

    update: Objectives
    algorithm: Algorithm
    collector: Collector
    lr_factor: Schedule | None

    def __init__(
        self,
        *,
        collector: Collector,
        algorithm: Algorithm,
        sampler: Sampler,
        update: Objectives,
        clock: Clock,
        streams: Streams,
        native: Compiler | None = None,
        lr_factor: Schedule | None = None,
        coefficients: Mapping[str, Schedule] | None = None,
        numbers: Sequence[Callable[[Clock], None]] = (),
        packing: Packing | None = None,
        context: RunContext | None = None,
        stage: Stage | None = None,
    ) -> None:
        self.packing = packing
        parts: dict[str, Stateful] = {"clock": clock, "streams": streams, "update": update}
        parts |= {"collector": collector, "sampler": sampler}
        super().__init__(clock, streams, parts, context, stage)
        self.collector, self.algorithm, self.sampler, self.update = collector, algorithm, sampler, update
        self.lr_factor, self.numbers = lr_factor, numbers
        self.coefficients = dict(coefficients or {})
        flat = update.parameters.flat
        self.inputs: Scalars = {
            name: torch.zeros((), dtype=flat.dtype, device=flat.device) for name in self.coefficients
        }
        self.pace = Pace()
        self.updates = Updates(update, sampler.after, self.points, self.losses, self.inputs, native)

    @property
    def lr(self) -> Schedule | None:
        """``lr_factor`` under its old name; deprecated."""
        warnings.warn(_LR, DeprecationWarning, stacklevel=2)
        return self.lr_factor

    @lr.setter
    def lr(self, factor: Schedule | None) -> None:
        warnings.warn(_LR, DeprecationWarning, stacklevel=2)
        self.lr_factor = factor

    def restart(self) -> None:
        """Give up the episodes at hand: the next batch starts new ones."""
        self.collector.restart()
        self.sampler.cut()

    def put_away(self) -> None:
        """Close the environments of a training that is complete; their state is kept for its last checkpoint."""
        self.modules["collector"] = FrozenState(self.collector.state_dict())
        self.collector.close()

    def _batches(self) -> Iterator[Batch]:
        """Batches until the run is done; schedules stand where the run stood before each."""
        while not self.complete and self.interrupted is None:
            self.update.scale_lr(self.lr_factor(self.clock) if self.lr_factor else 1.0)
            for name, schedule in self.coefficients.items():
                self.inputs[name].fill_(schedule(self.clock))
            for number in self.numbers:
                number(self.clock)
            batch = self.collector.collect()
            self.clock.frames += self.collector.frames_per_batch
            self.episodes = self.collector.episodes.take()
            self.clock.episodes += len(self.episodes)
            yield batch if self.packing is None or not self.points.show_batches else unpacked(batch, self.packing)

    def _processed(self, batch: Batch) -> Batch:
        """A batch after its hooks, taken in by the sampler: values and advantages, or rows of the buffer."""
        check_batch(self._numbers(batch))
        collected = batch.keys() if not self.points.ops["batch_process"] else set(batch)
        batch = super()._processed(batch)
        try:
            self.sampler.extend(self.update.params, batch)
        except KeyError as error:
            if (key := error.args[0]) not in collected - batch.keys():
                raise
            who = type(self.algorithm).__name__
            raise HookError(f"{who} needs the batch's entry {key!r}; no hook at batch_process may drop it") from error
        if self.collector.anew:
            self.sampler.cut()
        return batch

    def _numbers(self, batch: Batch) -> Batch:
        """A batch with the numbers alone where it has bytes of numbers and pictures."""
        if self.packing is None:
            return batch
        kept = [key for key in OBSERVATIONS if batch[key].dtype == torch.uint8]
        return {**batch, **{key: self.packing.numbers_of(batch[key]) for key in kept}}

    def _begin(self, batch: Batch) -> range:
        return range(self.sampler.begin(batch))

    def _sub_batch(self, batch: Batch) -> Batch:
        """What the sampler has drawn, or a hook that draws from the whole batch itself."""
        sub_batch = self.sampler.take()
        for hook in self.points.ops["process_optim_batch"]:
            if hook.declares.takes_batch:
                sub_batch = self._changed("process_optim_batch", hook, batch, draws=True)
            else:
                sub_batch = self._changed("process_optim_batch", hook, sub_batch, rows=True)
        return sub_batch

    def _update(self, sub_batch: Batch, j: int) -> bool:
        begun, preparing = time.perf_counter(), self.updates.preparing
        went_on = self.updates.take(sub_batch, j)
        self.pace.took(time.perf_counter() - begun - (self.updates.preparing - preparing))
        return went_on

    def _given(self, batch: Batch, plain: bool, rows: bool) -> Any:
        return batch if plain else to_tensordict(batch, not rows)

    def _taken(self, batch: Batch, changed: Any, plain: bool, rows: bool) -> Batch:
        if plain:
            plainly: Batch = changed
            return plainly
        return from_tensordict(changed.reshape(-1) if rows else changed, not rows)

    def _misfit(self, point: str, hook: Registered) -> str | None:
        """What a hook asks for at process_optim_batch that sub-batches have not, if it does."""
        if point != "process_optim_batch":
            return None
        draws = hook.declares.takes_batch
        if draws and self.sampler.remembers:
            return (
                f"the hook {hook.name} draws rows of its own, and a memory "
                "(networks.memory) learns from sequences of them; leave out one of the two"
            )
        if not draws and not self._has(hook.declares.reward_key):
            who = type(self.algorithm).__name__
            return (
                f"the hook {hook.name} changes rewards of sub-batches at {point}, where {who} has "
                "none: its advantages are made of the whole batch before; use the hook reward_normalizer "
                "(rlrecipe.trainers.RewardNormalizer) or the transform reward_norm, which change them in time"
            )
        return None

    def _has(self, reward: Key | None) -> bool:
        """Whether sub-batches have the rewards that a hook asks for, if it asks for any."""
        if reward is None or not isinstance(self.algorithm, OnPolicy):
            # From a replay buffer come whole rows.
            return True
        # Of the newest batch only what the loss reads is gathered.
        return (reward if isinstance(reward, str) else tuple(reward)) in self.algorithm.reads

    def loss_names(self) -> list[str]:
        """Names of the algorithm's losses."""
        return self.update.loss_names

    def load_state_dict(self, state: State) -> None:
        """Put every registered module back.

        Raises:
            KeyError: a module has no saved state, or a saved state no module.
        """
        super().load_state_dict(state)
        if self.collector.anew:
            self.sampler.cut()
