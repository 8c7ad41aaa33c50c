"""Doing a stretch of a run again, from one of its checkpoints, in a scratch folder.

An exact run is a record of all that ever happened in it: from a checkpoint, the same frames follow.
``verify`` proves it; ``replay`` uses it to ask a finished run what nobody asked while it ran.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch

from rlrecipe.build import make_trainer
from rlrecipe.checkpoint.content import SESSION, Checkpoint
from rlrecipe.checkpoint.store import CheckpointStore
from rlrecipe.checkpoint.verified import DamagedCheckpoint
from rlrecipe.errors import Refusal, StoppedError
from rlrecipe.files import copy, make_folder, open_binary
from rlrecipe.recipe.dump import dump
from rlrecipe.recipe.options import Options, Slot
from rlrecipe.recipe.schema import Recipe
from rlrecipe.recipe.values import Duration
from rlrecipe.runs.arithmetic import flushing_denormals
from rlrecipe.runs.directory import RunDirectory, look_through
from rlrecipe.runs.evaluate import filmed
from rlrecipe.runs.policy import recipe_of
from rlrecipe.runs.progress import Display
from rlrecipe.runs.recorder import LOGS
from rlrecipe.runs.session import Session
from rlrecipe.state import Arrays


@contextmanager
def stretch(
    run_dir: Path, start: Checkpoint, recipe: Recipe, until: int, prepare: Callable[[Session], None] = lambda _: None
) -> Iterator[Session]:
    """A session that has done the frames from ``start`` to ``until`` again, in a folder that goes away.

    Args:
        run_dir: of the run.
        start: where to begin.
        recipe: what the stretch was run with.
        until: the batch that reaches these frames is the last.
        prepare: called with the session before it goes.

    Raises:
        Refusal: the session did not get there.
        StoppedError: a signal came.
    """
    quiet = {"loggers": [], "trainer": recipe.trainer.model_copy(update={"time_limit": None})}
    with tempfile.TemporaryDirectory(prefix="rlrecipe-") as scratch, flushing_denormals():
        run = RunDirectory.create(Path(scratch) / "run", {"resolved.yaml": dump(recipe)})
        for name in (*LOGS, "provenance.json"):
            if (run_dir / name).is_file():
                copy(run_dir / name, run.path / name)
        session = Session(make_trainer(recipe.model_copy(update=quiet)), run, Display(quiet=True))

        def stop() -> None:
            if session.clock.frames >= until:
                session.trainer.interrupt("the end of the stretch")

        session.trainer.boundaries.append(stop)
        try:
            session.begin(start)
            prepare(session)
            session.trainer.train()
            if session.signals.received is not None:
                raise StoppedError("stopped in the middle of a stretch")
            if session.clock.frames < until:
                raise Refusal(f"the run ended at {session.clock.frames} frames: {session.trainer.ending.reason}")
            yield session
        finally:
            session.close()


# -- verify


@dataclass(frozen=True)
class Verified:
    """One stretch: names of the checkpoints at its ends, and what differs, or None."""

    start: str
    end: str
    difference: str | None


def verify(
    run_dir: Path, sample: int | None = None, *, imports: Sequence[str] = (), trust_imports: bool = False
) -> Iterator[Verified]:
    """Do stretches between neighbouring checkpoints again and compare the digests of what they lead to.

    Args:
        run_dir: a run whose level is exact.
        sample: how many stretches, spread over the run; None for all.
        imports: files or modules with the run's components.
        trust_imports: load those that the run declares.

    Raises:
        Refusal: there is nothing to verify.
    """
    look_through(run_dir)
    store = CheckpointStore(run_dir / "checkpoints")
    names = store.names()
    pairs = list(pairwise(names))
    if not pairs:
        raise Refusal(
            f"{run_dir} has {len(names)} checkpoints; a stretch lies between two (checkpoint.keep_every keeps more)"
        )
    if sample is not None and sample < len(pairs):
        step = (len(pairs) - 1) / max(1, sample - 1)
        pairs = [pairs[round(i * step)] for i in range(sample)]
    for first, second in pairs:
        try:
            start, end = store.load(first), store.load(second)
            recipe = recipe_of(end, imports, trust_imports)
            yield Verified(first, second, _difference(run_dir, start, end, recipe))
        except DamagedCheckpoint as error:
            yield Verified(first, second, str(error))


def _difference(run_dir: Path, start: Checkpoint, end: Checkpoint, recipe: Recipe) -> str | None:
    if end.manifest["exact"] != "exact":
        return f"the level is {end.manifest['exact']} ({end.manifest['exact_reason']}): nothing can be proved"
    with stretch(run_dir, start, recipe, int(end.manifest["frames"])) as session:
        store, name = session.store, end.folder.name
        if session.trainer.complete:
            session.finish()
        elif name not in store.names():
            session.checkpoints.save()
        again = store.load(name)
        row = _first_row(run_dir, session.run.path, start.manifest["frames"], end.manifest["frames"])
        files, files_again = end.manifest["files"], again.manifest["files"]
        changed = [file for file in files if file != SESSION and files[file] != files_again.get(file)]
        if row is None and not changed:
            return None
        if session.assembly.exact != "exact":
            return f"it went otherwise here, which proves nothing: {session.assembly.exact_reason}"
        return row or f"frame {end.manifest['frames']}: {_first_key(end, again)} ({', '.join(changed)})"


def _first_row(one: Path, other: Path, start: int, end: int) -> str | None:
    """The first frame and key in which the records of a stretch differ."""
    for log in LOGS:
        rows, again = (_rows(folder / log, start, end) for folder in (one, other))
        for row, second in zip(rows, again, strict=False):
            for key in row.keys() | second.keys():
                if row.get(key) != second.get(key):
                    return f"frame {row['frames']}: {key} in {log} was {row.get(key)} and became {second.get(key)}"
        if len(rows) != len(again):
            return f"frame {end}: {log} has {len(rows)} rows of this stretch and became {len(again)}"
    return None


def _rows(path: Path, start: int, end: int) -> list[dict[str, Any]]:
    with open_binary(path, "r") as file:
        rows: list[dict[str, Any]] = [json.loads(line) for line in file]
    return [
        {key: value for key, value in row.items() if not key.startswith("time/")}
        for row in rows
        if start < row["frames"] <= end
    ]


def _first_key(one: Checkpoint, other: Checkpoint) -> str:
    found = _first_tensor(one.arrays, other.arrays)
    for path in sorted(one.pieces.keys() | other.pieces.keys()):
        a, b = one.pieces.get(path), other.pieces.get(path)
        if found is None and (a is None or b is None):
            found = path
        elif found is None and a is not None and b is not None and a.fact != b.fact:
            found = f"{path}.{_first_tensor(a.tensors(), b.tensors())}"
    return found or _first_leaf(one.tree, other.tree) or "state"


def _first_tensor(one: Arrays, other: Arrays) -> str | None:
    for path in sorted(one.keys() | other.keys()):
        a, b = one.get(path), other.get(path)
        if a is None or b is None or not torch.equal(a, b):
            return path
    return None


def _first_leaf(one: Any, other: Any, path: str = "") -> str | None:
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        for key in sorted(one.keys() | other.keys()):
            found = _first_leaf(one.get(key), other.get(key), f"{path}.{key}" if path else key)
            if found:
                return found
        return None
    return None if one == other else path


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
    """
    look_through(run_dir)
    store = CheckpointStore(run_dir / "checkpoints")
    before = [name for name in store.names() if int(name.split("-")[0]) <= first]
    if not before:
        raise Refusal(
            f"{run_dir} has no checkpoint at or before frame {first}; there are {', '.join(store.names()) or 'none'}"
        )
    start = store.load(before[-1])
    recipe = recipe_of(start, imports, trust_imports)
    every_batch = {"trainer": recipe.trainer.model_copy(update={"log_interval": Duration(1)})}
    added = [Slot("hook").read(name) for name in hooks]

    def prepare(session: Session) -> None:
        session.recorder.cut({})
        for options in added:
            _add_observer(session, options)

    folder = run_dir / "replays" / f"{start.manifest['frames']}-{last}"
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
    if not getattr(hook, "observer", False):
        raise Refusal(f"the hook {name} does not declare itself an observer, so it could change what is replayed")
    hook.register(session.trainer, f"replay_{name}")
