"""Proving that a run is what its recipe computes: which frames, what differs, and what nothing lets one prove."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, pairwise
from pathlib import Path

from rlrecipe.checkpoint.content import SESSION, Checkpoint
from rlrecipe.checkpoint.store import CheckpointStore, moment_of
from rlrecipe.checkpoint.verified import DamagedCheckpoint
from rlrecipe.errors import Refusal
from rlrecipe.recipe.load import load
from rlrecipe.recipe.schema import Recipe
from rlrecipe.runs import provenance
from rlrecipe.runs.audit import Audit
from rlrecipe.runs.changes import differing
from rlrecipe.runs.comparing import first_key, first_row
from rlrecipe.runs.directory import RunDirectory, look_through
from rlrecipe.runs.initial import initialise, origin_of
from rlrecipe.runs.load_policy import recipe_of
from rlrecipe.runs.reexecute import stretch
from rlrecipe.runs.session import Session
from rlrecipe.runs.start import consent_to, located

START = "the start"


@dataclass(frozen=True)
class Verified:
    """One stretch.

    Attributes:
        start: name of the checkpoint before it, or "the start".
        end: name of the checkpoint at its end.
        frames: the first and the last one.
        difference: what is not as it was, or None.
        unproved: why nothing can be said of it, or None.
    """

    start: str
    end: str
    frames: tuple[int, int]
    difference: str | None = None
    unproved: str | None = None


@dataclass
class Verification:
    """What was found out about a run.

    Attributes:
        stretches: those that were looked at.
        unproved: first and last frame of what was not proved, and why.
        differences: what is not as the run left it, those of the stretches included.
        notes: what cannot be told, but for frames.
        uncovered: files and folders of the run that nothing here looks at.
    """

    stretches: list[Verified] = field(default_factory=list)
    unproved: list[tuple[int, int, str]] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    uncovered: list[str] = field(default_factory=list)

    @property
    def proved(self) -> list[tuple[int, int]]:
        """First and last frames of what was done again with the same result, neighbours joined."""
        joined: list[tuple[int, int]] = []
        for first, last in sorted(one.frames for one in self.stretches if not (one.difference or one.unproved)):
            if joined and first <= joined[-1][1] + 1:
                joined[-1] = (joined[-1][0], max(last, joined[-1][1]))
            else:
                joined.append((first, last))
        # What a checkpoint of frame 0 is compared with has no frames.
        return [(first, last) for first, last in joined if first <= last]

    @property
    def verified(self) -> bool:
        """Whether something was proved and nothing differs."""
        return bool(self.proved) and not self.differences


def verify(
    run_dir: Path,
    sample: int | None = None,
    *,
    from_start: bool = False,
    imports: Sequence[str] = (),
    trust_imports: bool = False,
    say: Callable[[Verified], None] = lambda _: None,
) -> Verification:
    """Do stretches of a run again, and compare all that is kept of it with what it leads to.

    Args:
        run_dir: a run, or one of its checkpoints, which means all of its run.
        sample: how many stretches between neighbouring checkpoints, spread over the run; None for all.
        from_start: also what lies before the first checkpoint, from the recipe alone.
        imports: files or modules with the run's components.
        trust_imports: load those that the run declares.
        say: takes each stretch as soon as it was done again.

    Raises:
        Refusal: there is nothing to verify.
    """
    look_through(run_dir)
    run_dir, _ = located(run_dir)
    store = CheckpointStore(run_dir / "checkpoints")
    names = store.names()
    if not names:
        raise Refusal(f"{run_dir} has 0 checkpoints: there is nothing to compare with")

    def recipe_at(checkpoint: Checkpoint) -> Recipe:
        return recipe_of(checkpoint, imports, trust_imports)

    consent = consent_to(run_dir, imports, trust_imports)
    audit = Audit(run_dir, store, recipe_at, lambda: load(run_dir / "resolved.yaml", **consent).recipe)
    found = Verification(differences=audit.differences, notes=audit.notes, uncovered=audit.uncovered)
    pairs = _sampled(list(pairwise(names)), sample)
    for first, second in pairwise(names):
        if (first, second) not in pairs:
            found.unproved.append((moment_of(first) + 1, moment_of(second), "not looked at (--sample)"))
    beginning = _beginning(run_dir, store, names[0], from_start, recipe_at)
    for one in chain(beginning, _between(run_dir, store, pairs, recipe_at)):
        say(one)
        found.stretches.append(one)
        if one.unproved is not None:
            found.unproved.append((*one.frames, one.unproved))
        elif one.difference is not None:
            found.differences.append(f"{one.start} .. {one.end}: {one.difference}")
    found.unproved += _before(run_dir, names[0], found.proved, from_start)
    if audit.last_frame > moment_of(names[-1]) and not audit.ended:
        found.unproved.append((moment_of(names[-1]) + 1, audit.last_frame, "no checkpoint lies behind them yet"))
    found.unproved = sorted(dict.fromkeys(found.unproved))
    return found


def _sampled(pairs: list[tuple[str, str]], sample: int | None) -> list[tuple[str, str]]:
    if sample is None or sample >= len(pairs):
        return pairs
    step = (len(pairs) - 1) / max(1, sample - 1)
    return [pairs[round(i * step)] for i in range(sample)]


def _before(
    run_dir: Path, first: str, proved: list[tuple[int, int]], from_start: bool
) -> Iterator[tuple[int, int, str]]:
    """Frames before the first checkpoint that were not done again, and why."""
    begin, end = 1, moment_of(first)
    if proved and proved[0][0] <= 1:
        return
    fork = RunDirectory(run_dir).origin().get("fork")
    if isinstance(fork, dict) and isinstance(fork.get("frame"), int):
        if fork["frame"]:
            yield 1, fork["frame"], f"they are the parent's: rlrecipe verify {fork.get('parent')}"
        begin = fork["frame"] + 1
    if begin <= end and not from_start:
        cure = "" if begin > 1 else "; --from-start does them again"
        yield begin, end, f"no checkpoint lies before them{cure}"
    elif begin <= end and begin > 1:
        yield begin, end, "no checkpoint lies before them, and a fork does not begin with its recipe alone"


def _beginning(
    run_dir: Path, store: CheckpointStore, first: str, from_start: bool, recipe_at: Callable[[Checkpoint], Recipe]
) -> Iterator[Verified]:
    """What lies before the first checkpoint, if it is asked for and does not belong to a parent."""
    if not from_start or RunDirectory(run_dir).origin():
        return
    frames = (1, moment_of(first))
    try:
        end = store.load(first)
        yield _looked(run_dir, None, end, recipe_at(end), frames)
    except DamagedCheckpoint as error:
        yield Verified(START, first, frames, str(error))


def _between(
    run_dir: Path,
    store: CheckpointStore,
    pairs: list[tuple[str, str]],
    recipe_at: Callable[[Checkpoint], Recipe],
) -> Iterator[Verified]:
    for first, second in pairs:
        frames = (moment_of(first) + 1, moment_of(second))
        try:
            start, end = store.load(first), store.load(second)
            yield _looked(run_dir, start, end, recipe_at(end), frames)
        except DamagedCheckpoint as error:
            yield Verified(first, second, frames, str(error))


def _looked(
    run_dir: Path, start: Checkpoint | None, end: Checkpoint, recipe: Recipe, frames: tuple[int, int]
) -> Verified:
    """One stretch, done again."""
    name = start.folder.name if start is not None else START
    if end.manifest["exact"] != "exact":
        reason = f"the level is {end.manifest['exact']} ({end.manifest['exact_reason']})"
        return Verified(name, end.folder.name, frames, unproved=reason)
    weights = None
    if start is None and (told := origin_of(run_dir)) is not None:
        weights = told.checkpoint()
        if weights is None:
            reason = f"the run began with the weights of {told.path}, which is not there as it was"
            return Verified(name, end.folder.name, frames, unproved=reason)
    difference = _difference(run_dir, start, end, recipe, weights)
    there, here = (versions.get("rlrecipe") for versions in (end.manifest["versions"], provenance.versions()))
    if difference is not None and there != here:
        reason = f"rlrecipe {there} wrote it, and {here} comes to something else: {difference}"
        return Verified(name, end.folder.name, frames, unproved=reason)
    changed = _changed(start, end) if difference is not None else None
    if changed is not None:
        reason = f"the recipe was changed between these checkpoints ({changed}), nobody knows where: {difference}"
        return Verified(name, end.folder.name, frames, unproved=reason)
    return Verified(name, end.folder.name, frames, difference)


def _changed(start: Checkpoint | None, end: Checkpoint) -> str | None:
    """Options that a resume in between changed."""
    horizon, recipe = end.tree["clock"]["horizon"], end.manifest["recipe"]
    if start is None:
        total = recipe["trainer"].get(f"total_{horizon[1]}")
        return f"trainer.total_{horizon[1]}" if total is not None and total != horizon[0] else None
    return ", ".join(key for key, _ in differing(start.manifest["recipe"], recipe)) or None


def _difference(
    run_dir: Path, start: Checkpoint | None, end: Checkpoint, recipe: Recipe, weights: Checkpoint | None
) -> str | None:
    name = end.folder.name
    frames = moment_of(name)

    def begin(session: Session) -> None:
        if weights is not None:
            initialise(session.assembly, weights, lambda _: None)
        if start is None:
            # As a run begins.
            session.checkpoints.save()
        if end.tree["evaluation"]["pending"]:
            # A signal cut the evaluation short that is due there; it was made up for after this checkpoint.
            session.evaluation.evaluator.interrupted = lambda: session.clock.moment >= frames

    with stretch(run_dir, start, recipe, frames, begin) as session:
        if session.trainer.complete and frames:
            session.finish()
        elif name not in session.store.names():
            session.checkpoints.save()
        if name not in session.store.names():
            return f"frame {frames}: {name} became {session.store.names()[-1]}"
        again = session.store.load(name)
        session.evaluation.evaluator.interrupted = lambda: False
        session.catch_up()
        before = moment_of(start.folder.name) if start is not None else -1
        row = first_row(run_dir, session.run.path, before, frames)
        files, files_again = end.manifest["files"], again.manifest["files"]
        changed = [file for file in files if file != SESSION and files[file] != files_again.get(file)]
        if row is None and not changed:
            return None
        if session.assembly.exact != "exact":
            return f"it went otherwise here, which proves nothing: {session.assembly.exact_reason}"
        return row or f"frame {frames}: {first_key(end, again)} ({', '.join(changed)})"
