"""Completions as they are shown: text for a terminal, exact text, one JSON object, JSON lines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from gptcli.types.completion import Chunk, Event, PromptPiece, TokenInfo, Usage
from gptcli.types.events import Notice
from gptcli.ui.data.writer import DataWriter
from gptcli.ui.terminal.messages import Messages
from gptcli.ui.views import constraint, source
from gptcli.ui.views.sampling import as_json

if TYPE_CHECKING:
    from gptcli.ui.terminal.writer import TerminalWriter


def chunks(
    events: Iterable[Event],
    messages: Messages,
    *,
    prompt: Callable[[PromptPiece], None] | None = None,
) -> Iterator[Chunk | Usage]:
    """The chunks and the usage; notices go to stderr as they come, what is told of the prompt to
    who wants it.
    """
    for event in events:
        if isinstance(event, Notice):
            messages.notices([event])
        elif not isinstance(event, PromptPiece):
            yield event
        elif prompt is not None:
            prompt(event)


def in_order(events: Iterable[Chunk | Usage]) -> Iterator[Chunk | Usage]:
    """The chunks of sample 0, then those of sample 1, and so on; the first flows as it comes."""
    waiting: dict[int, list[Chunk]] = {}
    current = 0
    for event in events:
        if isinstance(event, Usage):
            yield event
            continue
        waiting.setdefault(event.index, []).append(event)
        while waiting.get(current):
            chunk = waiting[current].pop(0)
            yield chunk
            if chunk.finish_reason:
                current += 1


def at_once(events: Iterable[Chunk | Usage]) -> Iterator[Chunk | Usage]:
    """Every sample as a single chunk, when all are done."""
    texts: dict[int, Chunk] = {}
    for event in events:
        if isinstance(event, Usage):
            yield from (texts[index] for index in sorted(texts))
            yield event
            continue
        before = texts.get(event.index, Chunk("", event.index))
        texts[event.index] = replace(
            event,
            text=before.text + event.text,
            tokens=before.tokens + event.tokens,
            thinking=before.thinking + event.thinking,
        )


class CompletionView(Protocol):
    """Something that shows a completion."""

    def show(self, events: Iterable[Chunk | Usage]) -> Usage | None:
        """Write everything; the Usage that came last."""
        ...


class OnTerminal:
    """Streams to a terminal; samples under headings; the prompt, if echoed, dimmed."""

    def __init__(self, writer: TerminalWriter, *, samples: int, echo: str) -> None:
        self._writer, self._samples, self._echo = writer, samples, echo

    def show(self, events: Iterable[Chunk | Usage]) -> Usage | None:
        """See CompletionView."""
        usage = None
        begun: set[int] = set()
        try:
            for event in in_order(events):
                if isinstance(event, Usage):
                    usage = event
                    continue
                if event.index not in begun:
                    begun.add(event.index)
                    self._begin(event.index)
                self._writer.write(event.text)
        finally:
            # Also after an error or Ctrl-C: what comes next begins on a line of its own.
            self._writer.end_line()
        return usage

    def _begin(self, index: int) -> None:
        if self._samples > 1:
            self._writer.end_line()
            self._writer.write(f"── {index + 1} of {self._samples} ──\n", style="bold")
        self._writer.write(self._echo, style="dim")


class AsText:
    """Exactly the text; several samples each end with `separator`."""

    def __init__(self, writer: DataWriter, *, separator: str, echo: str) -> None:
        self._writer, self._separator, self._echo = writer, separator, echo

    def show(self, events: Iterable[Chunk | Usage]) -> Usage | None:
        """See CompletionView."""
        usage = None
        begun: set[int] = set()
        for event in in_order(events):
            if isinstance(event, Usage):
                usage = event
                continue
            text = event.text
            if event.index not in begun:
                begun.add(event.index)
                text = self._echo + text
            if event.finish_reason:
                text += self._separator
            if text:
                self._writer.write(text)
        return usage


class CompletionObject:
    """OpenAI's completion object: whole, or (`lines`) one for each piece."""

    def __init__(
        self, *, model: str, seed: int, lines: bool = False, echo: str = "", logprobs: bool
    ) -> None:
        self._lines, self._echo, self._logprobs = lines, echo, logprobs
        self.head: dict[str, Any] = {"object": "text_completion", "model": model, "seed": seed}

    def whole(self, events: Iterable[Chunk | Usage]) -> tuple[dict[str, Any], Usage | None]:
        """All of it, and the Usage that came last."""
        choices, usage = [], None
        for event in at_once(events):
            if isinstance(event, Usage):
                usage = event
            else:
                choices.append(self.choice(event, first=True))
        told = {} if usage is None else usage_json(usage)
        return self.head | {"choices": choices} | told, usage

    def choice(self, chunk: Chunk, *, first: bool) -> dict[str, Any]:
        """A piece; first: of its completion."""
        content = [token(info) for info in chunk.tokens]
        return {
            **self._said((self._echo if first else "") + chunk.text, chunk.thinking, first=first),
            "index": chunk.index,
            "finish_reason": chunk.finish_reason,
            "logprobs": {"content": content} if self._logprobs else None,
        }

    def _said(self, text: str, thinking: str, *, first: bool) -> dict[str, Any]:
        return {"text": text}


