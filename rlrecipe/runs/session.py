"""One session of a run: from its start or its newest checkpoint to its end or the next stop.

Whatever ends it (the end of training, a signal, a time limit, an exception) passes through the same
shutdown, which leaves every file closed and ``status.json`` true.
"""

from __future__ import annotations

import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rlrecipe.acting.evaluation import OccupiedError
from rlrecipe.assembly.assemble import Assembly
from rlrecipe.checkpoint.content import Checkpoint
from rlrecipe.checkpoint.store import CheckpointStore
from rlrecipe.context import RunContext
from rlrecipe.errors import Diverged, StoppedError
from rlrecipe.loggers.several import RequiredLoggerError
from rlrecipe.machine import Usage, usage
from rlrecipe.recipe.secrets import masked
from rlrecipe.runs.directory import RunDirectory, as_json, status
from rlrecipe.runs.imports import other_code
from rlrecipe.runs.progress import Display
from rlrecipe.runs.recorder import Recorder
from rlrecipe.runs.scheduled import ScheduledCheckpoint, ScheduledEvaluation
from rlrecipe.runs.taking_up import take_up
from rlrecipe.runs.threads import kept
from rlrecipe.runs.waiting import advice
from rlrecipe.system.signals import RESUMABLE, Signals, asked_to_end, current

DONE, FAILED, DIVERGED = 0, 1, 6


@dataclass(frozen=True)
class Outcome:
    """How a session ended.

    Attributes:
        code: the process's exit code.
        state: as ``status.json`` has it.
        reason: why it ended there.
        summary: content of ``summary.json``, of a finished run.
        error: what was raised, of a failed one.
    """

    code: int
    state: str
    reason: str
    summary: dict[str, Any] = field(default_factory=dict)
    error: BaseException | None = None


