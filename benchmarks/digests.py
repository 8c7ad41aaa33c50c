"""What short runs of the bundled recipes come to, as digests: equal before and after a change of nothing but structure.

``python -m benchmarks.digests`` prints a line for each recipe: its name, and the first digits of SHA-256 over the final
policy, over the rows of metrics and of episodes without the wall clock's, and over the evaluation. Two versions on one
machine are compared with ``diff``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rlrecipe.recipe.bundled import bundled
from rlrecipe.recipe.load import load
from rlrecipe.runs.progress import Display
from rlrecipe.runs.start import run

#: One thread, nothing compiled: a digest costs seconds.
QUICK = ("evaluation.every=null", "evaluation.episodes=1", "runtime.threads=1")


def short(name: str) -> list[str]:
    """Overrides that leave two batches, or a few hundred updates from a small buffer."""
    recipe: Any = load(name).recipe
    if recipe.replay_buffer is None:
        return [*QUICK, f"trainer.total_frames={max(2 * recipe.collector.frames_per_batch, 512)}"]
    small = ("replay_buffer.storage.max_size=1000", "collector.init_random_frames=200")
    return [*QUICK, *small, f"trainer.total_frames={max(600, 4 * recipe.collector.frames_per_batch)}"]


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


def main(names: Sequence[str], compile_updates: str) -> None:
    """Run recipes and print a line for each."""
    for name in names or bundled():
        with tempfile.TemporaryDirectory() as scratch:
            overrides = [*short(name), f"runtime.compile={compile_updates}"]
            run(name, overrides, run_dir=Path(scratch) / "run", display=Display(quiet=True))
            found = digests(Path(scratch) / "run")
        print(name, *(f"{what} {digest}" for what, digest in found.items()), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="bundled recipes; all by default")
    parser.add_argument("--compile", default="off", choices=["on", "off"], help="compile updates")
    asked = parser.parse_args()
    main(asked.names, asked.compile)
