"""The speed comparison: whole processes, from their start to their weights on disk.

``python -m benchmarks.speed ppo/cartpole --rounds 5``; ``--frames`` makes a long card shorter for both.

Each round runs rlrecipe once and stable-baselines3 once for each number of threads, one after the
other, so that a slow minute of the machine falls on all of them; one round before does not count
(file caches, compiled packages). The peer stands at the better of its thread numbers. Neither side
evaluates, beyond the one episode without which rlrecipe does not finish. Every process becomes a
line of ``benchmarks/results/speed.jsonl``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.cards import CARDS, Card
from benchmarks.intervals import Estimate, Scores, estimate, median
from benchmarks.learning import SEEDS, read_rows, rlrecipe_command
from benchmarks.tables import markdown

RESULTS = Path(__file__).parent / "results" / "speed.jsonl"
PACKAGES = ("rlrecipe", "stable-baselines3", "torch", "gymnasium", "numpy")


class Contender(NamedTuple):
    """One way to do the work; ``threads`` 0 leaves the choice to the library."""

    library: str
    threads: int

    def __str__(self) -> str:
        return self.library if not self.threads else f"{self.library}, {self.threads} threads"


def command(contender: Contender, card: Card, seed: int, out: Path, settings: list[str]) -> list[str]:
    """The process that does the work of ``card`` and leaves its weights in ``out``."""
    if contender.library == "sb3":
        arguments = [sys.executable, "-m", "benchmarks.sb3_run", card.name, "--seed", str(seed)]
        arguments += ["--frames", str(card.peer.total_frames)]
        return [*arguments, "--threads", str(contender.threads), "--episodes", "0", "--out", str(out)]
    arguments = [rlrecipe_command(), "run", card.name, "--seed", str(seed), "--run-dir", str(out)]
    settings = [f"trainer.total_frames={card.peer.total_frames}", *settings]
    chosen = [argument for setting in settings for argument in ("-s", setting)]
    return [*arguments, "-s", "evaluation.episodes=1", *chosen, "--json"]


def work_done(contender: Contender, output: str, out: Path) -> dict[str, int]:
    """Frames and updates as the library reports them.

    Raises:
        FileNotFoundError: the process left no weights.
    """
    if contender.library == "sb3":
        weights, report = out / "model.zip", json.loads(output)
    else:
        report = json.loads((out / "summary.json").read_text())
        latest = (out / "checkpoints" / "latest").read_text().strip()
        weights = out / "checkpoints" / latest / "policy.safetensors"
    if not weights.exists():
        raise FileNotFoundError(f"{contender} left no {weights.name}")
    return {"frames": report["frames"], "updates": report["updates"]}


def measure(contender: Contender, card: Card, seed: int, settings: list[str]) -> dict[str, Any]:
    """Runs one process to its end; wall time from outside, processor time from the kernel.

    Raises:
        RuntimeError: it did other work than the card's.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        line = command(contender, card, seed, out, settings)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        load, started = os.getloadavg()[0], time.perf_counter()
        done = subprocess.run(line, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True)
        wall = time.perf_counter() - started
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        work = work_done(contender, done.stdout, out)
    if work != (asked := {"frames": card.peer.frames, "updates": card.peer.updates}):
        raise RuntimeError(f"{contender} did {work}, not {asked}")
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    figures = {"wall_seconds": round(wall, 3), "cpu_seconds": round(cpu, 3), "load_before": round(load, 2)}
    return {**contender._asdict(), "seed": seed, **work, **figures}


def session(
    card: Card, contenders: list[Contender], rounds: int, measure: Callable[[Contender, int], dict[str, Any]]
) -> list[dict[str, Any]]:
    """Interleaved rounds; round 0 is the warm-up and is marked as such by its number."""
    rows = []
    for number in range(rounds + 1):
        for contender in contenders:
            seed = SEEDS[contender.library][number % len(SEEDS[contender.library])]
            row = {"card": card.name, "round": number, **measure(contender, seed)}
            rows.append(row)
            print(f"round {number}, {contender}: {row['wall_seconds']:.2f} s", file=sys.stderr, flush=True)
    return rows


def walls(rows: list[dict[str, Any]], contender: Contender) -> Scores:
    """Wall seconds of the counted rounds, in their order."""
    mine = [row for row in rows if Contender(row["library"], row["threads"]) == contender and row["round"]]
    return np.array([row["wall_seconds"] for row in sorted(mine, key=lambda row: row["round"])])


def ratio(rows: list[dict[str, Any]], ours: Contender, peer: Contender) -> Estimate:
    """How many times faster ``ours`` is: the median of the rounds' ratios, bootstrapped over rounds.

    With few rounds the interval is hardly narrower than their range, and rightly so.
    """
    return estimate([walls(rows, peer) / walls(rows, ours)], median)


def table(rows: list[dict[str, Any]]) -> str:
    """One session: median seconds of each contender, and the ratio to each peer, the better first."""
    contenders = {Contender(row["library"], row["threads"]) for row in rows}
    ours = next(contender for contender in contenders if contender.library == "rlrecipe")
    peers = sorted(contenders - {ours}, key=lambda peer: float(median(walls(rows, peer))))
    lines = []
    for contender in [ours, *peers]:
        seconds = walls(rows, contender)
        faster = "" if contender == ours else str(ratio(rows, ours, contender))
        spread = f"{seconds.min():.2f}, {seconds.max():.2f}"
        lines.append((rows[0]["card"], str(contender), str(len(seconds)), f"{median(seconds):.2f}", spread, faster))
    header = ("card", "process", "rounds", "median s", "fastest, slowest", "rlrecipe is faster by [95 %]")
    return markdown(header, lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("card", choices=[name for name, card in CARDS.items() if card.work])
    parser.add_argument("--rounds", type=int, default=5, help="pairs that count, after the warm-up")
    parser.add_argument("--frames", type=int, help="in place of the card's, where its work takes long")
    parser.add_argument("--peer-threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("-s", dest="settings", action="append", default=[], help="a setting for rlrecipe")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--table", action="store_true", help="print the last session of the file, run nothing")
    options = parser.parse_args()
    card = CARDS[options.card]
    if options.frames:
        card = replace(card, work=replace(card.peer, total_frames=options.frames))
    if not options.table:
        contenders = [
            Contender("rlrecipe", 0),
            *(Contender("sb3", threads) for threads in options.peer_threads),
        ]
        about = {
            "session": time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()),
            "settings": options.settings,
            "machine": f"{platform.machine()}, {os.cpu_count()} cores",
            "versions": {name: version(name) for name in PACKAGES},
        }
        rows = session(card, contenders, options.rounds, lambda c, seed: measure(c, card, seed, options.settings))
        options.results.parent.mkdir(parents=True, exist_ok=True)
        with options.results.open("a") as file:
            file.writelines(json.dumps(row | about) + "\n" for row in rows)
    mine = [row for row in read_rows(options.results) if row["card"] == card.name]
    print(table([row for row in mine if row["session"] == mine[-1]["session"]]))


if __name__ == "__main__":
    main()
