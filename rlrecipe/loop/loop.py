"""The training loop.

Glossary. A *frame* is one decision of an agent: a step of one environment, after frame skip. A *batch*
is what one collection yields, ``[T, N, ...]``; a *sub-batch* is what one update learns from, ``[B, ...]``.
An *update* is one step of the optimizer.

The loop and its ten hook points (``rlrecipe.loop.points`` says what each takes)::

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

Two kinds of trainer fill it in: ``RecipeTrainer`` with the parts that a recipe names, on plain arrays, and
``Trainer`` with parts of your own, on TensorDicts.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from rlrecipe.clock import Clock
from rlrecipe.context import RunContext
from rlrecipe.interfaces import State, Stateful
from rlrecipe.loop.averages import Averages
from rlrecipe.loop.points import POINTS, Category, HookError, Op, Points, Registered
from rlrecipe.streams import Streams

if TYPE_CHECKING:
    from rlrecipe.acting.evaluation import Stage


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


class FrozenState:
    """The state of a part that is closed, in its place among the modules: what is saved again is this."""

    def __init__(self, state: State) -> None:
        self.state = state

    def state_dict(self) -> State:
        """As it was."""
        return self.state

    def load_state_dict(self, state: State) -> None:
        """Another one takes its place."""
        self.state = state


class Loop(ABC):
    """Takes batches and learns from them until the clock says that the run is complete.

    Args:
        clock: counts; training goes on while it is not done.
        streams: the run's random streams.
        parts: what is saved and restored with the loop, by name, in the order in which it is restored.
        context: the run around it.
        stage: where the policy can be evaluated, of a trainer that has such a place.
    """

    #: Its hook points, with the category of the hooks that each takes.
    categories: ClassVar[Mapping[str, Category]] = POINTS
    collector: Any
    #: What turns losses into new parameters, and which losses there are; hooks look at both.
    update: Any
    algorithm: Any
    #: By which learning rates are multiplied, by the clock.
    lr_factor: Any

    def __init__(
        self,
        clock: Clock,
        streams: Streams,
        parts: Mapping[str, Stateful],
        context: RunContext | None = None,
        stage: Stage | None = None,
    ) -> None:
        self.clock, self.streams, self.points = clock, streams, Points(self.categories)
        #: What the next row says of the losses and of what logging hooks returned, and what the bar shows.
        self.losses, self.logged, self.progress = Averages(), Averages(), dict[str, float]()
        #: What logging hooks returned last, by name.
        self.newest: dict[str, torch.Tensor] = {}
        self.ending, self.modules = Ending(), dict[str, Stateful]()
        own: dict[str, Stateful] = {"losses": self.losses, "logged": self.logged, "ending": self.ending}
        for name, module in {**parts, **own}.items():
            self.register_module(name, module)
        #: Called at the end of every batch, in this order: evaluation, row, checkpoint.
        self.boundaries: list[Callable[[], None]] = []
        #: Frames, return and length of each episode that ended in the newest batch.
        self.episodes: list[tuple[int, float, int]] = []
        context = context or RunContext()
        self.stage, self.folder, self.say = stage, context.folder, context.warn
        #: Why this session ends before the run does: a signal, a time limit. No part of the run's state.
        self.interrupted: str | None = None

    # -- the loop

    def train(self) -> None:
        """Run the loop until the clock is done or somebody called ``stop``."""
        for batch in self._batches():
            self._learn(batch)
            for boundary in self.boundaries:
                boundary()

    def _learn(self, batch: Any) -> None:
        """A batch from its collection to the end of its updates."""
        batch = self._processed(batch)
        self._log("pre_steps_log", batch)
        self._operate("pre_optim_steps")
        batch = self._before_updates(batch)
        for j in self._begin(batch):
            sub_batch = self._sub_batch(batch)
            if sub_batch is None or not self._update(sub_batch, j):
                break
            self.clock.updates += 1
            self._operate("post_optim")
            self._log("post_optim_log", sub_batch, rows=True)
        self._after_updates(batch)
        self._operate("post_steps")
        self._log("post_steps_log", batch)

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

    # -- what each kind of trainer does in its own way

    @abstractmethod
    def _batches(self) -> Iterator[Any]:
        """Batches until the run is complete or interrupted; they are counted here."""

    def _processed(self, batch: Any) -> Any:
        """A collected batch as it is learned from: what the hooks at batch_process make of it."""
        return self._data("batch_process", batch)

    def _before_updates(self, batch: Any) -> Any:
        """What a kind of trainer makes of a batch between its point pre_optim_steps and its updates."""
        return batch

    def _after_updates(self, batch: Any) -> None:
        """What a kind of trainer does between a batch's updates and its point post_steps."""
        return

    @abstractmethod
    def _begin(self, batch: Any) -> Iterable[int]:
        """The indexes of a batch's updates."""

    @abstractmethod
    def _sub_batch(self, batch: Any) -> Any:
        """What the next update learns from, after the hooks at process_optim_batch; None: there is no more."""

    @abstractmethod
    def _update(self, sub_batch: Any, j: int) -> bool:
        """Losses, the hooks at post_loss and optimizer, and the step; False if the updates end instead."""

    @abstractmethod
    def _given(self, batch: Any, plain: bool, rows: bool) -> Any:
        """A batch, or with ``rows`` a sub-batch, as a hook reads it: a plain mapping, or a TensorDict."""

    @abstractmethod
    def _taken(self, batch: Any, changed: Any, plain: bool, rows: bool) -> Any:
        """What a data hook returned, as the trainer keeps it; ``batch`` is what it was before."""

    def loss_names(self) -> list[str] | None:
        """Names of the losses, or None where that is known only once they were computed."""
        return None

    # -- hooks

    def register_op(self, point: str, op: Op, **arguments: Any) -> None:
        """Call ``op`` at a hook point, with ``arguments`` besides what the point gives it.

        A hook with a state is saved and restored with the trainer, registered as a module or not.

        Raises:
            HookError: no such point, another category, or not callable.
        """
        hook = self._read(point, op, arguments)
        if (misfit := self._misfit(point, hook)) is not None:
            raise HookError(misfit)
        self.points.ops[point].append(hook)
        owner = hook.owner
        if all(owner is not module for module in self.modules.values()) and self._has_state(owner):
            self.register_module(f"hook_{type(owner).__name__}_{len(self.modules)}", owner)

    def _read(self, point: str, op: Op, arguments: Mapping[str, Any]) -> Registered:
        """What a hook says of itself, as it is called here."""
        return self.points.read(point, op, arguments)

    def _has_state(self, owner: Any) -> bool:
        """Whether a hook has a state to save."""
        return isinstance(owner, Stateful)

    def _misfit(self, point: str, hook: Registered) -> str | None:
        """Why this kind of trainer has nothing for a hook at a point, or None where it has."""
        return None

    def register_module(self, name: str, module: Stateful) -> None:
        """Save and restore ``module`` under ``name``.

        Raises:
            HookError: the name is taken by another module, or the module has no state to save.
        """
        if not isinstance(name, str):
            raise HookError(f"register_module takes the name first: register_module({module!r}, {type(name).__name__})")
        if not isinstance(module, Stateful):
            raise HookError(f"the module {name!r} has no state_dict and load_state_dict, so it cannot be saved")
        if self.modules.setdefault(name, module) is not module:
            raise HookError(
                f"two modules are registered as {name!r}; their states would overwrite each other: give one of them "
                'another name, as in hook.register(trainer, "another")'
            )

    def _data(self, point: str, batch: Any) -> Any:
        for hook in self.points.ops[point]:
            batch = self._changed(point, hook, batch)
        return batch

    def _changed(self, point: str, hook: Registered, batch: Any, *, rows: bool = False, draws: bool = False) -> Any:
        """What a data hook makes of a batch, of a sub-batch (``rows``), or of a batch as a sub-batch (``draws``).

        Raises:
            HookError: it returned nothing, and did not say so.
        """
        plain = hook.declares.reads_mapping
        given = self._given(batch, plain, rows)
        changed = hook.op(given, **hook.arguments)
        if changed is None:
            if not hook.keeps_batch:
                raise HookError(f"the data hook {hook.op!r} at {point} returned None; return the batch")
            changed = given
        return self._taken(batch, changed, plain, rows or draws)

    def _operate(self, point: str) -> None:
        for hook in self.points.ops[point]:
            hook.op(**hook.arguments)

    def _log(self, point: str, batch: Any, *, rows: bool = False) -> None:
        for hook in self.points.ops[point]:
            values = hook.op(self._given(batch, hook.declares.reads_mapping, rows), **hook.arguments)
            if values:
                shown = bool(values.get("log_pbar", False))
                numbers = _numbers(hook.op, point, values)
                newest = hook.declares.logs_newest
                self.logged.add({key: value for key, value in numbers.items() if key not in newest})
                self.logged.replace({key: value for key, value in numbers.items() if key in newest})
                self.newest.update(numbers)
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
            # A float as it is: float32 counts to 16 million.
            exact = torch.float64 if isinstance(value, float) else None
            numbers[key] = torch.as_tensor(value, dtype=exact).reshape(())
        except (TypeError, ValueError, RuntimeError) as error:
            raise HookError(f"the logging hook {op!r} at {point} returned no number as {key!r}: {error}") from None
    return numbers
