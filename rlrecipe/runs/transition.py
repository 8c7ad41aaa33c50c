"""What of a state begins anew where a run goes on from it with another recipe.

A fork keeps it in its first checkpoint until a session has begun from there: a kill in between forgets nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from rlrecipe.collectors.sync import without_episodes
from rlrecipe.interfaces import State
from rlrecipe.loop.recipe_loop import RecipeLoop

if TYPE_CHECKING:
    from rlrecipe.runs.session import Session

#: In a checkpoint's file of the session.
KEY = "transition"
#: Durations on whose crossings something happens; those of hooks are the hooks' own.
DURATIONS = (
    "trainer.log_interval",
    "evaluation.every",
    "checkpoint.every",
    "checkpoint.keep_every",
    "algorithm.target.every",
)


@dataclass(frozen=True)
class Transition:
    """What begins anew.

    Attributes:
        episodes: environments start new episodes.
        streams: random streams stand at their beginning.
        modules: what has no state there begins, states of what is gone are left.
        horizon: schedules reach to the run's end.
        durations: dotted options that are counted from here.
        evaluations: the policy is evaluated in another way: no figure of before is one of this run.
    """

    episodes: bool = False
    streams: bool = False
    modules: bool = False
    horizon: bool = False
    durations: tuple[str, ...] = ()
    evaluations: bool = False

    @staticmethod
    def of(keys: Collection[str], horizon: bool = False) -> Transition:
        """What changes of the options at these dotted keys ask for."""
        seed, env = "seed" in keys, any(key.startswith("env.") for key in keys)
        durations = tuple(each for each in DURATIONS if any(key == each or key.startswith(each + ".") for key in keys))
        evaluations = seed or env or any(key.startswith("evaluation.") and key != "evaluation.every" for key in keys)
        anew = any(key.startswith(("hooks", "env.transforms")) for key in keys)
        return Transition(seed or env, seed, anew, horizon, durations, evaluations)

    @staticmethod
    def from_session(session: Mapping[str, Any]) -> Transition | None:
        """What a checkpoint's session says is still to be done, if anything is."""
        kept = session.get(KEY)
        return Transition(**{**kept, "durations": tuple(kept["durations"])}) if isinstance(kept, dict) else None

    def to_session(self) -> dict[str, Any]:
        """As a checkpoint's session keeps it."""
        return {KEY: asdict(self)}

    def lines(self) -> list[str]:
        """What a user should know of it."""
        told = {
            "environments start new episodes": self.episodes,
            "random streams begin anew": self.streams,
            "schedules reach to the new end": self.horizon,
            "evaluations of before are none of this run": self.evaluations,
        }
        return [line for line, true in told.items() if true]

    def adapted(self, state: State, trainer: RecipeLoop) -> State:
        """A saved state without what begins anew."""
        if self.episodes:
            state = {**state, "collector": without_episodes(state["collector"])}
        if self.modules:
            state = {
                name: state[name] if name in state else module.state_dict() for name, module in trainer.modules.items()
            }
        return state

    def apply(self, session: Session) -> None:
        """What is left to do once the state is loaded."""
        if self.episodes:
            session.trainer.restart()
        if self.streams:
            session.trainer.streams.begin_anew()
        if self.horizon:
            session.clock.horizon = session.clock.total
        targets = session.trainer.update.targets
        alarms = (
            session.recorder.alarm,
            session.evaluation.alarm,
            session.checkpoints.alarm,
            session.checkpoints.anchor_alarm,
            targets.alarm if targets is not None else None,
        )
        for name, alarm in zip(DURATIONS, alarms, strict=True):
            if alarm is not None and name in self.durations:
                alarm.align()
        if self.evaluations:
            session.evaluation.last = session.evaluation.best = None
        session.evaluation.forget_elsewhere(session.store)
