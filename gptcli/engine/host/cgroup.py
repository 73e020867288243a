"""How many CPUs' time, and how much memory, the cgroups of this process allow, on Linux.

A container may have a share of a machine though it sees all of it. The limits are those of cgroup
v2 (cpu.max; memory.max, memory.high) and of v1 (cpu.cfs_quota_us, cpu.cfs_period_us;
memory.limit_in_bytes), as the kernel's Documentation/admin-guide has them in cgroup-v2.rst and
cgroup-v1/memory.rst, and Documentation/scheduler in sched-bwc.rst.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path


def cpu_limit(root: Path = Path("/")) -> int | None:
    """CPUs, rounded up, of the tightest limit on the way from our cgroups up; None for no limit.

    Rounded up, since two threads that are stopped now and then do more than one that never is.
    Files that cannot be read or understood are no limit. root: where /proc and /sys are.
    """
    shares = [share for share in _found(root, "cpu", _cpus_of_v2, _cpus_of_v1) if share > 0]
    return max(1, math.ceil(min(shares))) if shares else None


def memory_left(root: Path = Path("/")) -> int | None:
    """Bytes that may still be taken under the tightest limit on the way up; None for no limit.

    What files take in the cache counts as free, since the system takes it back when it is short.
    """
    left = list(_found(root, "memory", _bytes_of_v2, _bytes_of_v1))
    return max(0, int(min(left))) if left else None


Read = Callable[[Path], float]


def _found(root: Path, controller: str, v2: Read, v1: Read) -> Iterator[float]:
    """What all limits say that /proc/self/cgroup leads to."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except (OSError, ValueError):
        return
    for line in lines:
        yield from _limits(root / "sys/fs/cgroup", line, controller, v2, v1)


def _limits(mounts: Path, line: str, controller: str, v2: Read, v1: Read) -> Iterator[float]:
    """The limits that a line of it leads to: `hierarchy:controllers:/path`."""
    number, _, rest = line.partition(":")
    controllers, _, path = rest.partition(":")
    if number == "0" and not controllers:
        # Where v1 and v2 are both there, v2 has a place of its own.
        for mount in (mounts, mounts / "unified"):
            yield from _each(mount, path, v2)
    elif controller in controllers.split(","):
        for name in dict.fromkeys((controllers, controller)):
            yield from _each(mounts / name, path, v1)


def _each(mount: Path, path: str, read: Read) -> Iterator[float]:
    """What each cgroup says from `path` up to where they are mounted.

    In a container the path may be that of the machine, of which only the end is mounted: what is
    not there says nothing.
    """
    parts = [part for part in path.split("/") if part not in ("", "..")]
    for depth in range(len(parts), -1, -1):
        with suppress(OSError, ValueError, ZeroDivisionError):
            yield read(mount.joinpath(*parts[:depth]))


def _cpus_of_v2(directory: Path) -> float:
    quota, period = (directory / "cpu.max").read_text().split()
    return int(quota) / int(period)


def _cpus_of_v1(directory: Path) -> float:
    quota = int((directory / "cpu.cfs_quota_us").read_text())
    return quota / int((directory / "cpu.cfs_period_us").read_text())


def _bytes_of_v2(directory: Path) -> float:
    files = [directory / "memory.max", directory / "memory.high"]
    said = [file.read_text().strip() for file in files if file.exists()]
    limits = [int(text) for text in said if text != "max"]
    used = int((directory / "memory.current").read_text())
    return min(limits) - used + _cached(directory, "")


def _bytes_of_v1(directory: Path) -> float:
    limit = int((directory / "memory.limit_in_bytes").read_text())
    used = int((directory / "memory.usage_in_bytes").read_text())
    return limit - used + _cached(directory, "total_")


def _cached(directory: Path, prefix: str) -> int:
    """Bytes of files in the cache, those of tmpfs left out."""
    names = {f"{prefix}active_file", f"{prefix}inactive_file"}
    lines = (directory / "memory.stat").read_text().splitlines()
    pairs = (line.split() for line in lines)
    return sum(int(pair[1]) for pair in pairs if len(pair) == 2 and pair[0] in names)
