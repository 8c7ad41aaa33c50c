"""The page of the speed comparison: tables, pictures, and what is not there."""

from __future__ import annotations

from pathlib import Path

from benchmarks.contenders import OURS, PEERS
from benchmarks.speed_pictures import plot_ratios, plot_returns
from benchmarks.speed_tables import Row, contender, faster, newest, table
from benchmarks.work import SPEED


def write_page(rows: list[Row], out: Path) -> None:
    """Makes ``out`` and, in a folder of its name beside it, its pictures."""
    folder = out.with_suffix("")
    measured = {card: mine for card in SPEED if (mine := newest(rows, card))}
    sections = ["# Speed", INTRODUCTION.format(versions=versions(rows))]
    if measured:
        plot_ratios(measured, folder / "ratios.png")
        alt = "How many times faster rlrecipe is than each library on each card, with 95 % intervals."
        sections.append(f"![{alt}]({folder.name}/ratios.png)")
    for card in measured:
        sections += card_section(rows, card, folder)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text("\n\n".join(sections) + "\n")


def card_section(rows: list[Row], card: str, folder: Path) -> list[str]:
    """What one card asks for, who took how long, and the returns on the way."""
    mine, speed = newest(rows, card), SPEED[card]
    counts = speed.counts
    work = (
        f"{speed.card.env_id}: {counts['frames']:,} frames, {counts['updates']:,} updates of "
        f"{counts['minibatch']} rows, {counts['parameters']:,} parameters, float32; {speed.work.source}. "
        f"Machine: {mine[-1]['machine']}."
    )
    sections = [f"## {card}", work, table(rows, card)]
    sections += [said for said in (_slower(mine), _absent(rows, mine, card)) if said]
    if any(row["curve"] for row in mine):
        picture = folder / f"{card.replace('/', '-')}.png"
        plot_returns(mine, picture)
        who = ", ".join(sorted({contender(row).library for row in mine}))
        sections.append(f"![Returns on {speed.card.env_id} against wall time: {who}.]({folder.name}/{picture.name})")
    return sections


def _slower(mine: list[Row]) -> str:
    """Who is faster than rlrecipe, in words."""
    lines = []
    for name, ours in (("rlrecipe", OURS), ("a cold run of rlrecipe", OURS._replace(cold=True))):
        quicker = [str(who) for who, ratio in faster(mine, ours).items() if ratio.value < 1]
        if quicker:
            lines.append(f"Faster than {name} here: {', '.join(quicker)}.")
    return " ".join(lines)


def _absent(rows: list[Row], mine: list[Row], card: str) -> str:
    """Which libraries have no figures here, and why."""
    done = {row["library"] for row in mine}
    undone = {row["library"]: row["undone"] for row in rows if row["card"] == card and "undone" in row}
    lines = [f"- {library} is not here: {reason}" for library, reason in undone.items() if library not in done]
    if others := [library for library in PEERS if library not in done and library not in undone]:
        lines.append(f"- Not measured here: {', '.join(others)}.")
    return "\n".join(lines)


def versions(rows: list[Row]) -> str:
    """What each library was, and with what torch or JAX."""
    last = {row["library"]: row["versions"] for row in rows if row.get("versions")}
    parts = []
    for library, found in last.items():
        # A runner names its library first.
        name = library if library in found else next(iter(found))
        computes = [f"{other} {found[other]}" for other in ("torch", "jax") if other in found and other != name]
        parts.append(" with ".join([f"{name} {found[name]}", *computes]))
    return "; ".join(parts)


INTRODUCTION = """\
Whole processes, from their start to their weights on disk, on the same work unless a label says what differs: each
library's own counts of frames, updates, rows of an update and learned numbers are compared with the card's. Rounds are
interleaved (rlrecipe, then each peer with 1 and with 2 threads, of which one that needs a sixth more time in its first
two runs is left out), a peer stands at the better of its thread numbers, ratios are medians over rounds of both with 95
% bootstrap intervals. "cold" is rlrecipe with an empty cache: it compiles its updates first (sbx compiles in every run;
JAX's own cache is off, as it is by default). "updates/s" is of the last four fifths of a run, collecting included.
"peak MB" is of the largest process: a cold run's is the compiler's, beside which the run itself takes what a warm one
does. rltools counts no updates: its are computed from the numbers that were compiled into it.
Made by `make bench`; every process is a line of `benchmarks/results/speed.jsonl`. {versions}."""
