"""How many threads work together, from how long they waited for each other."""

from __future__ import annotations

import numpy as np

from gptcli.engine.cpu.binding.library import open_library
from tests.engine.cpu.helpers import needs_kernels

pytestmark = needs_kernels


def crews(wanted: int, waited: list[float]) -> list[int]:
    shares, out = np.array(waited), np.zeros(len(waited), dtype=np.int32)
    functions = open_library().functions
    functions.kernels_crew(wanted, shares.ctypes.data, len(waited), out.ctypes.data)
    return out.tolist()


def test_threads_that_work_stay_together():
    """Catches threads that are sent away for the short waits that every stage ends with."""
    assert crews(8, [0.0, 0.2, 0.5, 0.4] * 20) == [8] * 80


def test_threads_that_wait_for_each_other_become_fewer_until_they_do_not():
    """Catches a crew that clings to threads whose processors others use."""
    assert crews(8, [0.9, 0.8, 0.7, 0.0, 0.0]) == [8, 4, 2, 1, 1]
    assert crews(3, [0.9, 0.6, 0.0]) == [3, 1, 1]


def test_all_are_tried_again_after_longer_and_longer_rests():
    """Catches a crew that stays small for ever, or that tries so often that nothing is won."""
    busy = crews(2, [0.9 if number in (0, 17, 50) else 0.0 for number in range(120)])
    assert [number for number, size in enumerate(busy) if size == 2] == [
        0,
        17,
        50,
        115,
        *range(116, 120),
    ]
    calm = crews(2, [0.9] + [0.0] * 40 + [0.9] + [0.0] * 20)
    # The job after the rest had no waits, so the next rest is a short one.
    assert [number for number, size in enumerate(calm) if size == 1] == [
        *range(1, 17),
        *range(42, 58),
    ]
