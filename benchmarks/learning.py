"""The learning comparison: a queue of runs, one process at a time, one JSON line a finished run.

``python -m benchmarks.learning --library sb3 --library rlrecipe`` works through every card and seed
that has no line in ``benchmarks/results/learning.jsonl`` yet. It can be stopped at any moment and
started again: a run that was cut off starts over, a finished one is not repeated.

Every final policy is evaluated on the same start states, 100 of most cards: for one Pendulum policy the
mean over 100 episodes differs between sets of start states with a standard deviation of 8.6, more than
between runs.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import platform
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.cards import CARDS
from benchmarks.curves import Point, core_share, thinned
from benchmarks.episodes import returns_of

RESULTS = Path(__file__).parent / "results" / "learning.jsonl"
# So many seeds of every card come before the first card gets more.
ROUND = 5
# stable-baselines3 seeds environment i with seed + i: its seeds must lie apart to share nothing.
SEEDS = {"sb3": range(0, 10_000, 1000), "rlrecipe": range(10)}
PACKAGES = ("rlrecipe", "torch", "gymnasium", "numpy")
MACHINE = f"{platform.machine()}, {os.cpu_count()} cores"


class Task(NamedTuple):
    """One run of the comparison."""

    card: str
    library: str
    seed: int


def read_rows(results: Path) -> list[dict[str, Any]]:
    """The finished runs; none if there is no such file."""
    if not results.exists():
        return []
    return [json.loads(line) for line in results.read_text().splitlines() if line.strip()]


def newest(rows: Iterable[dict[str, Any]]) -> dict[Task, dict[str, Any]]:
    """The last line of each task: a run may have been repeated."""
    return {Task(row["card"], row["library"], row["seed"]): row for row in rows}


def missing(cards: Iterable[str], libraries: Iterable[str], results: Path, *, curves: bool = False) -> list[Task]:
    """What is still to run: card by card, and within it seed by seed, so that a stopped queue leaves equal halves.

    With ``curves`` a run whose line has no learning curve is to be repeated.
    """
    done = {task for task, row in newest(read_rows(results)).items() if row.get("curve") or not curves}
    libraries, cards = list(libraries), list(cards)
    wanted = [
        Task(card, library, SEEDS[library][number])
        for first in range(0, max(CARDS[card].seeds for card in cards), ROUND)
        for card in cards
        for number in range(first, min(first + ROUND, CARDS[card].seeds))
        for library in libraries
        if library in CARDS[card].libraries
    ]
    return [task for task in wanted if task not in done]


def rlrecipe_command() -> str:
    """The console script that belongs to this interpreter."""
    return str(Path(sys.executable).with_name("rlrecipe"))


def _output(command: list[str]) -> dict[str, Any]:
    """The JSON document that ``command`` prints last."""
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    document: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1] if done.stdout else "{}")
    return document


def run_sb3(task: Task, threads: int, frames: int | None = None) -> dict[str, Any]:
    """Trains and evaluates with stable-baselines3; the weights are not kept.

    Raises:
        RuntimeError: it did other work than the card's.
    """
    command = [sys.executable, "-m", "benchmarks.sb3_run", task.card, "--seed", str(task.seed)]
    command += ["--threads", str(threads), *(["--frames", str(frames)] if frames else [])]
    with tempfile.TemporaryDirectory() as out:
        row = _output([*command, "--out", out])
    peer = CARDS[task.card].peer
    if not frames and (row["frames"], row["updates"]) != (peer.frames, peer.updates):
        raise RuntimeError(f"{row['frames']} frames and {row['updates']} updates, not {peer.frames} and {peer.updates}")
    return row


def curve_of(run_dir: Path, total_frames: int) -> list[Point]:
    """The learning curve of a run directory: its episodes, with the seconds of the metrics' rows between them."""
    metrics = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    timed = [(0, 0.0), *((row["frames"], row["time/seconds"]) for row in metrics if row.get("time/seconds"))]
    frames, seconds = zip(*timed, strict=True)
    episodes = [json.loads(line) for line in (run_dir / "episodes.jsonl").read_text().splitlines()]
    when = np.interp([episode["frames"] for episode in episodes], frames, seconds)
    points = [(episode["frames"], float(at), episode["return"]) for episode, at in zip(episodes, when, strict=True)]
    return thinned(points, total_frames)


