"""How much of the machine others used meanwhile: a ratio of a busy minute is worth little."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_STAT = Path("/proc/stat")


@dataclass(frozen=True)
class Watch:
    """A moment: seconds by the clock, of CPU time of all cores, of us and our ended children."""

    clock: float
    machine: float
    own: float

    def others(self, later: Watch) -> float | None:
        """Cores that others kept busy until `later`, on average; the machine's host among them.

        None for less than a tenth of a second: the system counts in hundredths.
        """
        if later.clock - self.clock < 0.1:
            return None
        busy = (later.machine - self.machine) - (later.own - self.own)
        return max(0.0, busy / (later.clock - self.clock))


def watch(stat: Callable[[], str] = _STAT.read_text) -> Watch | None:
    """Now; None where the system does not tell, as only Linux does.

    Fields of /proc/stat: https://man7.org/linux/man-pages/man5/proc_stat.5.html
    """
    try:
        fields = [int(field) for field in stat().splitlines()[0].split()[1:]]
    except OSError:
        return None
    # user nice system idle iowait irq softirq steal; guests are counted in user and nice.
    busy = sum(fields[:3]) + sum(fields[5:8])
    times = os.times()
    own = times.user + times.system + times.children_user + times.children_system
    return Watch(time.perf_counter(), busy / os.sysconf("SC_CLK_TCK"), own)
