"""What happens at the end of some batches: an evaluation, a checkpoint."""

from __future__ import annotations

import gc
from bisect import bisect_left
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from rlrecipe.acting.evaluation import Evaluator
from rlrecipe.assembly.assemble import Assembly
from rlrecipe.assembly.environments import in_phase
from rlrecipe.checkpoint.content import pack
from rlrecipe.checkpoint.store import CheckpointStore, name_of
from rlrecipe.clock import Alarm
from rlrecipe.interfaces import State
from rlrecipe.recipe.dump import data
from rlrecipe.runs.provenance import versions
from rlrecipe.runs.spaces import space_to_json


class Evaluated(NamedTuple):
    """An evaluation: frames and updates when it was made, its figures, and how many of its episodes were cut."""

    frames: int
    mean: float
    std: float
    cut: int
    updates: int


class ScheduledEvaluation:
    """Evaluates the policy as it is, and remembers the best.

    Args:
        assembly: what is trained.
        interrupted: asked at every step of an evaluation, which is then cut short.
        say: tells of episodes that did not end.
    """

    def __init__(self, assembly: Assembly, interrupted: Callable[[], bool], say: Callable[[str], None]) -> None:
        self.options, self.clock = assembly.recipe.evaluation, assembly.trainer.clock
        self.alarm = Alarm(self.options.every, self.clock) if self.options.every is not None else None
        assert assembly.trainer.stage is not None, "a recipe's trainer has one"
        self.evaluator = Evaluator(assembly.trainer.stage, assembly.trainer.streams, interrupted, say=say)
        #: Whether one was cut short, and is still to be made.
        self.pending = False
        #: The newest evaluation.
        self.last: Evaluated | None = None
        #: Mean return of the best one, and the name of its checkpoint.
        self.best: tuple[float, str] | None = None

    @property
    def wanted(self) -> bool:
        """Whether the run is evaluated at all."""
        return self.options.episodes > 0

    def is_due(self) -> bool:
        """Whether it is time for one."""
        return self.alarm is not None and self.alarm.fires() and self.wanted

    def run(self) -> dict[str, float] | None:
        """Evaluate; the figures for the row of this boundary, or None if it was cut short."""
        evaluation = self.evaluator.run(self.options.episodes, self.options.deterministic)
        self.pending = evaluation is None
        if evaluation is None:
            return None
        mean, std = evaluation.mean, evaluation.std
        self.last = Evaluated(self.clock.frames, mean, std, evaluation.cut, self.clock.updates)
        if self.best is None or mean > self.best[0]:
            self.best = (mean, name_of(self.clock.frames, self.clock.updates))
        return {
            "eval/episode_return_mean": mean,
            "eval/episode_return_std": std,
            "eval/episode_length_mean": float(np.mean(evaluation.lengths)),
            "eval/episodes_cut": evaluation.cut,
        }

    @property
    def is_current(self) -> bool:
        """Whether the newest evaluation is of the policy as it is; also where there are to be none."""
        return not self.wanted or self._of_now(self.last)

    def _of_now(self, evaluated: Evaluated | None) -> bool:
        # By updates, too: a run that learns from a dataset has no frames.
        now = (self.clock.frames, self.clock.updates)
        return evaluated is not None and (evaluated.frames, evaluated.updates) == now

    @property
    def is_best(self) -> bool:
        """Whether the policy as it is is the best of those that were evaluated."""
        return self.best is not None and self.best[1] == name_of(self.clock.frames, self.clock.updates)

    def facts(self) -> dict[str, Any]:
        """What ``summary.json`` says of the final policy; null where it was not evaluated."""
        last = self.last if self.wanted else None
        return {
            "eval_return_mean": last and last.mean,
            "eval_return_std": last and last.std,
            "eval_episodes": self.options.episodes if self.wanted else None,
            "eval_episodes_cut": last and last.cut,
        }

    def forget_elsewhere(self, store: CheckpointStore) -> None:
        """Let the best be one that is here: this run's newest evaluation, or none yet."""
        names, here = store.names(), name_of(self.clock.frames, self.clock.updates)
        if self.best is not None and self.best[1] not in names:
            last = self.last if self._of_now(self.last) and here in names else None
            self.best = (last.mean, here) if last is not None else None

    def state_dict(self) -> State:
        """The alarm, the newest and the best evaluation."""
        alarm = self.alarm.state_dict() if self.alarm else None
        # Its updates follow from its frames, where there are some.
        last = None if self.last is None else tuple(self.last[:4] if self.last.frames else self.last)
        return {"alarm": alarm, "pending": self.pending, "last": last, "best": self.best}

    def load_state_dict(self, state: State) -> None:
        """Go on from a saved state."""
        if self.alarm is not None and state["alarm"] is not None:
            self.alarm.load_state_dict(state["alarm"])
        elif self.alarm is not None:
            # There were none until now.
            self.alarm.align()
        self.pending, self.best = state["pending"] and self.wanted, state["best"]
        # Older checkpoints do not say how many episodes were cut: none could be.
        last, usual = state["last"], (0, self.clock.updates)
        self.last = None if last is None else Evaluated(*last, *usual[len(last) - 3 :])