def run_rlrecipe(task: Task, runs: Path, changes: Sequence[str] = (), episodes: int | None = None) -> dict[str, Any]:
    """Trains and evaluates with rlrecipe, always in a new run directory, which is kept."""
    from rlrecipe import load_policy

    card = CARDS[task.card]
    episodes = episodes or card.eval_episodes
    folder = runs / task.card / f"seed-{task.seed}-{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}"
    command = [rlrecipe_command(), "run", task.card, "--seed", str(task.seed), "--run-dir", str(folder)]
    command += [word for change in changes for word in ("-s", change)]
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([*command, "--json"], stdout=subprocess.DEVNULL, check=True)
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    summary = json.loads((folder / "summary.json").read_text())
    returns = np.array(returns_of(load_policy(folder), card.env_id, episodes))
    return {
        **task._asdict(),
        "frames": summary["frames"],
        "updates": summary["updates"],
        "train_seconds": summary["wall_seconds"],
        "core_share": core_share(cpu, wall),
        "eval_episodes": episodes,
        "eval_return_mean": float(returns.mean()),
        "eval_return_std": float(returns.std()),
        "versions": {name: version(name) for name in PACKAGES},
        "run": folder.relative_to(runs).as_posix(),
        "curve": curve_of(folder, summary["frames"]),
    }


@contextmanager
def sole_queue(results: Path, *, beside: bool = False) -> Iterator[None]:
    """Keeps a second queue, which would disturb the timings, from the results file; ``beside`` lets others in.

    Raises:
        SystemExit: another queue has the file.
    """
    results.parent.mkdir(parents=True, exist_ok=True)
    with results.open("a") as file:
        try:
            fcntl.flock(file, (fcntl.LOCK_SH if beside else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit(f"another queue is writing {results.name}: with --beside in both, they share it")
        yield


def append(results: Path, row: dict[str, Any]) -> None:
    """One line in one write, on disk before this returns.

    The file is opened by name each time: another commit checked out meanwhile leaves another file there.
    """
    with results.open("ab", buffering=0) as file:
        file.write(json.dumps(row).encode() + b"\n")
        os.fsync(file.fileno())


FAILURES = (subprocess.CalledProcessError, json.JSONDecodeError, OSError, KeyError, RuntimeError)


def work(
    cards: list[str],
    libraries: list[str],
    results: Path,
    run: Callable[[Task], dict[str, Any]],
    *,
    beside: bool = False,
    curves: bool = False,
) -> list[Task]:
    """Runs what is missing and appends a line for each; returns the tasks that failed."""
    failed = []
    with sole_queue(results, beside=beside):
        todo = missing(cards, libraries, results, curves=curves)
        for number, task in enumerate(todo, 1):
            load, started = os.getloadavg()[0], time.perf_counter()
            try:
                row = run(task)
            except FAILURES as error:
                print(f"{number}/{len(todo)} {task} FAILED: {error!r}", file=sys.stderr, flush=True)
                failed.append(task)
                continue
            seconds = round(time.perf_counter() - started, 3)
            row |= {"process_seconds": seconds, "load_before": round(load, 2), "machine": MACHINE}
            append(results, row)
            print(
                f"{number}/{len(todo)} {task.card} {task.library} seed {task.seed}: "
                f"{row['eval_return_mean']:.1f} in {row['process_seconds']:.0f} s",
                file=sys.stderr,
                flush=True,
            )
    return failed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--library", action="append", choices=SEEDS, help="default: all")
    parser.add_argument("--card", action="append", choices=CARDS, help="default: all")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--runs", type=Path, default=Path("runs") / "learning", help="rlrecipe's run directories")
    parser.add_argument("--threads", type=int, default=1, help="of stable-baselines3")
    parser.add_argument("--beside", action="store_true", help="while other such queues write to the same file")
    parser.add_argument("--curves", action="store_true", help="repeat runs whose line has no learning curve")
    parser.add_argument("--frames", type=int, help="in place of the cards', to try the queue out")
    options = parser.parse_args()

    def run(task: Task) -> dict[str, Any]:
        if task.library == "sb3":
            return run_sb3(task, options.threads, options.frames)
        # A card may take fewer frames than its recipe: HalfCheetah's is a million long.
        work = CARDS[task.card].work
        frames = options.frames or (work.total_frames if work is not None else None)
        changes = [f"trainer.total_frames={frames}"] if frames else []
        return run_rlrecipe(task, options.runs, changes)

    # Turned into an exception, so that the run under way is ended with the queue.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    cards = options.card or list(CARDS)
    libraries = options.library or list(SEEDS)
    failed = work(cards, libraries, options.results, run, beside=options.beside, curves=options.curves)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
