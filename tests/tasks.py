"""Generators that tell how they go on, and whose return value is what they are for."""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

from gptcli.tasks import ended

__all__ = ["ended", "told"]

Step = TypeVar("Step")
T = TypeVar("T")


def told(task: Generator[Step, None, T]) -> tuple[list[Step], T]:
    """Run a task to its end: what it told on its way, and its return value."""
    steps: list[Step] = []
    found = ended(task, steps.append)
    return steps, found
