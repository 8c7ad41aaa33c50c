"""What the system tells about its processor."""

from __future__ import annotations

import os
from pathlib import Path


def cpu_facts(*names: str) -> list[str]:
    """Each distinct ``name: value`` of /proc/cpuinfo under one of ``names``; none where there is no such file."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
    except OSError:
        return []
    facts = (line.partition(":") for line in lines if line.startswith(names))
    return list(dict.fromkeys(f"{name.strip()}: {value.strip()}" for name, _, value in facts))


def cpu_model() -> str:
    """The processor's name, or nothing."""
    return next((fact.partition(": ")[2] for fact in cpu_facts("model name")), "")


def cores() -> int:
    """How many this process may use: two threads on one core wait for each other."""
    allowed = getattr(os, "sched_getaffinity", None)
    return len(allowed(0)) if allowed else os.cpu_count() or 1
