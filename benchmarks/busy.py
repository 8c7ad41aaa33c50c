"""Frames a second beside other processes: ``python -m benchmarks.busy``, on a machine with nothing else to do.

Each way in which threads can wait is taken in turn, alone and beside processes that want a core each; rounds are
interleaved, so that a machine that slows down slows all of them.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rlrecipe.machine import cores
from rlrecipe.runs.waiting import SETTINGS


@dataclass(frozen=True)
class Way:
    """How threads wait: variables of the environment, and what changes in the recipe."""

    environ: Mapping[str, str] = field(default_factory=dict)
    overrides: Sequence[str] = ()


WAYS = {
    "chosen": Way(),
    # What libgomp does not read keeps rlrecipe from choosing, and leaves libgomp its own default.
    "default": Way({"KMP_BLOCKTIME": "200"}),
    "GOMP_SPINCOUNT=10000": Way({"GOMP_SPINCOUNT": "10000"}),
    "GOMP_SPINCOUNT=1000": Way({"GOMP_SPINCOUNT": "1000"}),
    "OMP_WAIT_POLICY=PASSIVE": Way({"OMP_WAIT_POLICY": "PASSIVE"}),
    "one thread": Way(overrides=("runtime.threads=1",)),
}


@contextmanager
def beside(number: int) -> Iterator[None]:
    """Processes that want a core each."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(number)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def speed(recipe: str, way: Way, frames: int, seconds: float, folder: Path) -> float:
    """Median frames/s of the rows after the first updates; a run is stopped after some seconds.

    Raises:
        RuntimeError: it failed.
    """
    start = frames // 4
    changes = [
        f"trainer.total_frames={frames}",
        f"trainer.log_interval={max(1, frames // 40)}",
        f"trainer.time_limit={{seconds: {seconds}}}",
        "evaluation={every: null, episodes: 1}",
        "checkpoint.every=1e9",
        "loggers=[]",
        "runtime.compile=on",
        *way.overrides,
    ]
    if recipe.startswith(("sac/", "td3/", "dqn/", "ddpg/")):
        changes.append(f"collector.init_random_frames={start}")
    clean = {name: value for name, value in os.environ.items() if name not in SETTINGS}
    command = [sys.executable, "-m", "rlrecipe", "-q", "run", recipe, "--run-dir", str(folder)]
    command += [word for change in changes for word in ("-s", change)]
    done = subprocess.run(command, env={**clean, **way.environ}, capture_output=True, text=True)
    if done.returncode not in (0, 75):
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr}")
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    speeds: list[float] = [row["time/frames_per_second"] for row in rows if "time/frames_per_second" in row]
    learning = [each for each, row in zip(speeds, rows, strict=False) if row["frames"] > start]
    return statistics.median(learning or speeds)


def measure(arguments: argparse.Namespace) -> dict[str, dict[int, list[float]]]:
    """Frames/s of each way beside each number of other processes, one for each round."""
    found: dict[str, dict[int, list[float]]] = {name: {n: [] for n in arguments.beside} for name in arguments.ways}
    with tempfile.TemporaryDirectory() as scratch:
        # What is compiled once for all is no part of it.
        for name in arguments.ways:
            speed(arguments.recipe, WAYS[name], 400, 60, Path(scratch) / f"warm {name}")
        for index in range(arguments.rounds):
            for others in arguments.beside:
                for name in arguments.ways:
                    folder = Path(scratch) / f"{index} {others} {name}"
                    with beside(others):
                        reached = speed(arguments.recipe, WAYS[name], arguments.frames, arguments.seconds, folder)
                    found[name][others].append(reached)
                    sys.stderr.write(f"round {index + 1}, beside {others}, {name}: {reached:.1f} frames/s\n")
    return found


def table(found: Mapping[str, Mapping[int, Sequence[float]]]) -> str:
    """Medians, and how many times slower than alone."""
    numbers = list(next(iter(found.values())))
    head = ["| threads wait", *(f"beside {n}" if n else "alone" for n in numbers)]
    lines = [" | ".join(head) + " |", "|---" * (len(numbers) + 1) + "|"]
    for name, by_number in found.items():
        medians = {n: statistics.median(speeds) for n, speeds in by_number.items()}
        slower = {n: f" ({medians[0] / medians[n]:.1f} x)" for n in numbers if n and 0 in medians}
        lines.append(" | ".join([f"| {name}", *(f"{medians[n]:.1f}{slower.get(n, '')}" for n in numbers)]) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.busy", description=__doc__)
    parser.add_argument("--recipe", default="sac/halfcheetah")
    parser.add_argument("--beside", type=int, nargs="+", default=[0, 1, 3], help="numbers of other processes")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--frames", type=int, default=4000)
    parser.add_argument("--seconds", type=float, default=60.0, help="after which a run is stopped")
    parser.add_argument("--out", type=Path, help="a JSON file for every number")
    arguments = parser.parse_args()
    found = measure(arguments)
    if arguments.out is not None:
        arguments.out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    said = f"{arguments.recipe} on {cores()} cores, frames/s, median of {arguments.rounds}"
    sys.stdout.write(f"{said}\n\n{table(found)}\n")


if __name__ == "__main__":
    main()
