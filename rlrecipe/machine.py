"""What the system tells of its processor, and of the cores and the memory that this process may use; its arithmetic.

Control groups count, of version 1 and 2, with every group above one's own, and so does ``ulimit``: a container or a
job of a cluster sees the whole machine in ``/proc`` and is killed when it takes more than its share.
Every file is read below ``root``.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from rlrecipe.lazy import torch

ROOT = Path("/")
#: Version 1 says "no limit" by the largest number of whole pages.
NO_LIMIT = 2**60
#: Columns of /proc/stat in which a core works: user, nice, system, interrupts, and what other machines took.
_BUSY = (0, 1, 2, 5, 6, 7)


# -- processor


def cpu_facts(*names: str, root: Path = ROOT) -> list[str]:
    """Each distinct ``name: value`` of /proc/cpuinfo under one of ``names``; none where there is no such file."""
    facts = (line.partition(":") for line in _lines(root / "proc/cpuinfo") if line.startswith(names))
    return list(dict.fromkeys(f"{name.strip()}: {value.strip()}" for name, _, value in facts))


def cpu_model(root: Path = ROOT) -> str:
    """The processor's name, or nothing."""
    return next((fact.partition(": ")[2] for fact in cpu_facts("model name", root=root)), "")


def cores(root: Path = ROOT) -> int:
    """How many this process may use at once: two threads on one core wait for each other."""
    return max(1, int(min([len(_allowed()), *(quota for quota, _ in _quotas(root))])))


def asked_threads(environ: Mapping[str, str] = os.environ) -> int | None:
    """Threads that OMP_NUM_THREADS and MKL_NUM_THREADS ask for, the smaller of the two; None where neither does."""
    # The first of "4,2" is the number of the outermost level, which is all that there is here.
    words = (environ.get(name, "").partition(",")[0].strip() for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"))
    return min((int(word) for word in words if word.isdecimal() and int(word)), default=None)


def _allowed() -> set[int]:
    """Numbers of the cores that this process may run on."""
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))


# -- memory


class Limit(NamedTuple):
    """A bound on this process's memory, in bytes, what is free of it, and who set it."""

    total: int
    free: int
    where: str


def total_memory(root: Path = ROOT) -> int:
    """Bytes that this process may have: a system may lend more than is free, but not more than there is."""
    return min([_machine(root).total, *(limit.total for limit in memory_limits(root))])


def free_memory(root: Path = ROOT) -> int:
    """Bytes that this process can still have, caches of files aside, which make room."""
    return min([_machine(root).free, *(limit.free for limit in memory_limits(root))])


def tightest(root: Path = ROOT) -> str:
    """What leaves the least free memory, in words; nothing where that is the machine itself."""
    least = min([_machine(root), *memory_limits(root)], key=lambda limit: limit.free)
    return least.where


def memory_limits(root: Path = ROOT) -> list[Limit]:
    """Every bound of control groups and of ``ulimit``."""
    found = [limit for folder in groups("memory", root) for limit in _of_group(folder, root)]
    size = {name: value for line in _lines(root / "proc/self/status") for name, _, value in [line.partition(":")]}
    for kind, flag, held in (("Max address space", "v", "VmSize"), ("Max data size", "d", "VmData")):
        for line in _lines(root / "proc/self/limits"):
            words = line.removeprefix(kind).split()
            if line.startswith(kind) and words and words[0].isdecimal():
                used = 1024 * int((size.get(held) or "0").split()[0])
                bound = int(words[0])
                found.append(Limit(bound, max(0, bound - used), f"ulimit -{flag} allows {bound / 2**20:.0f} MiB"))
    return found


def _of_group(folder: Path, root: Path) -> Iterator[Limit]:
    new = (folder / "memory.current").is_file()
    usage, prefix = ("memory.current", "") if new else ("memory.usage_in_bytes", "total_")
    for name in ("memory.max", "memory.high") if new else ("memory.limit_in_bytes",):
        bound = _number(folder / name)
        if bound is not None:
            stat = dict(line.split(" ", 1) for line in _lines(folder / "memory.stat") if " " in line)
            # What files left there is given back before anybody is killed.
            cached = sum(int(stat.get(f"{prefix}{kind}_file", 0)) for kind in ("inactive", "active"))
            used = max(0, (_number(folder / usage) or 0) - cached)
            where = f"the control group's {ROOT / (folder / name).relative_to(root)} allows {bound / 2**20:.0f} MiB"
            yield Limit(bound, max(0, bound - used), where)


def _machine(root: Path) -> Limit:
    """All memory, and what nobody uses of it."""
    facts = dict(line.split(":", 1) for line in _lines(root / "proc/meminfo") if ":" in line)
    try:
        total, free = (int(facts[name].split()[0]) * 1024 for name in ("MemTotal", "MemAvailable"))
        return Limit(total, free, "")
    except (KeyError, ValueError):
        there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        return Limit(there, there, "")