class ScheduledCheckpoint:
    """Writes checkpoints of everything as it is.

    Args:
        assembly: what is trained.
        store: where they go.
        evaluation: says which is the best.
        session: what belongs to this session only, asked at each save.
        say: tells of a save that failed.
    """

    def __init__(
        self,
        assembly: Assembly,
        store: CheckpointStore,
        evaluation: ScheduledEvaluation,
        session: Callable[[], dict[str, Any]],
        say: Callable[[str], None],
    ) -> None:
        self.assembly, self.store, self.evaluation = assembly, store, evaluation
        self.session, self.say = session, say
        self.options, self.clock = assembly.recipe.checkpoint, assembly.trainer.clock
        self.alarm = Alarm(self.options.every, self.clock)
        every = self.options.keep_every
        self.anchor_alarm = Alarm(every, self.clock) if every is not None else None
        self.anchors: list[str] = []
        self.versions = versions(int(assembly.recipe.runtime.threads))

    def is_due(self) -> bool:
        """Whether it is time for one."""
        return self.alarm.fires()

    def save(self) -> bool:
        """Write a checkpoint and prune; False, loudly, if it could not be written."""
        name = name_of(self.clock.frames, self.clock.updates)
        if self.anchor_alarm is not None and self.anchor_alarm.fires():
            self.anchors.append(name)
        session = {**self.session(), "previous": self.store.before(name)}
        contents = pack(
            self.assembly.trainer.state_dict(), self._policy(), session, self._facts(name), self.options.backend
        )
        try:
            self.store.save(name, contents)
            self.mark_best()
            self.store.prune(self.options.keep_last, self._is_anchor)
        except OSError as error:
            self.say(f"ERROR: the checkpoint {name} could not be written: {error.strerror}; the one before it is kept")
            return False
        # Indented JSON and safetensors leave cycles of objects, which would pile up until there are 100,000 objects.
        gc.collect(0)
        return True

    def _is_anchor(self, name: str) -> bool:
        at = bisect_left(self.anchors, name)
        return self.anchors[at : at + 1] == [name]

    def mark_best(self) -> None:
        """Let ``best`` name the checkpoint of the best evaluation, if that is kept."""
        best = self.evaluation.best
        if self.options.keep_best and best and self.store.holds(best[1]) and self.store.pointer("best") != best[1]:
            self.store.point("best", best[1])

    def _facts(self, name: str) -> dict[str, Any]:
        return {
            "frames": self.clock.frames,
            "updates": self.clock.updates,
            "recipe": data(self.assembly.recipe),
            "exact": self.assembly.exact,
            "exact_reason": self.assembly.exact_reason,
            "versions": self.versions,
            "previous": self.store.previous(name),
        }

    def _policy(self) -> dict[str, Any]:
        spaces = self.assembly.spaces
        return {
            "observation_space": space_to_json(spaces.observation),
            "action_space": space_to_json(spaces.action),
            "statistics": list(self.assembly.transforms),
            "transforms": in_phase(self.assembly.recipe.env, "eval"),
        }

    def state_dict(self) -> State:
        """The alarms and the anchors so far."""
        anchor = self.anchor_alarm.state_dict() if self.anchor_alarm else None
        return {"alarm": self.alarm.state_dict(), "anchor_alarm": anchor, "anchors": self.anchors}

    def load_state_dict(self, state: State) -> None:
        """Go on from a saved state."""
        self.alarm.load_state_dict(state["alarm"])
        if self.anchor_alarm is not None and state["anchor_alarm"] is not None:
            self.anchor_alarm.load_state_dict(state["anchor_alarm"])
        elif self.anchor_alarm is not None:
            self.anchor_alarm.align()
        self.anchors = list(state["anchors"])
