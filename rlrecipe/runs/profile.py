"""Where a session's time went: every second of the process belongs to one phase."""

from __future__ import annotations

import os
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlrecipe.interfaces.abilities import HasEnvs, HasPolicy
from rlrecipe.runs.directory import as_json
from rlrecipe.system.files import write

if TYPE_CHECKING:
    from rlrecipe.runs.session import Session

#: What each phase is, in the order of the table.
PHASES = {
    "import": "Python and the libraries",
    "start": "recipe, environments and networks made, the run directory",
    "environment": "steps and resets of the training environments",
    "policy": "actions and their random numbers",
    "collecting": "transforms, recording transitions",
    "data": "advantages, replay buffer, minibatches",
    "update": "losses, gradients, optimizer steps, target networks",
    "compile": "packages made or loaded",
    "hooks and loop": "hooks, schedules, the loop itself",
    "logging": "rows, loggers, progress",
    "evaluation": "episodes of evaluation",
    "checkpoint": "states taken and written",
    "end": "summary, closing",
}
#: Phases in which everything belongs to them, whatever is called.
CLOSED = frozenset({"evaluation", "checkpoint"})


class Profile:
    """Adds up seconds and calls of each phase; a phase inside another takes its time from that.

    Args:
        begun: when the process started, on ``time.perf_counter``.
    """

    def __init__(self, begun: float | None = None) -> None:
        self.begun = process_start() if begun is None else begun
        self.seconds, self.calls = defaultdict[str, float](float), Counter[str]()
        self._phases, self._since = ["import"], self.begun

    def _count(self) -> None:
        now = time.perf_counter()
        self.seconds[self._phases[-1]] += now - self._since
        self._since = now

    def go_on(self, phase: str) -> None:
        """From here on, what is no other phase's is ``phase``'s."""
        self._count()
        self._phases[-1] = phase

    def watched(self, function: Callable[..., Any], name: str) -> Callable[..., Any]:
        """A function whose calls belong to a phase."""

        @wraps(function)
        def call(*arguments: Any, **named: Any) -> Any:
            if self._phases[-1] in CLOSED:
                return function(*arguments, **named)
            self._count()
            self._phases.append(name)
            self.calls[name] += 1
            try:
                return function(*arguments, **named)
            finally:
                self._count()
                self._phases.pop()

        return call

    def watch(self, owner: Any, names: str, phase: str) -> None:
        """Let calls of methods of one object, as far as it has them, belong to a phase."""
        for name in names.split():
            if callable(getattr(owner, name, None)):
                setattr(owner, name, self.watched(getattr(owner, name), phase))

    def attach(self, session: Session) -> None:
        """Watch the parts of a session that is about to train."""
        trainer = session.trainer
        if isinstance(trainer.collector, HasEnvs):
            self.watch(trainer.collector.envs, "advance start", "environment")
        if isinstance(trainer.collector, HasPolicy):
            self.watch(trainer.collector.policy, "act noise random to_env", "policy")
        self.watch(trainer.collector, "collect", "collecting")
        self.watch(trainer.sampler, "extend begin take", "data")
        self.watch(trainer.updates, "take", "update")
        self.watch(trainer.updates, "prepare", "compile")
        self.watch(session.recorder, "open boundary row write close", "logging")
        self.watch(session.evaluation, "run", "evaluation")
        self.watch(session.checkpoints, "save", "checkpoint")
        self.watch(session, "finish", "end")

    def report(self) -> dict[str, Any]:
        """Seconds, share and calls of each phase."""
        self._count()
        total = sum(self.seconds.values())
        phases = {
            name: {"seconds": round(self.seconds[name], 4), "share": round(self.seconds[name] / total, 4)}
            | ({"calls": self.calls[name]} if self.calls[name] else {})
            for name in PHASES
            if self.seconds[name]
        }
        return {"seconds": round(total, 4), "phases": phases}

    def write(self, folder: Path, say: Callable[[str], None]) -> None:
        """Put the report into the run directory, and show it as a table."""
        report = self.report()
        write(folder / "profile.json", as_json(report))
        say(table(report))


def table(report: dict[str, Any]) -> str:
    """A report as lines of text."""
    lines = [f"where {report['seconds']:.1f} s went"]
    for name, phase in report["phases"].items():
        calls = f"{phase['calls']:,} x" if "calls" in phase else ""
        lines.append(f"  {name:<15}{phase['seconds']:>9.2f} s{phase['share']:>7.1%}{calls:>12}  {PHASES[name]}")
    return "\n".join(lines)


def process_start() -> float:
    """When this process started, on ``time.perf_counter``; where the system does not tell, now."""
    try:
        ticks = int(Path("/proc/self/stat").read_text("utf-8").rpartition(")")[2].split()[19])
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError, AttributeError):
        return time.perf_counter()
    return time.perf_counter() - max(0.0, age)