class Session:
    """Trains a run in its directory.

    Args:
        assembly: what was built from the recipe, in the context of this run (``context_of``).
        run: the run directory, locked by the caller.
        display: progress.
        signals: that stop it, by default those that are open; one that was noted before it trains ends it there.
    """

    def __init__(self, assembly: Assembly, run: RunDirectory, display: Display, signals: Signals | None = None) -> None:
        self.assembly, self.run, self.display = assembly, run, display
        self.recipe, self.trainer, self.clock = assembly.recipe, assembly.trainer, assembly.trainer.clock
        self.signals = signals or current() or Signals(display.quiet)
        self.store = CheckpointStore(run.checkpoints)
        self.recorder = Recorder(run.path, self.trainer, self.recipe.trainer.log_interval, display, self._asked_to_end)
        self.evaluation = ScheduledEvaluation(assembly, self._asked_to_end, self.trainer.say)
        self.checkpoints = ScheduledCheckpoint(assembly, self.store, self.evaluation, self._own, display.say)
        self.limit = self.recipe.trainer.time_limit
        self._limit_from = 0.0
        self._usage: Usage | None = None
        self._told_of_pace = False
        for name in ("recorder", "evaluation", "checkpoints"):
            self.trainer.register_module(name, getattr(self, name))
        self.trainer.boundaries += (self._record, self._keep)

    # -- from start to end

    def begin(self, checkpoint: Checkpoint | None, horizon: bool = False) -> None:
        """Put everything to where the checkpoint was taken, or to the start.

        Args:
            checkpoint: of this run.
            horizon: let schedules reach to the run's new end.
        """
        if checkpoint is None:
            self.recorder.cut({})
            return
        level = self.assembly.level
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            transition = take_up(self, checkpoint)
        for warning in caught:
            self.display.say(f"warning: {warning.message}")
        if caught:
            level.lower("continue", str(caught[0].message))
        if any(piece is None for piece in checkpoint.pieces.values()):
            level.lower("continue", "the run went on without the content of its replay buffer (--without-buffer)")
        # What was lost once stays lost, and is said as it was then.
        level.lower(checkpoint.fact("exact"), checkpoint.fact("exact_reason"), anew=True)
        if horizon:
            self.clock.horizon = self.clock.total
        other = other_code(self.run.path, self.recipe.imported)
        if other is not None:
            level.lower("continue", other)
            self.display.say(f"warning: {other}; the run goes on, but not bit for bit")
        here, there = self.checkpoints.versions, checkpoint.fact("versions")
        # Earlier versions did not say on how many cores their threads ran.
        there = {"threads": here["threads"], **there}
        changed = [f"{k} {there.get(k)} -> {v}" for k, v in here.items() if k != "rlrecipe" and there.get(k) != v]
        if changed:
            reason = f"the checkpoint was written with another machine or version: {', '.join(changed)}"
            level.lower("continue", reason)
            self.display.say(f"warning: {reason}; the run goes on, but not bit for bit")
        if horizon or transition is not None:
            # From here on the checkpoint says so: a kill must not forget it.
            self.checkpoints.save()

    def train(self, settle: Callable[[], None] = lambda: None) -> Outcome:
        """Train to the end or to the next stop; always leaves the directory in order.

        Args:
            settle: called once the status says that the run is going on.
        """
        outcome = Outcome(FAILED, "failed", "the run was cut short")
        self._limit_from = self.clock.count(self.limit) if self.limit else 0.0
        with self.signals, kept(self.display.log):
            try:
                self.announce()
                settle()
                self.recorder.open(self.recipe.loggers)
                self.display.start()
                self.catch_up()
                if self.signals.received is not None:
                    self.trainer.interrupt("signal")
                self.trainer.train()
                outcome = self.finish()
            except StoppedError:
                outcome = self._stopped()
            except Diverged as error:
                last = self.store.pointer("latest")
                outcome = Outcome(DIVERGED, "failed", f"{error}; the checkpoint before is {last}", error=error)
            except KeyboardInterrupt as error:
                # Where this is not the main thread, or something else has taken the handler.
                outcome = Outcome(130, "stopped", "stopped by Ctrl-C in the middle of a batch", error=error)
            except BaseException as error:
                self.display.log(traceback.format_exc())
                outcome = Outcome(FAILED, "failed", failure(error), error=error)
            finally:
                required = self.close()
                if required is not None and outcome.code == DONE:
                    outcome = Outcome(FAILED, "failed", str(required), outcome.summary, required)
                self._status(outcome.state, outcome.reason)
        return outcome

    def catch_up(self) -> None:
        """Make the evaluation that a signal cut short in the session before."""
        if self.evaluation.pending and self._row(evaluates=True) and self._better and not self.trainer.complete:
            self.checkpoints.save()

    def finish(self) -> Outcome:
        """The last checkpoint, and for a run that is complete its evaluation and row, if they are not there yet."""
        resumable = not self.trainer.complete or not self._conclude()
        if not self.checkpoints.save():
            return Outcome(FAILED, "failed", "the last checkpoint could not be written")
        if resumable and self.signals.received is not None:
            return self._stopped()
        if resumable:
            return Outcome(RESUMABLE, "stopped", self.trainer.interrupted or "")
        summary = self._summary()
        self.run.write("summary.json", as_json(summary))
        return Outcome(DONE, "finished", self.trainer.ending.reason or "trained to the end", summary)

    def _stopped(self) -> Outcome:
        assert self.signals.received is not None, "a signal asked for it"
        return Outcome(self.signals.exit_code or RESUMABLE, "stopped", f"stopped by {self.signals.received.name}")

    def _summary(self) -> dict[str, Any]:
        return {
            "name": self.recipe.name,
            "seed": self.recipe.seed,
            "frames": self.clock.frames,
            "updates": self.clock.updates,
            "wall_seconds": round(self.clock.seconds, 3),
            "frames_per_second": round(self.clock.frames / self.clock.seconds, 1),
            **self.evaluation.facts(),
            "exact": self.assembly.exact,
        }

    def close(self) -> RequiredLoggerError | None:
        """Close every file, display and environment; what a logger that is required failed with."""
        parts = (self.display.stop, self.recorder.close, self.evaluation.evaluator.close, self.trainer.collector.close)
        required: RequiredLoggerError | None = None
        for close in parts:
            try:
                close()
            except RequiredLoggerError as error:
                required = error
                self.display.say(str(error), always=True)
            except BaseException as error:
                # One that cannot be closed must not keep the others open.
                self.display.say(f"while closing: {type(error).__name__}: {error}")
        return required

    def _figures(self) -> dict[str, float] | None:
        """An evaluation's, or None if it was cut short; empty where there can be none while training goes on."""
        try:
            return self.evaluation.run()
        except OccupiedError as error:
            if self.trainer.complete:
                # Its environments make room.
                self.trainer.put_away()
                return self.evaluation.run()
            # It could be built no better next time.
            self.evaluation.alarm = None
            self.display.say(f"warning: {error}; the policy is evaluated once, after training")
            return {}

    def _asked_to_end(self) -> bool:
        """Whether a signal has come."""
        return self.signals.received is not None

    # -- after every batch

    def _record(self) -> None:
        """The batch's episodes, an evaluation if one is due, and the row with its figures."""
        self.recorder.boundary()
        due = self.evaluation.is_due()
        if self.trainer.complete:
            self._conclude()
        else:
            self._row(evaluates=due)

    def _row(self, *, evaluates: bool) -> bool:
        """Evaluate if asked to, and write what is due; False if that was cut short, and the row waits for it."""
        figures = self._figures() if evaluates else {}
        if figures is None:
            return False
        self.recorder.row(figures, last=self.trainer.complete)
        return True

    def _conclude(self) -> bool:
        """Evaluate the final policy; False if that was cut short. An error must not cost the policy."""
        try:
            return self._row(evaluates=not self.evaluation.is_current)
        except Exception:
            self.checkpoints.save()
            raise

    @property
    def _better(self) -> bool:
        """Whether the policy as it is is the best, and is to be kept for it."""
        return self.recipe.checkpoint.keep_best and self.evaluation.is_best

    def _keep(self) -> None:
        """After the row: a checkpoint that is due, or of the best; then whether to stop."""
        self._tell_of_pace()
        due = self.checkpoints.is_due()
        if self.signals.received is not None:
            self.trainer.interrupt("signal")
        elif self.limit is not None and self.clock.count(self.limit) - self._limit_from >= self.limit.amount:
            self.trainer.interrupt("trainer.time_limit was reached")
        # The last batch's checkpoint follows the last evaluation.
        if due and self.assembly.exact == "boundary":
            # Where episodes cannot be saved in the middle, this run starts new ones where a resumed one has to.
            self.trainer.restart()
        if (due or self._better) and not self.trainer.complete and self.trainer.interrupted is None:
            self.checkpoints.save()
            self.announce()

    def _tell_of_pace(self) -> None:
        """Say once that updates have become several times slower, and what helps."""
        pace = self.trainer.pace
        if pace.usual is not None and self._usage is None:
            self._usage = usage()
        if pace.slower is not None and self._usage is not None and not self._told_of_pace:
            self._told_of_pace = True
            self.display.say(f"warning: {advice(pace.slower, int(self.recipe.runtime.threads), self._usage)}")

    def announce(self) -> None:
        """Say that the run is going on."""
        self._status("running", "training")

    def _own(self) -> dict[str, Any]:
        """What a checkpoint holds of this session only."""
        own = {"seconds": self.clock.seconds, "files": self.recorder.positions()}
        return {**own, "digests": self.recorder.digests()}

    def _status(self, state: str, reason: str) -> None:
        facts = status(
            state,
            self.clock.frames,
            self.clock.updates,
            self.assembly.exact,
            self.assembly.exact_reason,
            # What a library raised may hold the address of a server with a password.
            reason=masked(reason),
            total={self.clock.total.unit: self.clock.total.amount},
            wall_seconds=round(self.clock.seconds, 3),
            checkpoint=self.store.pointer("latest"),
            **self.run.origin(),
        )
        try:
            self.run.write("status.json", as_json(facts))
        except OSError as error:
            self.display.say(f"ERROR: {self.run.path / 'status.json'} cannot be replaced: {error.strerror or error}")
            self.run.overwrite("status.json", as_json(facts))


def context_of(folder: Path, display: Display) -> RunContext:
    """The run around a trainer that is built before its folder is there: a refused recipe leaves none."""
    return RunContext(folder, display.say, lambda line: display.say(f"warning: {line}"), interrupted=asked_to_end)


def failure(error: BaseException) -> str:
    """What made a run fail, in one line."""
    name = type(error).__name__
    if isinstance(error, SystemExit):
        return f"a component's code asked the process to exit ({name}: {error}); components raise an exception instead"
    said = f"{name}: {error}" if str(error) else name
    # The first that was added is of who was nearest to it.
    notes = getattr(error, "__notes__", ())
    return f"{said}, {notes[0]}" if notes else said
