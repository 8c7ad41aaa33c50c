"""The speed comparison: whole processes, from their start to their weights on disk.

``python -m benchmarks.speed ppo/cartpole sac/halfcheetah --peers sb3 sbx --rounds 5``

Each round runs rlrecipe once and each peer once for each number of threads, one after the other, so that a slow minute
of the machine falls on all of them; one round before does not count (file caches, compiled packages). A number of
threads with which a peer needs a sixth more time, by the better of the warm-up and the first round, is not tried again;
of the others it stands at the better one over all its rounds. With ``--cold`` rlrecipe runs a second time in each
round, with an empty cache. Every process becomes a line of ``benchmarks/results/speed.jsonl``; ``--page`` writes
docs/speed.md from the newest whole session of each card and library.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.contenders import OURS, PEERS, Contender, UndoneError, measure
from benchmarks.learning import SEEDS, read_rows
from benchmarks.speed_page import write_page
from benchmarks.speed_tables import table
from benchmarks.work import SPEED
from rlrecipe.machine import cpu_model

RESULTS = Path(__file__).parent / "results" / "speed.jsonl"
PAGE = Path(__file__).resolve().parents[1] / "docs" / "speed.md"
Measure = Callable[[Contender, int], dict[str, Any]]


def machine() -> str:
    """The machine in words."""
    return f"{platform.machine()}, {cpu_model() or platform.processor()}, {os.cpu_count()} cores"


def session(card: str, contenders: list[Contender], rounds: int, measure: Measure, results: Path) -> None:
    """Interleaved rounds, each process a line of the file; round 0 is the warm-up, marked by its number.

    A library that does not do the work is left out from then on, with its reason as a line.
    """
    about = {"session": time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()), "machine": machine()}
    results.parent.mkdir(parents=True, exist_ok=True)
    going, quickest = list(contenders), dict[Contender, float]()
    for number in range(rounds + 1):
        if number == 2:
            going = worthwhile(going, quickest)
        for contender in list(going):
            seeds = SEEDS["rlrecipe" if contender.library == OURS.library else "sb3"]
            row: dict[str, Any] = {"card": card, "round": number}
            try:
                row |= measure(contender, seeds[number % len(seeds)])
                quickest[contender] = min(quickest.get(contender, math.inf), row["wall_seconds"])
                print(f"{card}, round {number}, {contender}: {row['wall_seconds']:.2f} s", file=sys.stderr, flush=True)
            except UndoneError as reason:
                going.remove(contender)
                row |= {**contender._asdict(), "undone": str(reason)}
                print(f"{card}: {reason}", file=sys.stderr, flush=True)
            with results.open("a") as file:
                file.write(json.dumps(row | about) + "\n")


def worthwhile(contenders: list[Contender], seconds: Mapping[Contender, float]) -> list[Contender]:
    """Those that needed less than a sixth more than the same library with its best number of threads."""
    best: dict[tuple[str, bool], float] = {}
    for contender in contenders:
        kind = contender.library, contender.cold
        best[kind] = min(best.get(kind, math.inf), seconds[contender])
    return [who for who in contenders if seconds[who] < 7 / 6 * best[who.library, who.cold]]


def _measured(card: str, contender: Contender, seed: int) -> dict[str, Any]:
    return measure(contender, SPEED[card], seed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cards", nargs="*", choices=[[], *SPEED], help="all by default")
    parser.add_argument("--peers", nargs="*", default=list(PEERS), choices=list(PEERS))
    parser.add_argument("--rounds", type=int, default=5, help="pairs that count, after the warm-up")
    parser.add_argument("--peer-threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--cold", action="store_true", help="rlrecipe with an empty cache, too")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--page", action="store_true", help="write the page and run nothing")
    options = parser.parse_args()
    if not options.page:
        ours = [OURS, *([OURS._replace(cold=True)] if options.cold else [])]
        peers = [Contender(peer, threads) for peer in options.peers for threads in options.peer_threads]
        for card in options.cards or SPEED:
            session(
                card,
                [*ours, *peers],
                options.rounds,
                partial(_measured, card),
                options.results,
            )
            print(table(read_rows(options.results), card))
    else:
        write_page(read_rows(options.results), PAGE)


if __name__ == "__main__":
    main()
