"""Random SIGKILLs: every run that was killed and resumed must end as the one that was not.

``python -m benchmarks.kills --kills 50`` trains small versions of several recipes once without a kill, then kills
and resumes each at random moments until the kills are used up, and compares policy bytes, metrics and episodes.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.learning import rlrecipe_command

#: Recipes of three capture methods, small, with a checkpoint often enough to be hit while it is written.
WORK = {
    "ppo/cartpole": ("trainer.total_frames=40_000", "checkpoint.every=1000", "evaluation.every=5000"),
    "ppo/halfcheetah": ("trainer.total_frames=14_336", "checkpoint.every=2048", "evaluation.every=null"),
    "ppo/lunarlander": ("trainer.total_frames=65_536", "checkpoint.every=16_384", "evaluation.every=null"),
}
EPISODES = "evaluation.episodes=2"


def outcome(run: Path) -> Any:
    """What a killed run must share with the one that was not."""
    newest = (run / "checkpoints/latest").read_text().strip()
    rows = [
        [{k: v for k, v in json.loads(line).items() if not k.startswith("time/")} for line in (run / log).open()]
        for log in ("metrics.jsonl", "episodes.jsonl")
    ]
    return (run / "checkpoints" / newest / "policy.safetensors").read_bytes(), rows


def train(recipe: str, run: Path) -> list[str]:
    """The command of a job script: it starts or goes on."""
    changes = [word for change in (*WORK[recipe], EPISODES) for word in ("-s", change)]
    return [rlrecipe_command(), "-q", "run", recipe, "--run-dir", str(run), "--continue", *changes]


def killed(recipe: str, run: Path, kills: int, longest: float, rng: random.Random) -> int:
    """Run the command until it exits with 0, killing it at random moments; returns how often it was killed."""
    done = 0
    while True:
        process = subprocess.Popen(train(recipe, run), stdout=subprocess.DEVNULL)
        if done < kills:
            try:
                process.wait(rng.uniform(1.0, longest))
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                done += 1
        if process.wait() == 0:
            return done


def main() -> None:
    """Kill, resume, compare; exits with 1 if one run ended otherwise."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng, total, wrong, rounds = random.Random(options.seed), 0, 0, 0
    with tempfile.TemporaryDirectory() as scratch:
        expected, seconds = {}, {}
        for recipe in WORK:
            started = time.perf_counter()
            subprocess.run(train(recipe, Path(scratch) / recipe), stdout=subprocess.DEVNULL, check=True)
            seconds[recipe] = time.perf_counter() - started
            expected[recipe] = outcome(Path(scratch) / recipe)
        while total < options.kills:
            recipe = list(WORK)[rounds % len(WORK)]
            run = Path(scratch) / f"round-{rounds}"
            done = killed(recipe, run, min(5, options.kills - total), seconds[recipe], rng)
            same = outcome(run) == expected[recipe]
            print(f"{recipe}: {done} kills, {'the same' if same else 'DIFFERENT'}", flush=True)
            total, wrong, rounds = total + done, wrong + (not same), rounds + 1
            shutil.rmtree(run)
    print(f"{total} kills in {rounds} runs, {wrong} ended differently")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
