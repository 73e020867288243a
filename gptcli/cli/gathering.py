"""Answers that come part by part: shown how far they are, and kept when something ends them."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from typing import Any, TypeVar, cast

from gptcli.types.events import Progress
from gptcli.ui.terminal.messages import Messages
from gptcli.ui.terminal.progress import watch_steps

T = TypeVar("T")


def gathered(
    parts: Iterator[Any],
    steps: Callable[[Any], int],
    label: str,
    messages: Messages,
    present: Callable[[Any, list[Any]], None],
) -> None:
    """Run an answer to its end, and `present` its first part and the others, at the end or before.

    steps: how many others there are, by the first. What was computed before a signal or an error
    ended it is not thrown away.
    """
    known: list[Any] = []
    try:
        watch_steps(_watched(parts, steps, label, known), messages)
    finally:
        if known:
            total = steps(known[0])
            if len(known) <= total:
                messages.hint(f"partial: {len(known) - 1} of {total} were computed")
            present(known[0], known[1:])


def _watched(
    parts: Iterator[Any], steps: Callable[[Any], int], label: str, known: list[Any]
) -> Generator[Progress, None, None]:
    with closing(cast("Generator[Any]", parts)) as answer:
        for each in answer:
            known.append(each)
            yield Progress(label, len(known) - 1, steps(known[0]))
