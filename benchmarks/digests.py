"""What short runs of the bundled recipes come to, as digests: equal before and after a change of nothing but structure.

``python -m benchmarks.digests`` prints a line for each recipe: its name, how its updates were computed, and the first
digits of SHA-256 over the final policy, over the rows of metrics and of episodes without the wall clock's, and over the
evaluation. Each run writes a checkpoint in the middle and goes on from there once more: ``resume equal`` if that comes
to the same, else the digests that differ, and exit code 1. Two versions on one machine are compared with ``diff``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rlrecipe.checkpoint.store import CheckpointStore
from rlrecipe.recipe.bundled import bundled
from rlrecipe.recipe.load import load
from rlrecipe.runs.progress import Display
from rlrecipe.runs.start import resume, run

#: What runtime.compile says for each way of computing an update.
WAYS = {"eager": "off", "compiled": "on"}
#: One thread, one evaluation: a digest costs seconds.
QUICK = ("evaluation.every=null", "evaluation.episodes=1", "runtime.threads=1")


def short(name: str) -> list[str]:
    """Overrides that leave two batches, or a few hundred updates from a small buffer; a checkpoint halfway."""
    recipe: Any = load(name).recipe
    batch = recipe.collector.frames_per_batch
    if recipe.replay_buffer is None:
        return [*QUICK, *_frames(max(2 * batch, 512))]
    small = ("replay_buffer.storage.max_size=1000", "collector.init_random_frames=200")
    return [*QUICK, *small, *_frames(max(600, 4 * batch))]


def _frames(total: int) -> tuple[str, str]:
    return f"trainer.total_frames={total}", f"checkpoint.every={total // 2}"


def digests(folder: Path) -> dict[str, str]:
    """Digests of a finished run, by what they are of."""
    newest = (folder / "checkpoints/latest").read_text(encoding="utf-8").strip()
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    evaluated = [summary["eval_return_mean"], summary["eval_return_std"]]
    return {
        "policy": _digest((folder / "checkpoints" / newest / "policy.safetensors").read_bytes()),
        "metrics": _digest(_rows(folder / "metrics.jsonl")),
        "episodes": _digest(_rows(folder / "episodes.jsonl")),
        "evaluation": _digest(json.dumps(evaluated).encode()),
    }


def _rows(file: Path) -> bytes:
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return json.dumps([{k: v for k, v in row.items() if not k.startswith("time/")} for row in rows]).encode()


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:12]


def in_both(name: str, way: str) -> bool:
    """Run a recipe, go on from its middle once more, and print the digests; whether both come to the same."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "run"
        whole = run(name, [*short(name), f"runtime.compile={WAYS[way]}"], run_dir=folder, display=Display(quiet=True))
        found = digests(folder)
        # Naming a checkpoint that is not the newest: what came after it is done again.
        middle = folder / "checkpoints" / CheckpointStore(folder / "checkpoints").names()[0]
        again = resume(middle, display=Display(quiet=True))
        resumed = digests(folder)
    assert whole.outcome.code == again.outcome.code == 0, (whole.outcome, again.outcome)
    differ = [f"{what} {digest}" for what, digest in resumed.items() if digest != found[what]]
    verdict = f"resume DIFFERS: {' '.join(differ)}" if differ else "resume equal"
    print(name, way, *(f"{what} {digest}" for what, digest in found.items()), verdict, flush=True)
    return not differ


def main(names: Sequence[str], ways: Sequence[str]) -> int:
    """Print a line for each recipe and way; 1 where a resumed run came to something else."""
    equal = [in_both(name, way) for name in names or bundled() for way in ways]
    return 0 if all(equal) else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="bundled recipes; all by default")
    parser.add_argument("--compile", default="off", choices=["on", "off", "both"], help="compile updates")
    asked = parser.parse_args()
    chosen = [way for way, compiled in WAYS.items() if asked.compile in (compiled, "both")]
    raise SystemExit(main(asked.names, chosen))
