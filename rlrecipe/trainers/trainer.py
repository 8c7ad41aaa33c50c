"""The training loop.

Glossary. A *frame* is one decision of an agent: a step of one environment, after frame skip. A *batch*
is what one collection yields, ``[T, N, ...]``; a *sub-batch* is what one update learns from, ``[B, ...]``.
An *update* is one step of the optimizer.

The loop and its ten hook points (``rlrecipe.trainers.points`` says what each takes)::

    for batch in collector:
        batch = batch_process(batch)                  # data
        pre_steps_log(batch)                          # logging
        pre_optim_steps()                             # operation
        for j in range(optim_steps_per_batch):
            sub_batch = process_optim_batch(batch)    # data
            losses = loss(sub_batch)
            post_loss(sub_batch)                      # operation on the sub-batch
            optimizer(losses, clip_norm, j)           # replaces the built-in optimizer step
            post_optim()                              # operation
            post_optim_log(sub_batch)                 # logging
        post_steps()                                  # operation
        post_steps_log(batch)                         # logging
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from rlrecipe.clock import Clock
from rlrecipe.interfaces import Algorithm, Batch, Collector, Sampler, Scalars, State, Stateful
from rlrecipe.streams import Streams
from rlrecipe.trainers.averages import Averages
from rlrecipe.trainers.guard import check_batch
from rlrecipe.trainers.points import HookError, Op, Points, takes_batch
from rlrecipe.trainers.tensordicts import from_tensordict, to_tensordict
from rlrecipe.trainers.updates import Updates
from rlrecipe.update import Update

if TYPE_CHECKING:
    from rlrecipe.evaluation import Stage

Schedule = Callable[[Clock], float]


class Ending:
    """Why a run ended before its time, if a hook ended it."""

    def __init__(self) -> None:
        self.reason: str | None = None

    def state_dict(self) -> State:
        """The reason."""
        return {"reason": self.reason}

    def load_state_dict(self, state: State) -> None:
        """A run that was ended stays so."""
        self.reason = state["reason"]


class Trainer:
    """Collects batches and learns from them until the clock says that the run is complete.

    Args:
        collector: yields batches.
        algorithm: pure functions over batches.
        sampler: gives the sub-batches of updates.
        update: turns losses into new parameters.
        clock: counts; training goes on while it is not done.
        streams: the run's random streams.
        clip_norm: bound on the joint norm of each gradient; None for no bound.
        lr: factor on the learning rates by the clock.
        coefficients: the algorithm's schedulable numbers by the clock.
        numbers: other components' scheduled numbers: each is called before a batch, with the clock.
    """

    def __init__(
        self,
        *,
        collector: Collector,
        algorithm: Algorithm,
        sampler: Sampler,
        update: Update,
        clock: Clock,
        streams: Streams,
        clip_norm: float | None = None,
        lr: Schedule | None = None,
        coefficients: Mapping[str, Schedule] | None = None,
        numbers: Sequence[Callable[[Clock], None]] = (),
    ) -> None:
        self.collector, self.algorithm, self.update, self.clock = collector, algorithm, update, clock
        self.sampler, self.streams, self.clip_norm, self.lr = sampler, streams, clip_norm, lr
        self.coefficients, self.numbers = dict(coefficients or {}), numbers
        flat = update.parameters.flat
        self.inputs: Scalars = {
            name: torch.zeros((), dtype=flat.dtype, device=flat.device) for name in self.coefficients
        }
        self.losses, self.logged, self.progress = Averages(), Averages(), dict[str, float]()
        self.points = Points()
        self.updates = Updates(update, algorithm, sampler.after, self.points, self.losses, self.inputs, clip_norm)
        self.modules: dict[str, Stateful] = {}
        own: dict[str, Stateful] = {"clock": clock, "streams": streams, "update": update, "collector": collector}
        own["sampler"] = sampler
        for name, module in own.items():
            self.register_module(name, module)
        self.register_module("losses", self.losses)
        self.register_module("logged", self.logged)
        #: Called at the end of every batch, in this order: rows, evaluation, checkpoint.
        self.boundaries: list[Callable[[], None]] = []
        #: Frames, return and length of each episode that ended in the newest batch.
        self.episodes: list[tuple[int, float, int]] = []
        self.ending = Ending()
        self.register_module("ending", self.ending)
        #: Where the policy can be evaluated, if anybody said so.
        self.stage: Stage | None = None
        #: The run directory, and what tells its user something, of a trainer that has them.
        self.folder: Path | None = None
        self.say: Callable[[str], None] = _warn
        #: Why this session ends before the run does: a signal, a time limit. No part of the run's state.
        self.interrupted: str | None = None

    def restart(self) -> None:
        """Give up the episodes at hand: the next batch starts new ones."""
        self.collector.restart()
        self.sampler.cut()

    # -- the loop

    def train(self) -> None:
        """Run the loop until the clock is done or somebody called ``stop``."""
        self._operate("setup")
        try:
            for batch in self._batches():
                self._learn(batch)
                for boundary in self.boundaries:
                    boundary()
        finally:
            self._operate("shutdown")

    def _learn(self, batch: Batch) -> None:
        """A batch from its collection to the end of its updates."""
        check_batch(batch)
        collected = batch.keys() if not self.points.ops["batch_process"] else set(batch)
        batch = self._data("batch_process", batch)
        try:
            self.sampler.extend(self.update.params, batch)
        except KeyError as error:
            if (key := error.args[0]) not in collected - batch.keys():
                raise
            who = type(self.algorithm).__name__
            raise HookError(f"{who} needs the batch's entry {key!r}; no hook at batch_process may drop it") from error
        self._log("pre_steps_log", batch, time_major=True)
        self._operate("pre_optim_steps")
        self._log("pre_epoch_log", batch, time_major=True)
        batch = self._data("pre_epoch", batch)
        for j in range(self.sampler.begin(batch)):
            sub_batch = self._sub_batch(batch)
            if not self.updates.take(sub_batch, j):
                break
            self.clock.updates += 1
            self._operate("post_optim")
            self._log("post_optim_log", sub_batch)
        self._log("post_epoch_log", batch, time_major=True)
        self._operate("post_epoch")
        self._operate("post_steps")
        self._log("post_steps_log", batch, time_major=True)

    def stop(self, reason: str) -> None:
        """End the run after the batch at hand; it is complete then, also when it is resumed."""
        self.ending.reason = self.ending.reason or reason

    def interrupt(self, reason: str) -> None:
        """End this session after the batch at hand; the run can be resumed."""
        self.interrupted = self.interrupted or reason

    @property
    def complete(self) -> bool:
        """Whether the run is at its end: it is as long as it should be, or a hook ended it."""
        return self.clock.done or self.ending.reason is not None

    def _batches(self) -> Iterator[Batch]:
        """Batches until the run is done; schedules stand where the run stood before each."""
        while not self.complete and self.interrupted is None:
            self.update.scale_lr(self.lr(self.clock) if self.lr else 1.0)
            for name, schedule in self.coefficients.items():
                self.inputs[name].fill_(schedule(self.clock))
            for number in self.numbers:
                number(self.clock)
            batch = self.collector.collect()
            self.clock.frames += self.collector.frames_per_batch
            self.episodes = self.collector.episodes.take()
            self.clock.episodes += len(self.episodes)
            yield batch

    # -- hooks

    def register_op(self, point: str, op: Op, **arguments: Any) -> None:
        """Call ``op`` at a hook point, with ``arguments`` besides what the point gives it.

        A hook with a state is saved and restored with the trainer, registered as a module or not.

        Raises:
            HookError: no such point, another category, or not callable.
        """
        self.points.add(point, op, arguments)
        owner = getattr(op, "__self__", op)
        if isinstance(owner, Stateful) and all(owner is not module for module in self.modules.values()):
            self.register_module(f"hook_{type(owner).__name__}_{len(self.modules)}", owner)

    def register_module(self, name: str, module: Stateful) -> None:
        """Save and restore ``module`` under ``name``.

        Raises:
            HookError: the name is taken by another module, or the module has no state to save.
        """
        if not isinstance(module, Stateful):
            raise HookError(f"the module {name!r} has no state_dict and load_state_dict, so it cannot be saved")
        if self.modules.setdefault(name, module) is not module:
            raise HookError(f"two modules are registered as {name!r}; their states would overwrite each other")

    def _sub_batch(self, batch: Batch) -> Batch:
        """What the sampler has drawn, or a hook that draws from the whole batch itself."""
        sub_batch = self.sampler.take()
        for op, plain, arguments in self.points.ops["process_optim_batch"]:
            whole = takes_batch(op)
            given = batch if whole else sub_batch
            sub_batch = _changed("process_optim_batch", op, plain, arguments, given, time_major=whole, rows=True)
        return sub_batch

    def _data(self, point: str, batch: Batch) -> Batch:
        for op, plain, arguments in self.points.ops[point]:
            batch = _changed(point, op, plain, arguments, batch, time_major=True)
        return batch

    def _operate(self, point: str) -> None:
        for op, _, arguments in self.points.ops[point]:
            op(**arguments)

    def _log(self, point: str, batch: Batch, *, time_major: bool = False) -> None:
        for op, plain, arguments in self.points.ops[point]:
            values = op(batch if plain else to_tensordict(batch, time_major), **arguments)
            if values:
                shown = bool(values.get("log_pbar", False))
                numbers = _numbers(op, point, values)
                self.logged.add(numbers)
                if shown:
                    self.progress.update({key: float(value) for key, value in numbers.items()})

    # -- state

    def state_dict(self) -> State:
        """The state of every registered module, by name."""
        return {name: module.state_dict() for name, module in self.modules.items()}

    def load_state_dict(self, state: State) -> None:
        """Put every registered module back.

        Raises:
            KeyError: a module has no saved state, or a saved state no module.
        """
        if state.keys() != self.modules.keys():
            without, unknown = self.modules.keys() - state.keys(), state.keys() - self.modules.keys()
            raise KeyError(f"modules without a saved state: {sorted(without)}; without a module: {sorted(unknown)}")
        for name, module in self.modules.items():
            module.load_state_dict(state[name])
        if self.collector.anew:
            self.sampler.cut()


def _warn(line: str) -> None:
    warnings.warn(line, stacklevel=3)


def _changed(
    point: str, op: Op, plain: bool, arguments: dict[str, Any], batch: Batch, *, time_major: bool, rows: bool = False
) -> Batch:
    """What a data hook makes of a batch; with ``rows`` as rows ``[B, ...]``.

    Raises:
        HookError: it returned nothing.
    """
    changed = op(batch if plain else to_tensordict(batch, time_major), **arguments)
    if changed is None:
        raise HookError(f"the data hook {op!r} at {point} returned None; return the batch")
    if plain:
        return changed  # type: ignore[no-any-return]
    return from_tensordict(changed.reshape(-1) if rows else changed, time_major and not rows)


def _numbers(op: Op, point: str, values: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """What a logging hook returned, as 0-dimensional tensors.

    Raises:
        HookError: a value is no single number, or has a name of the run's own counters.
    """
    numbers = {}
    for key, value in values.items():
        if key == "log_pbar":
            continue
        if key in ("frames", "updates"):
            raise HookError(f"the logging hook {op!r} at {point} returned {key!r}, which names the run's own counter")
        try:
            numbers[key] = torch.as_tensor(value).reshape(())
        except (TypeError, ValueError, RuntimeError) as error:
            raise HookError(f"the logging hook {op!r} at {point} returned no number as {key!r}: {error}") from None
    return numbers
