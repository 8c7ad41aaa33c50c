"""``rlrecipe verify``: prove that a run is what its recipe computes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rlrecipe.cli import common
from rlrecipe.errors import StoppedError

if TYPE_CHECKING:
    from rlrecipe.runs.verify import Verification, Verified


def command(
    run_dir: Annotated[Path, typer.Argument(metavar="RUN_DIR", help="A run with two checkpoints or more.")],
    sample: Annotated[int | None, typer.Option("--sample", min=1, help="How many stretches; default all.")] = None,
    from_start: Annotated[
        bool,
        typer.Option("--from-start", help="Also what lies before the first checkpoint that was kept."),
    ] = False,
    imports: common.Imports = None,
    trust_imports: common.TrustImports = False,
    json: common.Json = False,
) -> None:
    """Do stretches between checkpoints again and compare everything that is kept of the run with what they lead to."""
    from rlrecipe.runs.verify import verify

    found = None
    with common.stoppable() as signals:

        def say(one: Verified) -> None:
            if signals.received is not None:
                raise StoppedError("what was cut short proves nothing")
            common.note(f"{one.start} .. {one.end}: {one.difference or one.unproved or 'the same'}")

        found = verify(
            run_dir, sample, from_start=from_start, imports=imports or (), trust_imports=trust_imports, say=say
        )
    assert found is not None, "a command that was stopped has ended"
    if json:
        common.print_json(document(run_dir, found))
    else:
        common.print_text(text(found))
    for line in found.differences:
        common.complain(line)
    if found.differences:
        count = sum(1 for one in found.stretches if one.difference)
        common.complain(
            f"{count} of {_stretches(found.stretches)} differ, and {len(found.differences) - count} of what is besides"
        )
        raise typer.Exit(1)
    if not found.proved:
        common.complain(
            "no frame was proved: a stretch lies between two checkpoints (checkpoint.keep_every keeps more), "
            "or before the first one with --from-start"
        )
        raise typer.Exit(common.USAGE)


def document(run_dir: Path, found: Verification) -> dict[str, Any]:
    """What was found, as JSON."""
    return {
        "format": 1,
        "kind": "verification",
        "run_dir": str(run_dir),
        "verified": found.verified,
        "proved": [list(frames) for frames in found.proved],
        "unproved": [{"frames": [first, last], "reason": reason} for first, last, reason in found.unproved],
        "differences": found.differences,
        "notes": found.notes,
        "not_covered": found.uncovered,
        "stretches": [vars(one) for one in found.stretches],
    }


def text(found: Verification) -> str:
    """What was found, for a person."""
    same = [one for one in found.stretches if not (one.difference or one.unproved)]
    lines = []
    if same:
        lines.append(f"{_stretches(same)} {'are' if len(same) > 1 else 'is'} the same, digest for digest")
    lines.append(f"proved: {_ranges(found.proved)}")
    lines += [f"not proved: {_ranges([(first, last)])}: {reason}" for first, last, reason in found.unproved]
    lines.append(
        "compared besides: rows and episodes up to each checkpoint, status.json, summary.json, resolved.yaml, "
        "the chain of manifests"
    )
    lines += [f"not told: {note}" for note in found.notes]
    lines.append(f"not looked at: {', '.join([*found.uncovered, 'times'])}")
    return "\n".join(lines)


def _ranges(frames: Sequence[tuple[int, int]]) -> str:
    named = ", ".join(f"{first:,} to {last:,}" for first, last in frames)
    return f"frames {named}" if named else "no frames"


def _stretches(some: Sequence[Verified]) -> str:
    return f"{len(some)} stretch{'es' if len(some) != 1 else ''}"
