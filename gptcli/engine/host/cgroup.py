"""How many CPUs' time the cgroups of this process allow, on Linux.

A container may have a share of a machine's time though it sees all of its cores. The limits are
those of cgroup v2 (cpu.max) and of v1 (cpu.cfs_quota_us, cpu.cfs_period_us), as the kernel's
Documentation/admin-guide/cgroup-v2.rst and Documentation/scheduler/sched-bwc.rst have them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path


def cpu_limit(root: Path = Path("/")) -> int | None:
    """CPUs, rounded up, of the tightest limit on the way from our cgroups up; None for no limit.

    Rounded up, since two threads that are stopped now and then do more than one that never is.
    Files that cannot be read or understood are no limit. root: where /proc and /sys are.
    """
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except (OSError, ValueError):
        return None
    shares = [share for line in lines for share in _shares(root / "sys/fs/cgroup", line)]
    return max(1, math.ceil(min(shares))) if shares else None


def _shares(mounts: Path, line: str) -> Iterator[float]:
    """The limits that a line of /proc/self/cgroup leads to: `hierarchy:controllers:/path`."""
    number, _, rest = line.partition(":")
    controllers, _, path = rest.partition(":")
    if number == "0" and not controllers:
        # Where v1 and v2 are both there, v2 has a place of its own.
        for mount in (mounts, mounts / "unified"):
            yield from _each(mount, path, _of_v2)
    elif "cpu" in controllers.split(","):
        for name in (controllers, "cpu"):
            yield from _each(mounts / name, path, _of_v1)


def _each(mount: Path, path: str, read: Callable[[Path], float]) -> Iterator[float]:
    """What each cgroup says from `path` up to where they are mounted.

    In a container the path may be that of the machine, of which only the end is mounted: what is
    not there says nothing.
    """
    parts = [part for part in path.split("/") if part not in ("", "..")]
    for depth in range(len(parts), -1, -1):
        try:
            share = read(mount.joinpath(*parts[:depth]))
        except (OSError, ValueError, ZeroDivisionError):
            continue
        if share > 0:
            yield share


def _of_v2(directory: Path) -> float:
    quota, period = (directory / "cpu.max").read_text().split()
    return int(quota) / int(period)


def _of_v1(directory: Path) -> float:
    quota = int((directory / "cpu.cfs_quota_us").read_text())
    return quota / int((directory / "cpu.cfs_period_us").read_text())
