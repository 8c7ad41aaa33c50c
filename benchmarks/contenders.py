"""Who takes part in the speed comparison: how each is started, and what it says it did."""

from __future__ import annotations

import json
import os
import resource
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.peers.meter import seconds_to, updates_per_second
from benchmarks.work import SpeedCard

ROOT = Path(__file__).resolve().parents[1]
#: Peers, each with its module in ``benchmarks.peers``, and the name of its virtual environment in ``.bench``.
PEERS = {
    "sb3": "sb3",
    "sbx": "sbx",
    "single_file": "sb3",
    "tianshou": "tianshou",
    "torchrl_trainers": "torchrl",
    "rlox": "rlox",
    "rltools": "rltools",
}


class Contender(NamedTuple):
    """One way to do the work; ``threads`` 0 leaves the choice to the library, ``cold`` takes its caches away."""

    library: str
    threads: int
    cold: bool = False

    def __str__(self) -> str:
        threads = f", {self.threads} thread{'s' * (self.threads > 1)}" if self.threads else ""
        return f"{self.library}{threads}{', cold' if self.cold else ''}"


#: rlrecipe, which chooses its threads itself.
OURS = Contender("rlrecipe", 0)


class UndoneError(RuntimeError):
    """A library does not do a card's work; the message says why."""


def interpreter(library: str) -> str:
    """The Python of a library's own environment; this one's where there is none."""
    own = ROOT / ".bench" / PEERS.get(library, library) / "bin" / "python"
    return str(own) if own.exists() else sys.executable


def command(contender: Contender, card: SpeedCard, seed: int, out: Path) -> list[str]:
    """The process that does the work of ``card`` and leaves its weights in ``out``."""
    python = interpreter(contender.library)
    if contender.library != OURS.library:
        module = f"benchmarks.peers.{contender.library}"
        arguments = [card.card.name, "--seed", str(seed), "--threads", str(contender.threads), "--out", str(out)]
        return [python, "-m", module, *arguments]
    # One evaluation of one episode: without any, rlrecipe does not finish.
    settings = [*card.settings, "evaluation.every=null", "evaluation.episodes=1"]
    chosen = [argument for setting in settings for argument in ("-s", setting)]
    return [python, "-m", "rlrecipe", "run", card.recipe, "--seed", str(seed), "--run-dir", str(out), *chosen, "--json"]


def report_of(contender: Contender, output: str, out: Path, wall: float) -> dict[str, Any]:
    """Counts, progress and episodes as the library reports them, after a process of so many seconds.

    Raises:
        FileNotFoundError: the process left no weights.
    """
    if contender.library != OURS.library:
        if not any(out.iterdir()):
            raise FileNotFoundError(f"{contender} left no weights")
        found: dict[str, Any] = json.loads(output.strip().splitlines()[-1])
        return found
    checkpoint = out / "checkpoints" / (out / "checkpoints" / "latest").read_text().strip()
    if not (checkpoint / "policy.safetensors").exists():
        raise FileNotFoundError(f"{contender} left no policy.safetensors")
    summary = json.loads((out / "summary.json").read_text())
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    episodes = [json.loads(line) for line in (out / "episodes.jsonl").read_text().splitlines()]
    timed = [(row["frames"], row["updates"], row["time/seconds"]) for row in rows if row.get("time/seconds")]
    # Its clock runs from the first frame to the last; what it does not count is taken to come before, all of it.
    before = wall - timed[-1][2]
    timed = [(frames, updates, before + seconds) for frames, updates, seconds in [(0, 0, 0.0), *timed]]
    return {
        "frames": summary["frames"],
        "updates": summary["updates"],
        "minibatch": _minibatch(out),
        "parameters": _parameters(checkpoint),
        "progress": timed,
        "episodes": _with_seconds(episodes, timed),
        "versions": json.loads((out / "provenance.json").read_text())["versions"],
    }


