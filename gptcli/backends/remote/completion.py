"""Completions and answers in chats: events of a stream become chunks, and one usage."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any

from gptcli.backends.remote.asking import chat_body, completion_body
from gptcli.backends.remote.reading import Reader
from gptcli.backends.remote.remote_model import RemoteModel
from gptcli.backends.remote.tokens import control_names
from gptcli.errors import InputError
from gptcli.types.chat import ChatRequest
from gptcli.types.completion import Chunk, Event, Request, TokenInfo, Usage, nothing_said
from gptcli.types.constraints import ConstraintUse, Unfinished

COMPLETIONS, CHAT = "/completions", "/chat/completions"


def answer(model: RemoteModel, request: Request) -> Iterator[Event]:
    """Chunks as they come, one Usage last."""
    body = completion_body(model, request)
    if not request.special:
        yield from control_names(model, request.prompt, "prompt")
    yield from Streamed(model, request).events(COMPLETIONS, body)


def chat(model: RemoteModel, request: ChatRequest) -> Iterator[Event]:
    """The same for an answer in a chat."""
    if not request.messages or request.messages[-1].role != "user":
        raise InputError("conversation", "does not end with a message of the user")
    yield from Streamed(model, request).events(CHAT, chat_body(model, request))


class Streamed:
    """One request under way."""

    def __init__(self, model: RemoteModel, request: Request | ChatRequest) -> None:
        self._model, self._request = model, request
        self._samples = request.samples if isinstance(request, Request) else 1
        self._most = request.logprobs
        self._read = Reader(model.place)
        self._finished: set[int] = set()
        self._spoke = False
        self._cut: list[int] = []
        self._thoughts = 0  # pieces, which mostly are tokens
        #: Tokens without bytes, by choice, until what comes next tells whether they ended it.
        self._held: dict[int, tuple[TokenInfo, ...]] = {}
        #: What each choice took, and under None what all took together, where that is told.
        self._took: dict[int | None, Mapping[str, Any]] = {}

    def events(self, path: str, body: dict[str, Any]) -> Iterator[Event]:
        """Everything, as it comes."""
        start = first = last = time.perf_counter()
        begun = False
        with closing(self._model.link.stream(path, body)) as events:
            for event in events:
                for chunk in self._chunks(self._read.mapping(event)):
                    last = time.perf_counter()
                    first = first if begun else last
                    begun = True
                    yield chunk
        if len(self._finished) < self._samples:
            raise self._read.wrong("that ended before it was finished")
        usage = self._usage(first - start, last - first)
        if self._thoughts and not self._spoke:
            yield nothing_said(usage.completion_tokens, cut=bool(self._cut))
        yield usage

    def _chunks(self, event: Mapping[str, Any]) -> Iterator[Chunk]:
        choices = event.get("choices")
        rows = [] if choices is None else self._read.rows(choices, "choices")
        took = event.get("usage")
        for row in rows:
            choice = self._read.mapping(row, "whose choices are no objects")
            index = self._read.index(choice.get("index", 0), self._samples)
            if isinstance(took, dict):
                self._took[index] = took
            text, thought = self._text(choice)
            tokens = () if self._most is None else self._read.tokens(choice, self._most)
            reason = self._read.reason(choice.get("finish_reason"))
            tokens = self._of_the_text(index, text, tokens, reason)
            if index in self._finished:
                if text or tokens or thought:
                    raise self._read.wrong("that goes on after its end")
                continue
            if reason:
                self._finished.add(index)
            if reason == "length":
                self._cut.append(index)
            if text or tokens or reason or thought:
                yield Chunk(text, index, tokens, reason, thinking=thought)
        if isinstance(took, dict) and not rows:
            self._took[None] = took

    def _of_the_text(
        self, index: int, text: str, tokens: tuple[TokenInfo, ...], reason: str | None
    ) -> tuple[TokenInfo, ...]:
        """The tokens of a piece, less the one that ended the text, which is no part of it.

        It comes with its reason, or before it, without bytes, as half a character may as well.
        """
        held = self._held.pop(index, ())
        if not reason and not text and tokens and not any(each.bytes for each in tokens):
            self._held[index] = (*held, *tokens)
            return ()
        if reason == "stop" and tokens:
            return (*held, *tokens[: None if text.endswith(tokens[-1].token or "\0") else -1])
        return tokens if reason == "stop" and not text else (*held, *tokens)

    def _text(self, choice: Mapping[str, Any]) -> tuple[str, str]:
        """What is said, and what was thought before it."""
        if isinstance(self._request, Request):
            return self._read.text(choice.get("text"), "text"), ""
        delta = self._read.mapping(choice.get("delta") or {}, "whose delta is no object")
        # Servers have the one name or the other, some both for the same.
        thoughts = (delta.get(name) for name in ("reasoning_content", "reasoning"))
        thought = next((each for each in thoughts if isinstance(each, str) and each), "")
        thought = self._read.text(thought, "reasoning")
        found = self._read.text(delta.get("content"), "content")
        found = found or self._read.text(delta.get("refusal"), "refusal")
        self._spoke |= bool(found.strip())
        self._thoughts += bool(thought)
        return found, thought

    def _usage(self, prompt_seconds: float, decode_seconds: float) -> Usage:
        told = usage_of(self._read, self._took)
        return Usage(
            prompt_tokens=told["prompt"],
            completion_tokens=told["completion"],
            source=self._model.source,
            seed=self._request.seed,
            samples=self._samples,
            sampling=self._request.sampling,
            prompt_seconds=prompt_seconds,
            decode_seconds=decode_seconds,
            reused_tokens=told["cached"] or 0,
            reasoning_tokens=told["reasoning"] or 0,
            constraint=self._constraint(),
        )

    def _constraint(self) -> ConstraintUse | None:
        """What became of a constraint: a text that was cut off is hardly whole."""
        if self._request.constraint is None or self._request.constraint.repair:
            return None
        return ConstraintUse(unfinished=tuple(Unfinished(each, None) for each in self._cut))


def usage_of(read: Reader, took: Mapping[int | None, Mapping[str, Any]]) -> dict[str, int | None]:
    """What a request is charged with, None for what is not told: of all its choices together."""
    rows = [took[None]] if None in took else list(took.values())

    def inner(row: Mapping[str, Any], group: str, name: str) -> int | None:
        details = row.get(group)
        return read.count(details.get(name)) if isinstance(details, dict) else None

    counts = [read.count(row.get("completion_tokens")) for row in rows]
    thought = [inner(row, "completion_tokens_details", "reasoning_tokens") or 0 for row in rows]
    first: Mapping[str, Any] = rows[0] if rows else {}
    known = [count for count in counts if count is not None]
    return {
        "prompt": read.count(first.get("prompt_tokens")),
        "completion": sum(known) if known and len(known) == len(counts) else None,
        "cached": inner(first, "prompt_tokens_details", "cached_tokens"),
        "reasoning": sum(thought),
    }
