"""Generators that tell how they go on, and whose return value is what they are for."""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

Step = TypeVar("Step")
T = TypeVar("T")


def told(task: Generator[Step, None, T]) -> tuple[list[Step], T]:
    """Run a task to its end: what it told on its way, and its return value."""
    steps: list[Step] = []
    while True:
        try:
            steps.append(next(task))
        except StopIteration as end:
            result: T = end.value
            return steps, result


def ended(task: Generator[Step, None, T]) -> T:
    """A task's return value."""
    return told(task)[1]
