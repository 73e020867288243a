"""Answers that come part by part: shown how far they are, and kept when something ends them."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from typing import Any, cast

from gptcli.types.events import Progress
from gptcli.ui.terminal.messages import Messages
from gptcli.ui.terminal.progress import watch_steps


def gathered(
    parts: Iterator[Any],
    label: str,
    messages: Messages,
    present: Callable[[Any, list[Any]], None],
) -> None:
    """Run an answer to its end, and `present` its first part and the others, at the end or before.

    The first tells their `count`. What was computed before a signal or an error
    ended it is not thrown away.
    """
    known: list[Any] = []
    try:
        watch_steps(_watched(parts, label, known), messages)
    finally:
        if known:
            total = known[0].count
            if len(known) <= total:
                messages.hint(f"partial: {len(known) - 1} of {total} were computed")
            present(known[0], known[1:])


def _watched(parts: Iterator[Any], label: str, known: list[Any]) -> Generator[Progress, None, None]:
    with closing(cast("Generator[Any]", parts)) as answer:
        for each in answer:
            known.append(each)
            yield Progress(label, len(known) - 1, known[0].count)
