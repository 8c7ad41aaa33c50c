"""SIGTERM or SIGINT at random moments after the start: each ends as promised, and the run goes on to the same bytes.

``python -m benchmarks.signals --signals 30 --seed 0`` starts the command of a job script again and again, sends one
signal to each process, and then lets the run be finished. Promised are 75 (SIGTERM) and 130 (SIGINT) from the first
line of rlrecipe on; before it, while Python itself starts, the signal's own end with nothing written; 0 where the run
had finished. The result is kept in ``benchmarks/results/signals.json``.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.kills import outcome
from benchmarks.learning import rlrecipe_command

RESULT = Path(__file__).parent / "results/signals.json"
CHANGES = ("trainer.total_frames=20_000", "checkpoint.every=2000", "evaluation.every=5000", "evaluation.episodes=2")
CODES = {signal.SIGTERM: 75, signal.SIGINT: 130}
#: Seconds after the start in which the signal comes.
LATEST = 3.0


def command(run: Path) -> list[str]:
    """The command of a job script: it starts or goes on."""
    changes = [word for change in CHANGES for word in ("-s", change)]
    return [rlrecipe_command(), "run", "ppo/cartpole", "--run-dir", str(run), "--continue", *changes]


def signalled(run: Path, number: signal.Signals, seconds: float) -> dict[str, Any]:
    """Start a run, send it a signal, and see how it ends.

    Returns:
        Signal, moment, exit code, state in ``status.json`` (None without a folder), and whether that is as promised.
    """
    process = subprocess.Popen(command(run), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        said, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(number)
        said, _ = process.communicate()
    code, folder = process.returncode, run / "status.json"
    state = json.loads(folder.read_text(encoding="utf-8"))["state"] if folder.is_file() else None
    left = sorted(path.name for path in run.parent.glob(f".{run.name}*"))
    stopped = code == CODES[number] and state in ("stopped", None)
    well = stopped or (code == 0 and state == "finished") or (code == -number and state is None and not said)
    facts = {"signal": number.name, "after": round(seconds, 3), "code": code, "state": state, "left": left}
    return {**facts, "as_promised": well and not left, **({} if well else {"said": said[-2000:]})}


def finished(run: Path) -> bool:
    """Let the run end; whether it does."""
    return subprocess.run(command(run), capture_output=True).returncode == 0


def main() -> None:
    """Send the signals, finish each run, compare; exits with 1 if one was not as promised."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--signals", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    # Started in the background of a script, it would hand on that SIGINT is ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    rng, rows = random.Random(options.seed), list[dict[str, Any]]()
    with tempfile.TemporaryDirectory() as scratch:
        assert finished(Path(scratch) / "whole")
        expected = outcome(Path(scratch) / "whole")
        for index in range(options.signals):
            run = Path(scratch) / f"run-{index}"
            row = signalled(run, rng.choice(list(CODES)), rng.uniform(0, LATEST))
            row["same_bytes"] = finished(run) and outcome(run) == expected
            rows.append(row)
            print(json.dumps(row), flush=True)
    well = sum(row["as_promised"] and row["same_bytes"] for row in rows)
    content = {
        "command": f"python -m benchmarks.signals --signals {options.signals} --seed {options.seed}",
        "time": time.strftime("%Y-%m-%d"),
        "as_promised_with_same_bytes": well,
        "signals": rows,
    }
    RESULT.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(f"{well} of {len(rows)} as promised, and their runs ended with the same bytes")
    sys.exit(0 if well == len(rows) else 1)


if __name__ == "__main__":
    main()
