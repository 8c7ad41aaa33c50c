"""The learning comparison: a queue of runs, one process at a time, one JSON line a finished run.

``python -m benchmarks.learning --library sb3 --library rlrecipe`` works through every card and seed
that has no line in ``benchmarks/results/learning.jsonl`` yet. It can be stopped at any moment and
started again: a run that was cut off starts over, a finished one is not repeated.

Every final policy is evaluated on the same 100 start states: for one Pendulum policy the mean over
100 episodes differs between sets of start states with a standard deviation of 8.6, more than between
runs.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from benchmarks.cards import CARDS
from benchmarks.episodes import returns_of
from rlrecipe import load_policy

RESULTS = Path(__file__).parent / "results" / "learning.jsonl"
EPISODES = 100
# stable-baselines3 seeds environment i with seed + i: its seeds must lie apart to share nothing.
SEEDS = {"sb3": range(0, 10_000, 1000), "rlrecipe": range(10)}
PACKAGES = ("rlrecipe", "torch", "gymnasium", "numpy")


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


def missing(cards: Iterable[str], libraries: Iterable[str], results: Path) -> list[Task]:
    """What is still to run, seed by seed, so that a stopped queue leaves comparable halves."""
    done = {Task(row["card"], row["library"], row["seed"]) for row in read_rows(results)}
    libraries = list(libraries)
    wanted = [
        Task(card, library, seed)
        for card in cards
        for seeds in zip(*(SEEDS[library] for library in libraries), strict=True)
        for library, seed in zip(libraries, seeds, strict=True)
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


def run_sb3(task: Task, threads: int) -> dict[str, Any]:
    """Trains and evaluates with stable-baselines3; the weights are not kept."""
    command = [sys.executable, "-m", "benchmarks.sb3_run", task.card, "--seed", str(task.seed)]
    command += ["--threads", str(threads), "--episodes", str(EPISODES)]
    with tempfile.TemporaryDirectory() as out:
        return _output([*command, "--out", out])


def run_rlrecipe(task: Task, runs: Path, changes: Sequence[str] = (), episodes: int = EPISODES) -> dict[str, Any]:
    """Trains and evaluates with rlrecipe, always in a new run directory, which is kept for its curve."""
    folder = runs / task.card / f"seed-{task.seed}-{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}"
    command = [rlrecipe_command(), "run", task.card, "--seed", str(task.seed), "--run-dir", str(folder)]
    command += [word for change in changes for word in ("-s", change)]
    subprocess.run([*command, "--json"], stdout=subprocess.DEVNULL, check=True)
    summary = json.loads((folder / "summary.json").read_text())
    returns = np.array(returns_of(load_policy(folder), CARDS[task.card].env_id, episodes))
    return {
        **task._asdict(),
        "frames": summary["frames"],
        "updates": summary["updates"],
        "train_seconds": summary["wall_seconds"],
        "eval_episodes": episodes,
        "eval_return_mean": float(returns.mean()),
        "eval_return_std": float(returns.std()),
        "versions": {name: version(name) for name in PACKAGES},
        "run": folder.relative_to(runs).as_posix(),
    }


@contextmanager
def sole_queue(results: Path) -> Iterator[IO[str]]:
    """The results file, open for appending; a second queue on it would disturb the timings.

    Raises:
        SystemExit: another queue has it.
    """
    results.parent.mkdir(parents=True, exist_ok=True)
    with results.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit(f"another queue is writing {results.name}")
        yield file


def work(cards: list[str], libraries: list[str], results: Path, run: Callable[[Task], dict[str, Any]]) -> list[Task]:
    """Runs what is missing and appends a line for each; returns the tasks that failed."""
    failed = []
    with sole_queue(results) as file:
        todo = missing(cards, libraries, results)
        for number, task in enumerate(todo, 1):
            started = time.perf_counter()
            try:
                row = run(task)
            except (subprocess.CalledProcessError, json.JSONDecodeError, OSError, KeyError) as error:
                print(f"{number}/{len(todo)} {task} FAILED: {error!r}", file=sys.stderr, flush=True)
                failed.append(task)
                continue
            row["process_seconds"] = round(time.perf_counter() - started, 3)
            file.write(json.dumps(row) + "\n")
            file.flush()
            os.fsync(file.fileno())
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
    options = parser.parse_args()

    def run(task: Task) -> dict[str, Any]:
        if task.library == "sb3":
            return run_sb3(task, options.threads)
        return run_rlrecipe(task, options.runs)

    # Turned into an exception, so that the run under way is ended with the queue.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    cards = options.card or list(CARDS)
    sys.exit(1 if work(cards, options.library or list(SEEDS), options.results, run) else 0)


if __name__ == "__main__":
    main()
