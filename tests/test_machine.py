"""What the system tells, read from trees of files as Linux, Docker, Kubernetes and Slurm write them."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from rlrecipe.machine import (
    asked_threads,
    cores,
    cpu_facts,
    cpu_model,
    free_memory,
    memory_limits,
    spare,
    tightest,
    total_memory,
    usage,
)

MIB = 2**20
CPUINFO = """processor\t: 0
model name\t: A: fast one
flags\t\t: fpu avx

processor\t: 1
model name\t: A: fast one
flags\t\t: fpu
"""
MEMINFO = f"MemTotal: {8 * MIB} kB\nMemFree: 1 kB\nMemAvailable: {4 * MIB} kB\n"
V1 = """30 25 0:26 / /sys/fs/cgroup/memory rw,nosuid shared:9 - cgroup cgroup rw,memory
31 25 0:27 / /sys/fs/cgroup/cpu,cpuacct rw shared:10 - cgroup cgroup rw,cpu,cpuacct
"""
V2 = "35 25 0:30 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"


def tree(root: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_each_fact_is_told_once(tmp_path: Path) -> None:
    root = tree(tmp_path, {"proc/cpuinfo": CPUINFO})
    assert cpu_facts("model name", "flags", root=root) == ["model name: A: fast one", "flags: fpu avx", "flags: fpu"]
    assert cpu_model(root) == "A: fast one"


def test_other_systems_tell_nothing(tmp_path: Path) -> None:
    assert cpu_facts("flags", root=tmp_path) == []
    assert cpu_model(tmp_path) == ""
    assert memory_limits(tmp_path) == []
    assert free_memory(tmp_path) == total_memory(tmp_path) > MIB
    assert 1 <= cores(tmp_path) <= (os.cpu_count() or 1)
    assert spare(usage(tmp_path), usage(tmp_path)) >= 1


def test_what_the_machine_has_free(tmp_path: Path) -> None:
    root = tree(tmp_path, {"proc/meminfo": MEMINFO})
    assert (total_memory(root), free_memory(root), tightest(root)) == (8 * 2**30, 4 * 2**30, "")


@pytest.mark.parametrize("above", [False, True], ids=["own group", "the group above"])
def test_control_groups_of_version_1_count(above: bool, tmp_path: Path) -> None:
    mine, other = ("slurm/job_7", "slurm") if not above else ("slurm", "slurm/job_7")
    root = tree(
        tmp_path,
        {
            "proc/meminfo": MEMINFO,
            "proc/self/cgroup": "9:memory:/slurm/job_7\n3:cpu,cpuacct:/\n0::/\n",
            "proc/self/mountinfo": V1,
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
            f"sys/fs/cgroup/memory/{mine}/memory.limit_in_bytes": f"{1000 * MIB}\n",
            f"sys/fs/cgroup/memory/{mine}/memory.usage_in_bytes": f"{700 * MIB}\n",
            f"sys/fs/cgroup/memory/{mine}/memory.stat": f"cache 1\ntotal_inactive_file {300 * MIB}\n"
            f"total_active_file {200 * MIB}\n",
            f"sys/fs/cgroup/memory/{other}/memory.limit_in_bytes": "9223372036854771712\n",
        },
    )
    # What the cache of files holds is given back.
    assert (total_memory(root), free_memory(root)) == (1000 * MIB, 800 * MIB)
    assert tightest(root) == (f"the control group's /sys/fs/cgroup/memory/{mine}/memory.limit_in_bytes allows 1000 MiB")


def test_control_groups_of_version_2_count_with_those_above(tmp_path: Path) -> None:
    pod = "sys/fs/cgroup/kubepods/pod1"
    root = tree(
        tmp_path,
        {
            "proc/meminfo": MEMINFO,
            "proc/self/cgroup": "0::/kubepods/pod1/main\n",
            "proc/self/mountinfo": V2,
            f"{pod}/main/memory.max": "max\n",
            f"{pod}/main/memory.current": f"{100 * MIB}\n",
            f"{pod}/memory.max": f"{600 * MIB}\n",
            f"{pod}/memory.high": f"{500 * MIB}\n",
            f"{pod}/memory.current": f"{200 * MIB}\n",
            f"{pod}/memory.stat": f"anon 7\ninactive_file {50 * MIB}\nactive_file 0\n",
        },
    )
    assert (total_memory(root), free_memory(root)) == (500 * MIB, 350 * MIB)
    assert tightest(root) == "the control group's /sys/fs/cgroup/kubepods/pod1/memory.high allows 500 MiB"


def test_a_container_sees_its_own_group_as_the_top(tmp_path: Path) -> None:
    """The path in /proc/self/cgroup is the host's, and so is the mount's root; names may have blanks."""
    root = tree(
        tmp_path,
        {
            "proc/meminfo": MEMINFO,
            "proc/self/cgroup": "5:memory:/docker/abc\n0::/../outside\n",
            "proc/self/mountinfo": "30 25 0:26 /docker/abc /sys/fs/c\\040group/memory ro - cgroup cgroup rw,memory\n"
            + V2.replace("/sys/fs/cgroup", "/unified"),
            "sys/fs/c group/memory/memory.limit_in_bytes": f"{300 * MIB}\n",
            "unified/memory.max": f"{200 * MIB}\n",
            "unified/memory.current": "0\n",
        },
    )
    assert sorted(limit.total for limit in memory_limits(root)) == [200 * MIB, 300 * MIB]


def test_ulimit_counts(tmp_path: Path) -> None:
    limits = (
        "Limit                     Soft Limit           Hard Limit           Units     \n"
        "Max data size             unlimited            unlimited            bytes     \n"
        f"Max address space         {900 * MIB}            unlimited            bytes     \n"
    )
    files = {"proc/meminfo": MEMINFO, "proc/self/limits": limits, "proc/self/status": "Name:\tx\nVmSize:\t 204800 kB\n"}
    root = tree(tmp_path, files)
    assert (total_memory(root), free_memory(root)) == (900 * MIB, 700 * MIB)
    assert tightest(root) == "ulimit -v allows 900 MiB"


@pytest.mark.parametrize(
    ("allowed", "files", "expected"),
    [
        (8, {"cpu.max": "max 100000\n"}, 8),
        (8, {"cpu.max": "250000 100000\n"}, 2),
        (8, {"cpu.max": "50000 100000\n"}, 1),
        (2, {"cpu.max": "400000 100000\n"}, 2),
        (8, {"cpu.max": "300000 100000\n", "a/cpu.max": "max 100000\n"}, 3),
        (8, {"cpu.max": "300000 100000\n", "a/cpu.max": "200000 100000\n"}, 2),
        (8, {"cpu.cfs_quota_us": "-1\n", "cpu.cfs_period_us": "100000\n"}, 8),
        (8, {"cpu.cfs_quota_us": "300000\n", "cpu.cfs_period_us": "100000\n"}, 3),
    ],
)
def test_cores_are_affinity_and_quota(
    allowed: int, files: Mapping[str, str], expected: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(allowed)), raising=False)
    first = any("cfs" in name for name in files)
    top = "sys/fs/cgroup/cpu,cpuacct" if first else "sys/fs/cgroup"
    groups = {
        "proc/self/cgroup": "4:cpu,cpuacct:/a\n" if first else "0::/a\n",
        "proc/self/mountinfo": V1 if first else V2,
    }
    assert cores(tree(tmp_path, groups | {f"{top}/{name}": text for name, text in files.items()})) == expected


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, None),
        ({"OMP_NUM_THREADS": "1"}, 1),
        ({"MKL_NUM_THREADS": " 3 "}, 3),
        ({"OMP_NUM_THREADS": "4,2", "MKL_NUM_THREADS": "2"}, 2),
        ({"OMP_NUM_THREADS": "", "MKL_NUM_THREADS": "0"}, None),
        ({"OMP_NUM_THREADS": "many"}, None),
    ],
)
def test_what_the_environment_asks_for(environ: Mapping[str, str], expected: int | None) -> None:
    assert asked_threads(environ) == expected


def stat(*cores: tuple[int, int]) -> str:
    """Ticks of user time and of idling of each core."""
    lines = [f"cpu{i} {user} 0 0 {idle} 0 0 0 0 0 0\n" for i, (user, idle) in enumerate(cores)]
    return "cpu  1 2 3 4 5 6 7 8 9 10\n" + "".join(lines)


def test_cores_that_others_leave(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 2}, raising=False)
    monkeypatch.setattr("time.process_time", iter([5.0, 5.25]).__next__)
    monkeypatch.setattr("time.monotonic", iter([100.0, 101.0]).__next__)
    before = usage(tree(tmp_path, {"proc/stat": stat((0, 0), (0, 0), (500, 0))}))
    # 1.25 s on the two cores that it may use, 0.25 of which were its own; the third core is not for it.
    after = usage(tree(tmp_path, {"proc/stat": stat((100, 0), (100, 0), (525, 75))}))
    assert spare(before, after) == pytest.approx(1.0)


@pytest.mark.parametrize("version", [1, 2])
def test_a_quota_is_shared_with_the_other_processes_of_its_group(
    version: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(64)), raising=False)
    monkeypatch.setattr("time.process_time", iter([1.0, 1.5]).__next__)
    monkeypatch.setattr("time.monotonic", iter([100.0, 101.0]).__next__)
    top = "sys/fs/cgroup/cpu,cpuacct" if version == 1 else "sys/fs/cgroup"
    quota = {1: {"cpu.cfs_quota_us": "200000", "cpu.cfs_period_us": "100000"}, 2: {"cpu.max": "200000 100000"}}[version]
    tree(
        tmp_path,
        {
            "proc/self/cgroup": "4:cpu,cpuacct:/\n" if version == 1 else "0::/\n",
            "proc/self/mountinfo": V1 if version == 1 else V2,
            **{f"{top}/{name}": text for name, text in quota.items()},
        },
    )

    def used(seconds: float) -> Path:
        new = {"cpu.stat": f"usage_usec {int(seconds * 1e6)}\nuser_usec 0\n"}
        old = {"cpuacct.usage": f"{int(seconds * 1e9)}\n", "cpu.stat": "nr_periods 0\n"}
        return tree(tmp_path, {f"{top}/{name}": text for name, text in (old if version == 1 else new).items()})

    # The machine has 62 more cores, but the quota of two is used for 1.2 seconds by others.
    assert spare(usage(used(10)), usage(used(11.7))) == pytest.approx(0.8)
