"""Commands inside real control groups, as root: ``python -m tests.cases.in_control_groups``.

Each group is made below this process's own, and removed. CI's tests read trees of files instead.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from rlrecipe.machine import groups

RECIPE = """env: {env_name: HalfCheetah-v5}
algorithm: sac
trainer: {total_frames: 20_000_000}
replay_buffer: {storage: {name: memory, max_size: 20_000_000}}
"""
#: 1000 MB, and one core of the machine's: by the file that sets it in each version.
MEMORY = {"memory.max": f"{1000 * 2**20}", "memory.limit_in_bytes": f"{1000 * 2**20}"}
ONE_CORE = {"cpu.max": "100000 100000", "cpu.cfs_quota_us": "100000"}


def inside(controller: str, limits: Mapping[str, str], command: list[str]) -> tuple[int, str] | None:
    """Run a command in a group two levels down, the upper of which has the limit; None where no group can be made."""
    try:
        upper = next(folder for folder in groups(controller) if any((folder / name).is_file() for name in limits))
        upper /= f"rlrecipe-{os.getpid()}"
        inner = upper / "inner"
        inner.mkdir(parents=True)
    except (OSError, StopIteration):
        return None
    try:
        for name, value in limits.items():
            if (upper / name).is_file():
                (upper / name).write_text(value)
        shell = f"echo $$ > {inner}/cgroup.procs && exec " + '"$@"'
        done = subprocess.run(["sh", "-c", shell, "sh", *command], capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr
    finally:
        inner.rmdir()
        upper.rmdir()


def main() -> int:
    """Print what both limits lead to; 0 if that is right, or no group can be made here."""
    with tempfile.TemporaryDirectory() as folder:
        recipe = Path(folder) / "recipe.yaml"
        recipe.write_text(RECIPE)
        validated = inside("memory", MEMORY, [sys.executable, "-m", "rlrecipe", "validate", str(recipe)])
        ask = "from rlrecipe.machine import cores; print(cores())"
        counted = inside("cpu", ONE_CORE, [sys.executable, "-c", ask])
    print("memory:", validated or "no group can be made here")
    print("cores:", counted or "no group can be made here")
    sound = validated is None or (validated[0] == 3 and "E303" in validated[1] and "control group" in validated[1])
    return 0 if sound and (counted is None or counted == (0, "1\n")) else 1


if __name__ == "__main__":
    sys.exit(main())
