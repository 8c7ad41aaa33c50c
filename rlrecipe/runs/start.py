"""Starting a run, and going on with one: from recipe and folder to a session that trains."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlrecipe.assembly.assemble import Assembly, assemble
from rlrecipe.assembly.trial import Trial
from rlrecipe.checkpoint.content import Checkpoint
from rlrecipe.checkpoint.fit import taking_up
from rlrecipe.checkpoint.store import CheckpointStore, NoCheckpoint, cure_without_buffer, pointed
from rlrecipe.checkpoint.verified import DamagedPiece
from rlrecipe.context import RunContext
from rlrecipe.errors import EnvironmentFault
from rlrecipe.loop.points import HookError
from rlrecipe.machine import flushing_denormals
from rlrecipe.recipe.dump import dump
from rlrecipe.recipe.errors import Problem
from rlrecipe.recipe.imports import is_file
from rlrecipe.recipe.layers import Origin, read_once
from rlrecipe.recipe.load import Loaded, load
from rlrecipe.recipe.schema import Recipe
from rlrecipe.runs.changes import longer, refuse_changes, with_choices
from rlrecipe.runs.directory import RunDirectory, RunDirectoryError, UnwritableRunError, as_json, look_through, status
from rlrecipe.runs.imports import consented, copied, recorded, refuse_edited
from rlrecipe.runs.progress import Display
from rlrecipe.runs.provenance import compiling_of, provenance
from rlrecipe.runs.session import Outcome, context_of
from rlrecipe.runs.taking_up import from_newest
from rlrecipe.runs.training import Result, train_in
from rlrecipe.system.files import MOST_TEXT, read
from rlrecipe.system.signals import Signals

if TYPE_CHECKING:
    from rlrecipe.runs.profile import Profile


def run(
    source: Origin,
    overrides: Sequence[str] = (),
    *,
    run_dir: Path | None = None,
    go_on: bool = False,
    init_from: Path | None = None,
    imports: Sequence[str] = (),
    trust_imports: bool = False,
    display: Display | None = None,
    profile: Profile | None = None,
) -> Result:
    """Train a recipe in a new run directory.

    Args:
        source: a recipe's path, ``-`` for standard input, a bundled name, or a mapping.
        overrides: ``key=value``, the last one strongest.
        run_dir: where; by default ``runs/<name>/<time>-<id>``.
        go_on: with a run in ``run_dir`` already, go on with it.
        init_from: a run or checkpoint whose weights and statistics to start from.
        imports: files or modules with components.
        trust_imports: load what the recipe declares.
        display: progress.
        profile: takes down where the time goes, into ``profile.json``.

    Raises:
        RecipeError: the recipe has problems.
        RunDirectoryError: the directory is not empty, or in use.
    """
    display, source = display or Display(), read_once(source)
    if go_on and run_dir is not None:
        look_through(run_dir)
    if go_on and run_dir is not None and (run_dir / "resolved.yaml").is_file():
        refuse_edited(run_dir, source, overrides, imports)
        consent: Any = consent_to(run_dir, imports, trust_imports)
        own = load(run_dir / "resolved.yaml", **consent)
        # The run's own copies in place of the files that they are copies of: nothing is loaded twice.
        copies = [str((run_dir / name).resolve()) if is_file(name) else name for name in own.recipe.imports]
        given = load(source, [*overrides, f"imports={json.dumps(copies)}"], **consent)
        given = replace(given, recipe=with_choices(given.recipe, own.recipe))
        return _go_on(run_dir, own.recipe, given, Trial.of(given, compiling_of(run_dir)), display, profile=profile)
    loaded = load(source, overrides, imports=imports, trust_imports=trust_imports)
    trial = Trial.of(loaded)
    declared, files, facts = copied(loaded.imported)
    start = _beginning(init_from) if init_from is not None else None
    path = run_dir or RunDirectory.default(trial.recipe.name)
    assembly = assembled(loaded, trial, context_of(path, display))
    if start is not None:
        from rlrecipe.runs.initial import initialise

        with taking_up(start.folder):
            initialise(assembly, start, display.say)
    # The run uses the user's own files; its resolved recipe names the copies that it keeps.
    kept = trial.recipe.model_copy(update={"imports": declared})
    assembly = replace(assembly, recipe=kept)
    contents = {
        "recipe.yaml": loaded.text,
        "resolved.yaml": dump(kept),
        "provenance.json": as_json(provenance(kept.seed, facts, trial.compiling, **_origin(start))),
        "status.json": as_json(status("running", 0, 0, assembly.exact, assembly.exact_reason)),
    }
    # From here on there is something that a signal must leave in order.
    with Signals(display.quiet) as signals:
        directory = RunDirectory.create(path, contents, files)
        return train_in(directory, lambda: assembly, None, display, signals, profile=profile)


def assembled(loaded: Loaded, trial: Trial, context: RunContext) -> Assembly:
    """What is built from a recipe that was read.

    Args:
        loaded: says where in the recipe something is.
        trial: of it.
        context: the run around it.

    Raises:
        RecipeError: a hook does not fit where it stands, or there cannot be as many environments.
    """
    try:
        with flushing_denormals():
            return assemble(trial, context)
    except EnvironmentFault as error:
        raise loaded.error([Problem("E301", ("env",), error.message, error.cure)]) from error
    except HookError as error:
        raise loaded.error([Problem("E302", error.path, str(error))]) from None


def consent_to(folder: Path, imports: Sequence[str], trust_imports: bool) -> dict[str, Any]:
    """What of a run's code may be loaded."""
    return {"imports": consented(folder, imports), "trust_imports": trust_imports, "recorded": recorded(folder)}


