"""Doing a stretch of a run again, from one of its checkpoints, in a scratch folder.

An exact run is a record of all that ever happened in it: from a checkpoint, the same frames follow.
``verify`` proves it; ``replay`` uses it to ask a finished run what nobody asked while it ran.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rlrecipe.assembly.assemble import assemble
from rlrecipe.assembly.trial import Trial
from rlrecipe.checkpoint.content import Checkpoint
from rlrecipe.checkpoint.store import CheckpointStore, moment_of
from rlrecipe.errors import Refusal, StoppedError
from rlrecipe.loop.points import declared
from rlrecipe.machine import flushing_denormals
from rlrecipe.recipe.dump import dump
from rlrecipe.recipe.options import Options
from rlrecipe.recipe.schema import Recipe
from rlrecipe.recipe.slots import Slot
from rlrecipe.recipe.values import Duration
from rlrecipe.runs.directory import RunDirectory, look_through
from rlrecipe.runs.evaluate import filmed, package_missing
from rlrecipe.runs.load_policy import recipe_of
from rlrecipe.runs.progress import Display
from rlrecipe.runs.recorder import LOGS
from rlrecipe.runs.session import Session, context_of
from rlrecipe.system.files import copy, make_folder


@contextmanager
def standing_at(run_dir: Path, start: Checkpoint | None, recipe: Recipe) -> Iterator[Session]:
    """A session of a run as it stood at a checkpoint, or before its first frame, in a folder that goes away.

    Args:
        run_dir: of the run.
        start: the checkpoint; None for the start.
        recipe: what was run.

    Raises:
        RecipeError: a package that the environment needs is missing (E401).
    """
    quiet = {"loggers": [], "trainer": recipe.trainer.model_copy(update={"time_limit": None})}
    trial = Trial(recipe.model_copy(update=quiet))
    if (fault := trial.fault) is not None:
        raise package_missing(recipe.env, fault) or fault
    with tempfile.TemporaryDirectory(prefix="rlrecipe-") as scratch, flushing_denormals():
        run = RunDirectory.create(Path(scratch) / "run", {"resolved.yaml": dump(recipe)})
        for name in (*LOGS, "provenance.json"):
            if (run_dir / name).is_file():
                copy(run_dir / name, run.path / name)
        display = Display(quiet=True)
        session = Session(assemble(trial, context_of(run.path, display)), run, display)
        try:
            with warnings.catch_warnings():
                # Rows that are missing are told by whoever compares them.
                warnings.filterwarnings("ignore", message=".* is shorter than when it was saved")
                session.begin(start)
            yield session
        finally:
            session.close()


@contextmanager
def stretch(
    run_dir: Path,
    start: Checkpoint | None,
    recipe: Recipe,
    until: int,
    prepare: Callable[[Session], None] = lambda _: None,
) -> Iterator[Session]:
    """A session that has done the frames from ``start`` to ``until`` again, in a folder that goes away.

    Args:
        run_dir: of the run.
        start: where to begin; None for the start.
        recipe: what the stretch was run with.
        until: the batch that reaches these frames is the last.
        prepare: called with the session before it goes.

    Raises:
        Refusal: the session did not get there.
        StoppedError: a signal came.
    """
    with standing_at(run_dir, start, recipe) as session:

        def stop() -> None:
            if session.clock.moment >= until:
                session.trainer.interrupt("the end of the stretch")

        session.trainer.boundaries.append(stop)
        prepare(session)
        if session.clock.moment < until:
            session.catch_up()
            session.trainer.train()
        if session.signals.received is not None:
            raise StoppedError("stopped in the middle of a stretch")
        if session.clock.moment < until:
            raise Refusal(f"the run ended at {session.clock.moment} frames: {session.trainer.ending.reason}")
        yield session


# -- replay


def replay(
    run_dir: Path,
    first: int,
    last: int,
    *,
    hooks: Sequence[str | Mapping[str, Any]] = (),
    video: bool = False,
    imports: Sequence[str] = (),
    trust_imports: bool = False,
) -> Path:
    """Do the frames from ``first`` to ``last`` again with more logging: a row for every batch.

    Args:
        run_dir: a run whose level is exact.
        first: the newest checkpoint at or before these frames is where it starts.
        last: the batch that reaches these frames is the last.
        hooks: observer hooks to add, by name or with their options.
        video: also an episode of the policy as it stands at the end.
        imports: files or modules with components.
        trust_imports: load those that the run declares.

    Returns:
        A new folder under ``replays`` of the run, with ``metrics.jsonl`` and ``episodes.jsonl``.

    Raises:
        Refusal: no checkpoint is early enough, or a hook is no observer.
        UnwritableRunError: nothing can be written to the run's folder.
    """
    look_through(run_dir)
    store = CheckpointStore(run_dir / "checkpoints")
    before = [name for name in store.names() if moment_of(name) <= first]
    if not before:
        raise Refusal(
            f"{run_dir} has no checkpoint at or before frame {first}; there are {', '.join(store.names()) or 'none'}"
        )
    RunDirectory(run_dir).refuse_unwritable(["replays" if (run_dir / "replays").exists() else ""])
    start = store.load(before[-1])
    recipe = recipe_of(start, imports, trust_imports)
    every_batch = {"trainer": recipe.trainer.model_copy(update={"log_interval": Duration(1)})}
    added = [Slot("hook").read(name) for name in hooks]

    def prepare(session: Session) -> None:
        session.recorder.cut({})
        for options in added:
            _add_observer(session, options)

    folder = run_dir / "replays" / f"{moment_of(before[-1])}-{last}"
    with stretch(run_dir, start, recipe.model_copy(update=every_batch), last, prepare) as session:
        make_folder(make_folder(folder.parent) / folder.name)
        for log in LOGS:
            copy(session.run.path / log, folder / log)
        if video:
            filmed(session.evaluation.evaluator, 1, True, folder / "policy.mp4")
    return folder


def _add_observer(session: Session, options: Options) -> None:
    hook = options.component.build(options)
    name = options.component.name
    if not declared(hook).observer:
        raise Refusal(f"the hook {name} does not declare itself an observer, so it could change what is replayed")
    hook.register(session.trainer, f"replay_{name}")