def _minibatch(out: Path) -> int:
    """Rows of an update, from what the run resolved its recipe to."""
    import yaml

    recipe = yaml.safe_load((out / "resolved.yaml").read_text())
    if recipe.get("replay_buffer"):
        return int(recipe["replay_buffer"]["batch_size"])
    return int(recipe["algorithm"].get("minibatch_size", recipe["collector"]["frames_per_batch"]))


def _parameters(checkpoint: Path) -> int:
    """Numbers that the optimizers keep averages of, from the file's header."""
    with (checkpoint / "state.safetensors").open("rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
    sizes: dict[str, int] = {}
    for name, entry in header.items():
        if name.startswith("update.optimizer."):
            objective = name.split(".")[2]
            sizes[objective] = max(sizes.get(objective, 0), prod(entry["shape"]))
    return sum(sizes.values())


def _with_seconds(
    episodes: list[dict[str, Any]], timed: list[tuple[int, int, float]]
) -> list[tuple[int, float, float]]:
    """Episodes with the seconds of the rows around them."""
    import numpy as np

    frames, _, seconds = zip(*timed, strict=True)
    when = np.interp([episode["frames"] for episode in episodes], frames, seconds)
    return [(e["frames"], round(float(at), 3), e["return"]) for e, at in zip(episodes, when, strict=True)]


def measure(contender: Contender, card: SpeedCard, seed: int) -> dict[str, Any]:
    """Run one process to its end; wall time from outside, processor time and memory from the kernel.

    Raises:
        UndoneError: the library says that it cannot do this work, or did other work.
    """
    with tempfile.TemporaryDirectory() as folder:
        out, line = Path(folder) / "run", command(contender, card, seed, Path(folder) / "run")
        kept = ROOT / ".bench" / "cache"
        environment = {**os.environ, "RLRECIPE_CACHE": str(Path(folder) / "cache" if contender.cold else kept)}
        load, started = os.getloadavg()[0], time.perf_counter()
        with (Path(folder) / "said").open("w+") as said, (Path(folder) / "errors").open("w+") as errors:
            process = subprocess.Popen(line, stdout=said, stderr=errors, cwd=ROOT, env=environment)
            _, status, used = os.wait4(process.pid, 0)
            wall = time.perf_counter() - started
            process.returncode = os.waitstatus_to_exitcode(status)
            said.seek(0)
            errors.seek(0)
            if process.returncode:
                raise UndoneError(f"{contender}: {errors.read().strip().splitlines()[-1:]}")
            try:
                report = report_of(contender, said.read(), out, wall)
            except (OSError, ValueError, LookupError) as error:
                raise UndoneError(f"{contender} left nothing that can be read: {error!r}") from error
    return {**contender._asdict(), "seed": seed, **_figures(wall, used, load), **checked(contender, card, report)}


def _figures(wall: float, used: resource.struct_rusage, load: float) -> dict[str, float]:
    return {
        "wall_seconds": round(wall, 3),
        "cpu_seconds": round(used.ru_utime + used.ru_stime, 3),
        "peak_mb": round(used.ru_maxrss / 1024, 1),
        "load_before": round(load, 2),
    }


def checked(contender: Contender, card: SpeedCard, report: Mapping[str, Any]) -> dict[str, Any]:
    """What a process did, once its counts are the card's, but for those that it says are others, and why.

    Raises:
        UndoneError: it did other work and does not say so.
    """
    counts = {name: report[name] for name in card.counts}
    wrong = [name for name in counts if counts[name] != card.counts[name] and name not in report.get("exempt", ())]
    if wrong:
        raise UndoneError(f"{contender} did {counts}, not {card.counts}")
    return {
        **counts,
        "differs": report.get("differs"),
        "updates_per_second": updates_per_second(report["progress"]),
        "seconds_to_threshold": seconds_to(card.threshold, report["episodes"]),
        "curve": report["episodes"][:: max(1, len(report["episodes"]) // 200)],
        "versions": report["versions"],
    }
