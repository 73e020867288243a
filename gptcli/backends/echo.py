"""A backend without a model: it completes a prompt with the prompt's own words, over again.

It needs no weights and draws nothing at random, so it tests everything around a model.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import cycle, islice
from typing import Any, TypeVar

from gptcli.backends.base import refuse
from gptcli.backends.one_by_one import one_by_one
from gptcli.errors import InputError, UsageError
from gptcli.text.stop import StopMatcher
from gptcli.types.batch import BatchRequest
from gptcli.types.chat import ChatRequest
from gptcli.types.completion import (
    Chunk,
    Event,
    PromptPiece,
    PromptToken,
    Request,
    TokenInfo,
    Usage,
)
from gptcli.types.question import Question
from gptcli.types.sampling import Sampling
from gptcli.types.token import Source

A = TypeVar("A")


class EchoBackend:
    """Each word of the prompt, with the space before it, is a token."""

    def answer(self, question: Question[A]) -> A:
        """See Backend.answer: completions, and answers to the last message of a conversation."""
        if isinstance(question, Request | ChatRequest) and question.constraint is not None:
            raise UsageError(question.constraint.flag, "echo repeats what is said, whatever it is")
        if isinstance(question, ChatRequest):
            _check_template(question)
            return _completed(_last_message(question))  # type: ignore[return-value]
        if isinstance(question, Request):
            return _completed(question)  # type: ignore[return-value]
        if isinstance(question, BatchRequest):
            return one_by_one(self.answer, question)  # type: ignore[return-value]
        return refuse("echo", question, "since it is no model", "choose one with -m")

    def supports(self, kind: type[Question[Any]]) -> bool:
        """See Backend.supports."""
        return kind in (Request, ChatRequest, BatchRequest)

    def close(self) -> None:
        """See Backend.close."""


def _check_template(request: ChatRequest) -> None:
    """Raise UsageError for what would be a chat template's."""
    told = [*request.form.told, *(["--think-budget"] if request.think_budget is not None else [])]
    if told:
        raise UsageError(told[0], "is for a model that thinks, and echo has no thoughts")


def _last_message(request: ChatRequest) -> Request:
    return Request(
        request.messages[-1].content,
        max_new_tokens=request.max_new_tokens,
        stop=request.stop,
        seed=request.seed,
        logprobs=request.logprobs,
    )


def _completed(request: Request) -> Iterator[Event]:
    """The prompt's words, again and again, up to the limit (once where there is none)."""
    words = [f" {word}" for word in re.findall(r"\S+", request.prompt)]
    if not words:
        raise InputError("prompt", "is empty")
    if request.suffix is not None:
        raise UsageError("--suffix", "echo says the prompt again, and fills nothing in")
    if request.prompt_logprobs is not None:
        yield PromptPiece(
            tuple(
                PromptToken(word, words.index(word), 0.0 if at else None, word.encode())
                for at, word in enumerate(words)
            )
        )
    limit = len(words) if request.max_new_tokens is None else request.max_new_tokens
    count = 0
    for index in range(request.samples):
        stop = StopMatcher(request.stop)
        for word in islice(cycle(words), limit):
            count += 1
            yield Chunk(stop.feed(word), index, _infos(request, word, words))
            if stop.stopped:
                break
        reason = "stop" if stop.stopped else "length"
        yield Chunk(stop.finish(), index, finish_reason=reason)
    yield Usage(
        prompt_tokens=len(words),
        completion_tokens=count,
        source=Source("echo", "none", "none"),
        seed=request.seed,
        samples=request.samples,
        sampling=Sampling(),
        prompt_seconds=0,
        decode_seconds=0,
    )


def _infos(request: Request, word: str, words: list[str]) -> tuple[TokenInfo, ...]:
    if request.logprobs is None:
        return ()
    return (TokenInfo(word, words.index(word), 0.0, word.encode()),)
