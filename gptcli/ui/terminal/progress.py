"""Long tasks: a bar on a terminal, one line elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from gptcli.tasks import ended
from gptcli.types.events import Notice, Progress
from gptcli.ui.terminal.messages import Messages
from gptcli.ui.terminal.visible import one_line
from gptcli.units import size

if TYPE_CHECKING:
    from rich.progress import ProgressColumn, TaskID

T = TypeVar("T")


def watch(task: Generator[Progress | Notice, None, T], messages: Messages) -> T:
    """Run a task to its end, showing how far it is and what it tells, and give its result."""
    if _animated(messages):
        return _with_bars(task, messages, _bytes())
    return _with_lines(task, messages, _in_bytes)


def watch_steps(
    task: Generator[Progress | Notice, None, T], messages: Messages, *, told: bool = False
) -> T:
    """As `watch`, where progress is in steps; off a terminal none is shown, but how many there
    will be where that is to be `told`.
    """
    if _animated(messages):
        return _with_bars(task, messages, _steps())
    return _with_lines(task, messages, _in_all if told else None)


@contextmanager
def counting(label: str, total: int, messages: Messages) -> Iterator[Callable[[], None]]:
    """A task of `total` steps: a bar on a terminal, one line elsewhere. Call it after each step."""
    if _animated(messages):
        from rich.progress import Progress as Bars

        with Bars(
            *_steps(), console=messages.console, transient=True, disable=messages.quiet
        ) as bars:
            task = bars.add_task(one_line(label), total=total)
            yield lambda: bars.advance(task)
    else:
        messages.info(_in_all(Progress(label, 0, total)))
        yield lambda: None


@contextmanager
def counting_rows(
    label: str, total: int | None, messages: Messages
) -> Iterator[Callable[[int, int], None]]:
    """Rows done, tokens a second and the time that is left, on a terminal; elsewhere nothing.

    Call it with how many rows are done, and how many tokens have come, whenever that has changed.
    """
    if not _animated(messages):
        yield lambda rows, tokens: None
        return
    from rich.progress import Progress as Bars
    from rich.progress import TextColumn

    text = TextColumn("{task.fields[rate]}", markup=False)
    begun = time.monotonic()
    with Bars(
        *_steps(), text, console=messages.console, transient=True, disable=messages.quiet
    ) as bars:
        task = bars.add_task(one_line(label), total=total, rate="")

        def show(rows: int, tokens: int) -> None:
            rate = tokens / max(time.monotonic() - begun, 1e-3)
            bars.update(task, completed=rows, rate=f"{rate:.0f} tokens/s")

        yield show


def _animated(messages: Messages) -> bool:
    # Not what Rich takes for a terminal: FORCE_COLOR asks for colour in a pipe, not for animation.
    return messages.on_terminal and not messages.console.is_dumb_terminal


def _bytes() -> tuple[ProgressColumn, ...]:
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    return (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(compact=True),
    )


def _steps() -> tuple[ProgressColumn, ...]:
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

    return (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(compact=True),
    )


def _with_bars(
    task: Generator[Progress | Notice, None, T],
    messages: Messages,
    columns: Sequence[ProgressColumn],
) -> T:
    from rich.progress import Progress as Bars

    # Nothing is drawn before the first step, so that a task without steps shows nothing.
    bars = Bars(*columns, console=messages.console, transient=True, disable=messages.quiet)
    shown: dict[str, TaskID] = {}

    def show(step: Progress | Notice) -> None:
        if isinstance(step, Notice):
            messages.notices([step])
            return
        if not shown:
            bars.start()
        total = None if step.total is None else float(step.total)
        label = one_line(step.label)
        if label not in shown:
            shown[label] = bars.add_task(label, total=total)
        bars.update(shown[label], completed=step.done, total=total)

    try:
        return ended(task, show)
    finally:
        bars.stop()


def _in_bytes(step: Progress) -> str:
    return step.label + (f" ({size(step.total)})" if step.total else "")


def _in_all(step: Progress) -> str:
    return f"{step.label} ({step.total} in all)"


def _with_lines(
    task: Generator[Progress | Notice, None, T],
    messages: Messages,
    line: Callable[[Progress], str] | None,
) -> T:
    """line: what is said of a task's first step, if anything."""
    shown: set[str] = set()

    def show(step: Progress | Notice) -> None:
        if isinstance(step, Notice):
            messages.notices([step])
        elif line is not None and step.label not in shown:
            shown.add(step.label)
            messages.info(line(step))

    return ended(task, show)