# -- how busy it is


@dataclass(frozen=True)
class Usage:
    """Processor time up to a moment, in seconds.

    Attributes:
        when: on the monotonic clock.
        own: this process's.
        busy: everybody's, on the cores that this process may run on; None where the system does not tell.
        groups: of each control group with a quota: cores that it allows, and its processes' time.
    """

    when: float
    own: float
    busy: float | None
    groups: tuple[tuple[float, float], ...]


def usage(root: Path = ROOT) -> Usage:
    """Processor time until now."""
    allowed, ticks = _allowed(), 0
    found = False
    for line in _lines(root / "proc/stat"):
        name, *columns = line.split()
        if name.startswith("cpu") and name[3:].isdecimal() and int(name[3:]) in allowed:
            found = True
            ticks += sum(int(columns[column]) for column in _BUSY if column < len(columns))
    busy = ticks / os.sysconf("SC_CLK_TCK") if found else None
    groups = tuple((quota, seconds) for quota, seconds in _quotas(root) if seconds is not None)
    return Usage(time.monotonic(), time.process_time(), busy, groups)


def spare(before: Usage, after: Usage) -> float:
    """Cores that other processes left to this one between two moments."""
    seconds = max(after.when - before.when, 1e-9)
    own, left = after.own - before.own, float(len(_allowed()))
    if before.busy is not None and after.busy is not None:
        left -= max(0.0, after.busy - before.busy - own) / seconds
    for (quota, then), (_, now) in zip(before.groups, after.groups, strict=False):
        left = min(left, quota - max(0.0, now - then - own) / seconds)
    return max(0.0, left)


def _quotas(root: Path) -> list[tuple[float, float | None]]:
    """Cores that each control group allows, where one does, and the seconds that its processes have used."""
    counted = list(groups("cpuacct", root))
    found: list[tuple[float, float | None]] = []
    for level, folder in enumerate(groups("cpu", root)):
        # "max 100000" and "200000 100000", or a file for each number, the first of which is -1 for none.
        words = [word for line in _lines(folder / "cpu.max") for word in line.split()]
        old = [_word(folder / f"cpu.cfs_{name}_us") for name in ("quota", "period")]
        quota, period = words if len(words) == 2 else old
        if quota.isdecimal() and period.isdecimal() and int(period):
            used = [line.split()[1] for line in _lines(folder / "cpu.stat") if line.startswith("usage_usec ")]
            seconds = int(used[0]) / 1e6 if used else None
            if not used and level < len(counted):
                nanoseconds = _number(counted[level] / "cpuacct.usage")
                seconds = None if nanoseconds is None else nanoseconds / 1e9
            found.append((int(quota) / int(period), seconds))
    return found


# -- control groups


def groups(controller: str, root: Path = ROOT) -> Iterator[Path]:
    """Folders of this process's control groups, its own first, then those above, as far as they are to be seen."""
    own = dict[str, str]()
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, path = line.split(":", 2) if line.count(":") >= 2 else ("", "-", "")
        own |= dict.fromkeys(controllers.split(","), path)
    for line in _lines(root / "proc/self/mountinfo"):
        left, _, right = line.partition(" - ")
        mount, system = left.split(" "), right.split(" ")
        # The second version has one tree for all, which is named by nothing.
        name = {"cgroup": controller, "cgroup2": ""}.get(system[0])
        if name is None or name not in own or len(mount) < 5 or (name and name not in system[-1].split(",")):
            continue
        top = root / _unescaped(mount[4]).lstrip("/")
        shown = f"{_unescaped(mount[3]).rstrip('/')}/"
        inside = f"{own[name].rstrip('/')}/"
        # A container may see its own group as the top, under a path that is the host's.
        below = inside.removeprefix(shown).strip("/") if inside.startswith(shown) else ""
        folder = top if ".." in below.split("/") else top / below
        while True:
            yield folder
            if folder == top:
                break
            folder = folder.parent


def _unescaped(path: str) -> str:
    """A path of mountinfo, in which blanks are written as octal numbers."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), path)


def _lines(path: Path) -> list[str]:
    """A file's lines; none where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


def _word(path: Path) -> str:
    return next(iter(_lines(path)), "").strip()


def _number(path: Path) -> int | None:
    """The number in a file; None where there is none, or one that stands for no limit."""
    word = _word(path)
    return int(word) if word.isdecimal() and int(word) < NO_LIMIT else None


# -- arithmetic


@contextmanager
def flushing_denormals() -> Iterator[None]:
    """Numbers below 1.2e-38 count as zero, in this thread and those that it starts.

    The gradient of a dead unit is zero, so Adam's averages of it shrink into that range and stay there,
    where a step of the optimizer takes over twenty times as long. Afterwards this thread computes as usual;
    those that it started keep the flag, and those that torch had started before never take it: where a caller
    has used several threads of torch before, they compute with denormals.
    """
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
