"""One session of a run: from its start or its newest checkpoint to its end or the next stop.

Whatever ends it (the end of training, a signal, a time limit, an exception) passes through the same
shutdown, which leaves every file closed and ``status.json`` true.
"""

from __future__ import annotations

import time
import traceback
import warnings
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from rlrecipe.build import Assembly, make_env
from rlrecipe.checkpoint.store import Checkpoint, CheckpointStore, name_of
from rlrecipe.clock import Alarm
from rlrecipe.interfaces import State
from rlrecipe.recipe.dump import data
from rlrecipe.recipe.evaluation import evaluation_env
from rlrecipe.runs.directory import RunDirectory, as_json, status
from rlrecipe.runs.evaluation import Evaluation, Evaluator
from rlrecipe.runs.progress import Display
from rlrecipe.runs.provenance import versions
from rlrecipe.runs.recorder import Recorder
from rlrecipe.runs.signals import Signals
from rlrecipe.runs.spaces import space_to_json
from rlrecipe.trainers.errors import Diverged

DONE, FAILED, DIVERGED, RESUMABLE = 0, 1, 6, 75


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
        assembly: what was built from the recipe.
        run: the run directory, locked by the caller.
        display: progress.
    """

    def __init__(self, assembly: Assembly, run: RunDirectory, display: Display) -> None:
        self.assembly, self.run, self.display = assembly, run, display
        self.recipe, self.trainer, self.clock = assembly.recipe, assembly.trainer, assembly.trainer.clock
        self.store = CheckpointStore(run.checkpoints)
        self.recorder = Recorder(run.path, self.trainer, self.recipe.trainer.log_interval, display)
        every = self.recipe.evaluation.every
        self.evaluation_alarm = Alarm(every, self.clock) if every is not None else None
        self.checkpoint_alarm = Alarm(self.recipe.checkpoint.every, self.clock)
        self.limit = self.recipe.trainer.time_limit
        self.signals = Signals(self._signalled)
        self.evaluator = Evaluator(
            partial(make_env, evaluation_env(self.recipe), "eval"),
            assembly.policy,
            [t for name, t in assembly.transforms.items() if self._seen_in_evaluation(name)],
            self.trainer.streams,
            lambda: self.signals.received is not None,
        )
        self.best: float | None = None
        self.last: tuple[int, float, float] | None = None
        self.started = time.monotonic()
        self._limit_from = 0.0
        self.trainer.register_module("recorder", self.recorder)
        self.trainer.register_module("session", self)
        self.trainer.boundaries = [
            self.recorder.boundary,
            self._evaluate_if_due,
            self._checkpoint_if_due,
            self._stop_if_due,
        ]

    def _seen_in_evaluation(self, name: str) -> bool:
        phases = {t.component.name: t.phase for t in self.recipe.env.transforms}  # type: ignore[attr-defined]
        return phases[name.split(".")[0]] in ("eval", "both")

    # -- from start to end

    def begin(self, checkpoint: Checkpoint | None, horizon: bool = False) -> None:
        """Put everything to where the checkpoint was taken, or to the start.

        Args:
            checkpoint: of this run.
            horizon: let schedules reach to the run's new end.
        """
        if checkpoint is None:
            self.recorder.clear()
            return
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            self.trainer.load_state_dict(checkpoint.state())
        for warning in caught:
            self.display.say(f"warning: {warning.message}")
        if horizon:
            self.clock.horizon = self.clock.total
        here, there = versions(), checkpoint.manifest["versions"]
        changed = [f"{k} {there.get(k)} -> {v}" for k, v in here.items() if k != "rlrecipe" and there.get(k) != v]
        if changed:
            self.assembly.exact = "continue"
            self.assembly.exact_reason = (
                f"the checkpoint was written with another machine or version: {', '.join(changed)}"
            )
            self.display.say(f"warning: {self.assembly.exact_reason}; the run goes on, but not bit for bit")

    def train(self) -> Outcome:
        """Train to the end or to the next stop; always leaves the directory in order."""
        loggers = [partial(o.component.build, o, self.run.path) for o in self.recipe.loggers]
        outcome = Outcome(FAILED, "failed", "the run was cut short")
        self._limit_from = self.clock.count(self.limit) if self.limit else 0.0
        self._status("running", "training")
        with self.signals:
            try:
                self.recorder.open(loggers)
                self.display.start()
                self.trainer.train()
                outcome = self._finish()
            except Diverged as error:
                outcome = Outcome(DIVERGED, "failed", str(error), error=error)
            except Exception as error:
                with (self.run.path / "run.log").open("a") as log:
                    log.write(traceback.format_exc())
                outcome = Outcome(FAILED, "failed", f"{type(error).__name__}: {error}", error=error)
            finally:
                self._close()
                self._status(outcome.state, outcome.reason)
        return outcome

    def _finish(self) -> Outcome:
        stopped = self.trainer.stopped
        if self.signals.exit_code is not None:
            self.checkpoint()
            return Outcome(self.signals.exit_code, "stopped", f"stopped by {self.signals.received.name}")  # type: ignore[union-attr]
        if stopped == "time limit":
            self.checkpoint()
            return Outcome(RESUMABLE, "stopped", "trainer.time_limit was reached")
        if self.recorder.pending:
            self.recorder.row()
        # With or without a nan_guard: what ended like this has not trained to its end.
        if not bool(self.trainer.update.parameters.flat.isfinite().all()):
            raise Diverged("the final parameters are not finite; the hook nan_guard ends such a run where it begins")
        evaluated = self.last is not None and self.last[0] == self.clock.frames
        if not evaluated and self._evaluate() is None:
            self.checkpoint()
            return Outcome(self.signals.exit_code or FAILED, "stopped", "stopped in the last evaluation")
        self.checkpoint()
        summary = self._summary()
        self.run.write("summary.json", as_json(summary))
        return Outcome(DONE, "finished", stopped or "trained to the end", summary)

    def _summary(self) -> dict[str, Any]:
        assert self.last is not None, "the last evaluation comes before the summary"
        _, mean, std = self.last
        return {
            "name": self.recipe.name,
            "seed": self.recipe.seed,
            "frames": self.clock.frames,
            "updates": self.clock.updates,
            "wall_seconds": round(self.clock.seconds, 3),
            "frames_per_second": round(self.clock.frames / self.clock.seconds, 1),
            "eval_return_mean": mean,
            "eval_return_std": std,
            "eval_episodes": self.recipe.evaluation.episodes,
            "exact": self.assembly.exact,
        }

    def _close(self) -> None:
        for close in (
            self.display.stop,
            self.recorder.close,
            self.evaluator.close,
            self.trainer.collector.close,
        ):
            try:
                close()
            except Exception as error:
                self.display.say(f"while closing: {type(error).__name__}: {error}")

    # -- boundaries, in the order in which they are called after a batch

    def _evaluate_if_due(self) -> None:
        if self.evaluation_alarm is not None and self.evaluation_alarm.fires():
            self._evaluate()

    def _evaluate(self) -> Evaluation | None:
        """Evaluate the policy as it is, write the row, keep the best; None if it was cut short."""
        options = self.recipe.evaluation
        evaluation = self.evaluator.run(options.episodes, options.deterministic)
        if evaluation is None:
            return None
        mean, std = evaluation.mean, evaluation.std
        self.recorder.write({"eval/episode_return_mean": mean, "eval/episode_return_std": std,
                             "eval/episode_length_mean": float(np.mean(evaluation.lengths))})  # fmt: skip
        self.last = (self.clock.frames, mean, std)
        if self.recipe.checkpoint.keep_best and (self.best is None or mean > self.best):
            self.best = mean
            self.store.mark_best(self.checkpoint())
        return evaluation

    def _checkpoint_if_due(self) -> None:
        if self.checkpoint_alarm.fires():
            self.checkpoint()

    def _stop_if_due(self) -> None:
        if self.signals.received is not None:
            self.trainer.stop("signal")
        elif self.limit is not None and self.clock.count(self.limit) - self._limit_from >= self.limit.amount:
            self.trainer.stop("time limit")

    def checkpoint(self) -> str:
        """Write a checkpoint of everything as it is."""
        facts = {
            "frames": self.clock.frames,
            "updates": self.clock.updates,
            "recipe": data(self.recipe),
            "exact": self.assembly.exact,
            "exact_reason": self.assembly.exact_reason,
            "versions": versions(),
        }
        spaces = self.assembly.spaces
        policy = {
            "observation_space": space_to_json(spaces.observation),
            "action_space": space_to_json(spaces.action),
            "transforms": [name for name in self.assembly.transforms if self._seen_in_evaluation(name)],
        }
        self.store.save(self.trainer.state_dict(), policy, facts, self.recipe.checkpoint.keep_last)
        self._status("running", "training")
        return name_of(self.clock.frames, self.clock.updates)

    # -- state

    def state_dict(self) -> State:
        """Alarms and what the evaluations found."""
        alarm = self.evaluation_alarm.state_dict() if self.evaluation_alarm else None
        return {
            "evaluation_alarm": alarm,
            "checkpoint_alarm": self.checkpoint_alarm.state_dict(),
            "best": self.best,
            "last": list(self.last) if self.last else None,
        }

    def load_state_dict(self, state: State) -> None:
        """Go on from a saved state."""
        if self.evaluation_alarm is not None and state["evaluation_alarm"] is not None:
            self.evaluation_alarm.load_state_dict(state["evaluation_alarm"])
        self.checkpoint_alarm.load_state_dict(state["checkpoint_alarm"])
        self.best = state["best"]
        self.last = tuple(state["last"]) if state["last"] else None

    def _status(self, state: str, reason: str) -> None:
        facts = status(
            state,
            self.clock.frames,
            self.clock.updates,
            self.assembly.exact,
            self.assembly.exact_reason,
            reason=reason,
            total={self.clock.total.unit: self.clock.total.amount},
            wall_seconds=round(self.clock.seconds, 3),
            checkpoint=self.store.pointer("latest"),
        )
        self.run.write("status.json", as_json(facts))

    def _signalled(self, text: str) -> None:
        self.display.say(text)