class ChatObject(CompletionObject):
    """OpenAI's chat completion: whole, or (`lines`) a chunk for each piece."""

    def __init__(self, *, model: str, seed: int, lines: bool = False, logprobs: bool) -> None:
        super().__init__(model=model, seed=seed, lines=lines, logprobs=logprobs)
        self.head["object"] = "chat.completion.chunk" if lines else "chat.completion"

    def _said(self, text: str, thinking: str, *, first: bool) -> dict[str, Any]:
        found = {"role": "assistant"} if first or not self._lines else {}
        found |= {"reasoning_content": thinking} if thinking else {}
        if text or not (self._lines and thinking):
            found["content"] = text
        return {"delta" if self._lines else "message": found}


class AsJson:
    """An object: one when all is done, or (`lines`) one for each piece."""

    def __init__(self, writer: DataWriter, form: CompletionObject, *, lines: bool) -> None:
        self._writer, self._form, self._lines = writer, form, lines

    def show(self, events: Iterable[Chunk | Usage]) -> Usage | None:
        """See CompletionView."""
        if not self._lines:
            value, usage = self._form.whole(events)
            if usage is not None:
                self._writer.json(value)
            return usage
        begun: set[int] = set()
        usage = None
        for event in events:
            if isinstance(event, Usage):
                usage = event
                self._writer.json(self._form.head | {"choices": []} | usage_json(usage))
                continue
            choice = self._form.choice(event, first=event.index not in begun)
            begun.add(event.index)
            self._writer.json(self._form.head | {"choices": [choice]})
        return usage


def token(info: TokenInfo) -> dict[str, Any]:
    """A token in OpenAI's chat shape, with its id; -inf, which JSON has not, becomes null."""
    found = _token(info)
    found["top_logprobs"] = [_token(top) for top in info.top_logprobs]
    return found


def _token(info: TokenInfo) -> dict[str, Any]:
    logprob = None if info.logprob == float("-inf") else info.logprob
    return {"token": info.token, "id": info.id, "logprob": logprob, "bytes": list(info.bytes)}


def usage_json(usage: Usage) -> dict[str, Any]:
    """What a request took, and what was used for it; null for what a server does not tell."""
    counts = (usage.prompt_tokens, usage.completion_tokens)
    total = None if None in counts else sum(count or 0 for count in counts)
    uncertain = [
        {"index": each.index, "position": each.position, "probability": each.probability}
        | _token(each.token)
        for each in usage.uncertain
    ]
    found = {"uncertain": uncertain} if uncertain else {}
    return (
        found
        | constraint.as_json(usage.constraint)
        | {
            "usage": {
                "prompt_tokens": usage.prompt_tokens,
                "completion_tokens": usage.completion_tokens,
                "total_tokens": total,
                **(
                    {"prompt_tokens_details": {"cached_tokens": usage.reused_tokens}}
                    if usage.reused_tokens
                    else {}
                ),
                **(
                    {"completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens}}
                    if usage.reasoning_tokens
                    else {}
                ),
            },
            "sampling": as_json(usage.sampling),
            **source.run(usage.source),
        }
    )