def _origin(start: Checkpoint | None) -> dict[str, Any]:
    """What the provenance says of the weights that a run began with."""
    if start is None:
        return {}
    return {"init_from": {"checkpoint": str(start.folder.absolute()), "digest": start.manifest["digest"]}}


def _beginning(path: Path) -> Checkpoint:
    """The checkpoint whose weights a run starts from."""
    from rlrecipe.runs.load_policy import find_checkpoint

    return find_checkpoint(path)


def located(path: Path) -> tuple[Path, str | None]:
    """The run directory that a path means, and the name of the checkpoint if it is one.

    Raises:
        RunDirectoryError: it is neither.
    """
    folder, name = path, None
    if ((found := pointed(path)) / "manifest.json").is_file():
        # Absolute: inside a checkpoint, "." has no parents. Then as short as it can be read.
        (folder, name), here = (found.parent.parent, found.name), Path.cwd()
        folder = folder.relative_to(here) if folder.is_relative_to(here) else folder
    if not (folder / "resolved.yaml").is_file():
        no_folder = "is a file" if folder.is_file() else "does not exist"
        what = "is no run directory: it has no resolved.yaml" if folder.is_dir() else no_folder
        raise RunDirectoryError(f"{folder} {what}; name the folder of a run, or one of its checkpoints")
    return folder, name


def resume(
    path: Path,
    overrides: Sequence[str] = (),
    *,
    horizon: bool = False,
    without_buffer: bool = False,
    imports: Sequence[str] = (),
    trust_imports: bool = False,
    display: Display | None = None,
) -> Result:
    """Go on with a run from its newest checkpoint, or from the checkpoint that ``path`` is.

    Args:
        path: a run directory or a checkpoint.
        overrides: changes to the recipe, where they are allowed.
        horizon: let schedules reach to the new end of a longer run.
        without_buffer: leave out the content of the replay buffer, damaged or not; the level is "continue".
        imports: files or modules with components.
        trust_imports: load what the run declares.
        display: progress.

    Raises:
        RefusedChange: the recipe differs where it may not.
        RunDirectoryError: this is no run directory, or it is in use.
        NoCheckpoint: every checkpoint is damaged, or the one that was named cannot be used with its buffer.
        DamagedCheckpoint: the one that was named is damaged.
    """
    display = display or Display()
    look_through(path)
    folder, name = located(path)
    resolved = folder / "resolved.yaml"
    consent: Any = consent_to(folder, imports, trust_imports)
    own = load(resolved, **consent)
    changed = load(resolved, overrides, **consent)
    # Nothing of it is built before the run is known to go on.
    trial = Trial(changed.recipe, said=compiling_of(folder))
    more: Any = {"name": name, "horizon": horizon, "buffer": not without_buffer}
    return _go_on(folder, own.recipe, changed, trial, display, **more)


def _go_on(
    folder: Path,
    own: Recipe,
    changed: Loaded,
    trial: Trial,
    display: Display,
    *,
    name: str | None = None,
    horizon: bool = False,
    buffer: bool = True,
    profile: Profile | None = None,
) -> Result:
    directory = RunDirectory(folder)
    named = folder / "checkpoints" / name if name is not None else folder
    refuse_changes(folder, own, trial.recipe, directory.status()["exact"], named)
    writable = _locked(directory)
    try:
        store = CheckpointStore(directory.checkpoints)
        if writable is None:
            store.sweep()
        warn = partial(_warn, folder if writable is None else None, display)
        move = writable is None
        checkpoint = _named(store, name, buffer) if name else store.newest(warn, move=move, pieces=buffer)
        before = directory.status()
        # Naming an older checkpoint asks to go on from there, whatever came after it.
        older = name is not None and name != max(store.names())
        if checkpoint is not None and before["state"] == "finished" and not older and not longer(own, trial.recipe):
            summary = folder / "summary.json"
            display.say(f"{folder} is finished; there is nothing to resume")
            outcome = Outcome(0, "finished", "was finished already", _read(summary))
            return Result(outcome, folder, trial.recipe)
        if writable is not None:
            raise writable
        directory.refuse_unwritable()
        trial.refuse(changed)
        fresh = [trial]

        def train(start: Checkpoint | None, begun: Callable[[], None]) -> Result:
            display.say(f"resuming {folder} from {start.folder.name if start else 'the start: it has no checkpoint'}")
            # A trial makes one trainer; one that a checkpoint did not fit is of no more use.
            one = fresh.pop() if fresh else Trial.of(changed, trial.said)
            build = partial(assemble, one, context_of(directory.path, display))
            signals = Signals(display.quiet)
            return train_in(directory, build, start, display, signals, begun=begun, horizon=horizon, profile=profile)

        if name is not None:
            return train(checkpoint, partial(store.set_aside_after, name))
        return from_newest(store, checkpoint, train, warn, pieces=buffer)
    finally:
        directory.unlock()


def _locked(directory: RunDirectory) -> UnwritableRunError | None:
    """Lock a run; why it cannot be, where nobody may write to its folder: of a finished one there is nothing to do."""
    try:
        directory.lock()
    except UnwritableRunError as error:
        return error
    return None


def _warn(folder: Path | None, display: Display, text: str) -> None:
    """What was lost is said to the quiet, too, and is kept, in a folder that can be written."""
    if folder is not None:
        display.log_to(folder / "run.log")
    display.say(text, always=True)


def _named(store: CheckpointStore, name: str, buffer: bool) -> Checkpoint:
    try:
        return store.load(name, pieces=buffer)
    except DamagedPiece as error:
        raise NoCheckpoint(f"{error}\n{cure_without_buffer(store.folder / name)}") from None


def _read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(read(path, MOST_TEXT)) if path.is_file() else {}
    return content
