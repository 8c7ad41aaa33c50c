"""A new run that starts from another run's checkpoint with all of it, and with any option changed that fits it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from rlrecipe.assembly.assemble import Assembly, total_of
from rlrecipe.assembly.trial import Trial
from rlrecipe.checkpoint.content import Checkpoint
from rlrecipe.checkpoint.store import CheckpointStore, NoCheckpoint, moment_of
from rlrecipe.checkpoint.verified import DamagedCheckpoint
from rlrecipe.recipe.dump import data, dump
from rlrecipe.recipe.load import Loaded, load
from rlrecipe.recipe.schema import Recipe
from rlrecipe.recipe.shown import command, place
from rlrecipe.runs.changes import RefusedChange, differences, values
from rlrecipe.runs.directory import RunDirectory, RunDirectoryError, as_json, look_through, status
from rlrecipe.runs.fitting import misfits
from rlrecipe.runs.imports import copied
from rlrecipe.runs.progress import Display
from rlrecipe.runs.provenance import compiling_of, provenance
from rlrecipe.runs.recorder import LOGS
from rlrecipe.runs.session import context_of
from rlrecipe.runs.start import assembled, consent_to, located
from rlrecipe.runs.training import Result, train_in
from rlrecipe.runs.transition import Transition
from rlrecipe.system.files import open_binary, text_of, write_durably
from rlrecipe.system.signals import Signals

#: Checkpoints of a parent that trains on: each may be pruned before it is copied.
ATTEMPTS = 10
PRUNED = "stop it first, or let it keep more: checkpoint.keep_every"
#: Said of a fork that only evaluates: of a finished run, the newest checkpoint is the end.
AT_THE_END = (
    "warning: this checkpoint is the run's end: nothing is left to train; take an earlier one with --at, or make "
    "the run longer: -s trainer.total_frames=N"
)


def fork(
    path: Path,
    overrides: Sequence[str] = (),
    *,
    at: int | None = None,
    run_dir: Path | None = None,
    horizon: bool = False,
    imports: Sequence[str] = (),
    trust_imports: bool = False,
    display: Display | None = None,
) -> Result:
    """Train on from a run's checkpoint in a new run directory; the run itself is only read.

    Args:
        path: a run directory or a checkpoint.
        overrides: changes to the recipe, where the state still fits.
        at: the newest checkpoint at or before these frames is taken; by default the newest.
        run_dir: where; by default ``runs/<name>/<time>-<id>``.
        horizon: let schedules reach to the new end of a longer run.
        imports: files or modules with the run's components.
        trust_imports: load those that the run declares.
        display: progress.

    Raises:
        RecipeError: the changed recipe has problems.
        RefusedChange: the state does not fit the changed recipe.
        RunDirectoryError: ``path`` is no run, or ``run_dir`` is not empty.
        NoCheckpoint: there is no usable checkpoint at or before ``at``.
        DamagedCheckpoint: the one that was named is damaged.
    """
    display = display or Display()
    look_through(path)
    folder, name = located(path)
    if run_dir is not None:
        RunDirectory.refuse_used(run_dir)
    checkpoint = _chosen(folder, name, at, partial(display.say, always=True))
    consent: Any = consent_to(folder, imports, trust_imports)
    own = load(folder / "resolved.yaml", **consent).recipe
    changed = load(folder / "resolved.yaml", overrides, **consent)
    trial = Trial.of(changed, compiling_of(folder))
    new = run_dir or RunDirectory.default(trial.recipe.name)
    assembly = assembled(changed, trial, context_of(new, display))
    plan = _Plan(folder, own, replace(changed, recipe=trial.recipe), new, assembly, horizon, display)
    # From here on there is something that a signal must leave in order.
    with Signals(display.quiet) as signals:
        for _ in range(ATTEMPTS):
            try:
                directory, assembly, origin = plan.begin(checkpoint)
                break
            except (DamagedCheckpoint, RunDirectoryError):
                if name is not None or checkpoint.folder.exists():
                    raise
                checkpoint = _chosen(folder, name, at, partial(display.say, always=True))
        else:
            raise NoCheckpoint(f"{folder} trains on, and prunes its checkpoints faster than one is copied; {PRUNED}")
        first = CheckpointStore(directory.checkpoints).load(checkpoint.folder.name)
        result = train_in(directory, lambda: assembly, first, display, signals)
    return replace(result, fork=origin)


@dataclass(frozen=True)
class _Plan:
    """A fork whose parts are built, and that needs a checkpoint to begin."""

    parent: Path
    own: Recipe
    changed: Loaded
    new: Path
    assembly: Assembly
    horizon: bool
    display: Display

    def begin(self, checkpoint: Checkpoint) -> tuple[RunDirectory, Assembly, dict[str, Any]]:
        """Make its directory with the checkpoint in it; that, its parts, and where it comes from."""
        lines, level = dict(differences(self.own, self.changed.recipe)), self.assembly.level
        _refuse(self.parent, checkpoint, misfits(checkpoint, self.assembly, self.own, lines))
        _refuse_end(checkpoint, total_of(self.changed.recipe))
        declared, files, facts = copied(self.changed.imported)
        kept = self.changed.recipe.model_copy(update={"imports": declared})
        there = checkpoint.manifest
        level.lower(there["exact"], there["exact_reason"])
        origin = self._origin(checkpoint, kept, lines)
        transition = Transition.of(lines.keys(), self.horizon)
        contents = {
            "recipe.yaml": _text(self.parent / "recipe.yaml") or self.changed.text,
            "resolved.yaml": dump(kept),
            "provenance.json": as_json(provenance(kept.seed, facts, self.assembly.compiling, fork=origin)),
            "status.json": as_json(
                status("running", origin["frame"], there["updates"], level.name, level.reason, fork=origin)
            ),
        }
        facts_of_manifest = {"recipe": data(kept), "exact": level.name, "exact_reason": level.reason}
        manifest = {**facts_of_manifest, "previous": there["digest"]}
        session = {**checkpoint.session, "previous": None, **transition.to_session()}
        directory = RunDirectory.create(
            self.new,
            contents,
            files,
            lambda staging: _begin(staging, self.parent, checkpoint, manifest, session, self.display),
        )
        where = f"at frame {origin['frame']} (checkpoint {checkpoint.folder.name})"
        self.display.say(f"forking {self.parent} {where} into {directory.path}")
        for line in (*lines.values(), *transition.lines()):
            self.display.say(f"  {line}")
        if not _left(checkpoint, total_of(kept)):
            self.display.say(AT_THE_END, always=True)
        return directory, replace(self.assembly, recipe=kept), origin

    def _origin(self, checkpoint: Checkpoint, kept: Recipe, changes: Iterable[str]) -> dict[str, Any]:
        """What its provenance says."""
        return {
            "parent": str(self.parent.absolute()),
            "checkpoint": checkpoint.folder.name,
            "frame": moment_of(checkpoint.folder.name),
            "digest": checkpoint.manifest["digest"],
            "changes": {key: values(self.own, kept, key) for key in changes if not key.startswith("imports")},
            "ancestors": _ancestors(self.parent),
        }


def _chosen(folder: Path, name: str | None, at: int | None, say: Callable[[str], None]) -> Checkpoint:
    """The checkpoint to start from; nothing of the run is touched."""
    store = CheckpointStore(folder / "checkpoints")
    names = [name] if name is not None else store.names()
    early = [each for each in names if at is None or moment_of(each) <= at]
    if not early:
        where = f"at or before frame {at:,}" if at is not None else "to start from"
        raise NoCheckpoint(f"{folder} has no checkpoint {where}; there are: {', '.join(names) or 'none'}")
    damage: list[str] = []
    for each in reversed(early):
        try:
            checkpoint = store.load(each)
        except DamagedCheckpoint as error:
            if name is not None:
                raise
            if not (store.folder / each).exists():
                # The parent trains on, and has pruned it meanwhile.
                return _chosen(folder, name, at, say)
            damage.append(str(error))
            continue
        for line in damage:
            say(f"warning: {line}; taking the checkpoint before it")
        return checkpoint
    raise NoCheckpoint("every checkpoint there is damaged:\n  " + "\n  ".join(damage))


def _refuse(folder: Path, checkpoint: Checkpoint, wrong: Sequence[str]) -> None:
    if wrong:
        cure = "start a new run"
        if not any(line.startswith(("networks", "env: ", "algorithm.name")) for line in wrong):
            cure += f" with its weights:\n  {command('run', 'RECIPE', '--init-from', place(checkpoint.folder))}"
        raise RefusedChange(
            f"the state in {checkpoint.folder} does not fit the changed recipe:\n  "
            + "\n  ".join(wrong)
            + f"\nleave these changes out, or {cure}"
        )


def _left(checkpoint: Checkpoint, total: Any) -> int:
    """How much is left to train; below 0 where the end lies before the checkpoint."""
    return int(total.amount) - int(checkpoint.manifest.get(total.unit, 0))


def _refuse_end(checkpoint: Checkpoint, total: Any) -> None:
    """A fork goes on from its checkpoint: it cannot end before it."""
    if _left(checkpoint, total) < 0:
        done = f"{checkpoint.manifest[total.unit]:,} {total.unit}"
        raise RefusedChange(
            f"{checkpoint.folder} is at {done}, and the changed recipe ends at {int(total.amount):,}; "
            f"make trainer.total_{total.unit} larger, or take an earlier checkpoint with --at"
        )


def _begin(
    staging: Path,
    parent: Path,
    checkpoint: Checkpoint,
    manifest: Mapping[str, Any],
    session: Mapping[str, Any],
    display: Display,
) -> None:
    """What a fork has from its parent: rows up to the checkpoint, and a copy of it."""
    for log in LOGS:
        length = int(checkpoint.session["files"][log])
        try:
            with open_binary(parent / log, "r") as file:
                rows = file.read(length)
        except OSError as error:
            raise RunDirectoryError(f"{parent / log} cannot be read: {error.strerror}; a fork begins with it") from None
        if len(rows) < length:
            display.say(f"warning: {parent / log} is shorter than when it was saved; its rows are lost", always=True)
        write_durably(staging / log, rows)
    CheckpointStore(staging / "checkpoints").adopt(checkpoint, manifest, session)


def _ancestors(folder: Path) -> list[dict[str, Any]]:
    """Where a parent that is a fork itself comes from, the first of all at the front."""
    fork = RunDirectory(folder).origin().get("fork")
    if not isinstance(fork, dict):
        return []
    return [*fork.get("ancestors", []), {key: fork.get(key) for key in ("parent", "checkpoint", "frame", "digest")}]


def _text(path: Path) -> str | None:
    try:
        return text_of(path)
    except (OSError, ValueError):
        return None
