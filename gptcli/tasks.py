"""Tasks: generators that tell how they go on, and whose return value is what they are for."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TypeVar

Step = TypeVar("Step")
Other = TypeVar("Other")
T = TypeVar("T")


def ended(task: Generator[Step, None, T], tell: Callable[[Step], object] = lambda _: None) -> T:
    """Run a task to its end, and `tell` each step; its return value. It is closed in any case."""
    try:
        while True:
            tell(next(task))
    except StopIteration as end:
        found: T = end.value
        return found
    finally:
        task.close()


def seen(
    task: Generator[Step, None, T], see: Callable[[Step], Other | None]
) -> Generator[Other, None, T]:
    """The same task, its steps being what `see` makes of them; None is left out."""
    try:
        while True:
            step = see(next(task))
            if step is not None:
                yield step
    except StopIteration as end:
        found: T = end.value
        return found
    finally:
        task.close()
