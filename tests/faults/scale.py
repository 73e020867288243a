"""A fault suite has two sizes: a hundredth in every run, all of it by `pytest -m faults`."""

from __future__ import annotations

from typing import Any

import pytest

_SHARE = 100


def seeds(total: int, *, blocks: int = 1) -> pytest.MarkDecorator:
    """A test with a parameter `cases`, a range of seeds: some of every block, then whole blocks.

    blocks: how many tests the long part is cut into, so that workers share it.
    """
    few = range(0, total, _SHARE)
    long = [
        pytest.param(range(n * total // blocks, (n + 1) * total // blocks), id=f"all-{n}")
        for n in range(blocks)
    ]
    marked = [pytest.param(*each.values, id=each.id, marks=pytest.mark.faults) for each in long]
    return pytest.mark.parametrize("cases", [pytest.param(few, id="few"), *marked])


def number(total: int) -> pytest.MarkDecorator:
    """The same for a test with a parameter `times`, an int: a hundredth, at least three."""
    few: list[Any] = [pytest.param(max(3, total // _SHARE), id="few")]
    return pytest.mark.parametrize(
        "times", [*few, pytest.param(total, id="all", marks=pytest.mark.faults)]
    )
