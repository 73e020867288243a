"""`--log`: a JSON line for each answer. What fails here costs no answer."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar

from gptcli.cli.flags.log import Logging
from gptcli.errors import GptcliError, ResourceError
from gptcli.line_log import append
from gptcli.types.completion import Chunk, Event, Usage
from gptcli.ui.data.writer import json_line
from gptcli.ui.terminal.messages import Messages
from gptcli.ui.views import sampling

E = TypeVar("E", bound=Event)
#: What of a request is no setting: it stands in the line by itself, or in no line at all.
_APART = frozenset(("prompt", "messages", "seed", "question", "examples", "order_seed", "apart"))


class AnswerLog:
    """The lines that one command adds; `at_once`: a failure is told when it happens, not last."""

    def __init__(self, logging: Logging, command: str, messages: Messages) -> None:
        self._file, self._command, self._messages = logging.file, command, messages
        self._failure: GptcliError | None = None
        self.at_once = False

    @property
    def on(self) -> bool:
        """Whether there are to be lines."""
        return self._file is not None

    def add(
        self,
        request: object,
        *,
        model: str,
        prompt: str,
        answer: str,
        usage: Usage | None = None,
        **more: Any,
    ) -> None:
        """A line; more: what else it holds, but what is None. Nothing is raised.

        usage: of a whole answer, how it really was drawn, and on what. Once a line could not be
        added, no other one is tried, but in a conversation.
        """
        if self._file is None or self._failure is not None:
            return
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        found: dict[str, Any] = {"time": now, "command": self._command, "model": model}
        found |= {"prompt": prompt, "answer": answer}
        found |= {name: plain(value) for name, value in more.items() if value is not None}
        found["settings"] = settings_of(request)
        if usage is not None:
            found |= {"device": usage.source.device, "dtype": usage.source.dtype}
            found["settings"] |= {"sampling": sampling.as_json(usage.sampling)}
        try:
            append(self._file, f"{json_line(found)}\n".encode())
        except GptcliError as error:
            failure = ResourceError(f"--log {error.subject}", error.reason)
            if self.at_once:
                self._messages.error(str(failure))
            else:
                self._failure = failure

    @contextmanager
    def told(self) -> Iterator[None]:
        """Raise, once the block is over, what has kept a line from being added."""
        try:
            yield
        except BaseException:
            if self._failure is not None:
                self._messages.error(str(self._failure))
            raise
        if self._failure is not None:
            raise self._failure


class Heard:
    """What came of a completion, as it goes by."""

    def __init__(self) -> None:
        self._parts: dict[int, list[Chunk]] = {}
        self._usage: Usage | None = None

    def passing(self, events: Iterator[E]) -> Iterator[E]:
        """The events, as they come."""
        for event in events:
            if isinstance(event, Chunk):
                self._parts.setdefault(event.index, []).append(event)
            elif isinstance(event, Usage):
                self._usage = event
            yield event

    def lines(self, seed: int) -> Iterator[dict[str, Any]]:
        """What to tell of each sample that was begun; finish_reason is not there of a stopped one.

        Seeds of samples follow each other.
        """
        for index, parts in sorted(self._parts.items()):
            yield {
                "answer": "".join(each.text for each in parts),
                "reasoning_content": "".join(each.thinking for each in parts) or None,
                "finish_reason": parts[-1].finish_reason,
                "seed": seed + index,
                "usage": self._usage,
            }


def settings_of(request: object) -> dict[str, Any]:
    """The fields of a request that say something, by their names, as JSON has them."""
    assert dataclasses.is_dataclass(request)
    found = {each.name: getattr(request, each.name) for each in dataclasses.fields(request)}
    said = {name: plain(value) for name, value in found.items() if name not in _APART}
    return {
        name: value
        for name, value in said.items()
        if value is not False and value not in (None, [], {})
    }


def plain(value: Any) -> Any:
    """A value as JSON has it: what it is made of by names, but for what says nothing."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return settings_of(value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, str | bool | int | float):
        return value
    return [*map(plain, value)] if isinstance(value, list | tuple) else str(value)
