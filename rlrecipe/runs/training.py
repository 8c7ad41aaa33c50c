"""A session that trains in a run directory, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlrecipe.assembly.assemble import Assembly, total_of
from rlrecipe.checkpoint.content import Checkpoint
from rlrecipe.machine import flushing_denormals
from rlrecipe.recipe.dump import dump
from rlrecipe.recipe.schema import Recipe
from rlrecipe.runs.directory import RunDirectory
from rlrecipe.runs.progress import Display
from rlrecipe.runs.session import Outcome, Session
from rlrecipe.runs.waiting import chosen
from rlrecipe.system.signals import Signals

if TYPE_CHECKING:
    from rlrecipe.runs.profile import Profile


@dataclass(frozen=True)
class Result:
    """A session's outcome, the run directory, and the recipe that it was run with."""

    outcome: Outcome
    run_dir: Path
    recipe: Recipe
    #: Of a fork: its parent, the frame, the changes, as its provenance has them.
    fork: Mapping[str, Any] = field(default_factory=dict)

    @property
    def imports(self) -> tuple[str, ...]:
        """The user's files and modules that the run declares."""
        return tuple(self.recipe.imports)

    @property
    def longer(self) -> tuple[str, ...]:
        """What to change in order to go on for as long again: the words after ``-s``."""
        total = total_of(self.recipe)
        again = f"trainer.total_{total.unit}={2 * int(total.amount)}"
        # A schedule that has come to its end would stay there.
        optimizer: Any = self.recipe.optimizer
        return (again, "--horizon") if optimizer.schedule is not None else (again,)

    @property
    def summary(self) -> dict[str, Any]:
        """Content of ``summary.json``; empty for a run that is not finished."""
        return self.outcome.summary


@flushing_denormals()
def train_in(
    directory: RunDirectory,
    build: Callable[[], Assembly],
    checkpoint: Checkpoint | None,
    display: Display,
    signals: Signals,
    *,
    begun: Callable[[], None] = lambda: None,
    horizon: bool = False,
    profile: Profile | None = None,
) -> Result:
    """Train in a run directory, from a checkpoint in it or from the start, to the end or to the next stop."""
    directory.lock()
    try:
        assembly = build()
        with signals:
            display.log_to(directory.path / "run.log")
            session = Session(assembly, directory, display, signals)
            try:
                session.begin(checkpoint, horizon)
            except BaseException:
                session.close()
                raise
            begun()
            if profile is not None:
                profile.attach(session)
                profile.go_on("hooks and loop")
            outcome = session.train(partial(_settle, session, checkpoint is None))
            if profile is not None:
                profile.write(directory.path, display.say)
            return Result(outcome, directory.path, assembly.recipe)
    finally:
        directory.unlock()


def _settle(session: Session, new: bool) -> None:
    """What a session leaves in its folder before it trains, and says."""
    assembly = session.assembly
    if new:
        # Whatever happens from here on, there is a checkpoint from before it.
        session.checkpoints.save()
    else:
        # After the status says "running": a kill in between leaves a run that can be asked again.
        session.run.write("resolved.yaml", dump(assembly.recipe))
    recipe, level = assembly.recipe, f"{assembly.exact} ({assembly.exact_reason})"
    session.display.say(f"{session.run.path}: {recipe.name}, seed {recipe.seed}; resume level {level}")
    for hint in assembly.hints:
        session.display.say(f"warning: {hint}")
    session.display.say(_updates(assembly))
    if (waiting := chosen()) is not None and waiting.asleep and int(recipe.runtime.threads) > 1:
        session.display.say(f"its threads wait for each other asleep: {waiting.reason}")


def _updates(assembly: Assembly) -> str:
    """What becomes of the updates, and why."""
    compiles, reason = assembly.compiling.compile == "on", assembly.compiling.reason
    if compiles and assembly.trainer.points.ops["optimizer"]:
        compiles, reason = False, "a hook at the point optimizer takes the steps"
    return f"updates are {'compiled' if compiles else 'not compiled'}: {reason}"
