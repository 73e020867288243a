"""A backend without a model: it completes a prompt with the prompt's own words, over again.

It needs no weights and draws nothing at random, so it tests everything around a model.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import cycle, islice
from typing import NoReturn

from gptcli.backends.base import Event
from gptcli.errors import InputError, UsageError
from gptcli.text.stop import StopMatcher
from gptcli.types.attention import AttentionRequest
from gptcli.types.bench import BenchRequest
from gptcli.types.chat import ChatRequest
from gptcli.types.choose import ChooseRequest
from gptcli.types.completion import Chunk, Request, TokenInfo, Usage
from gptcli.types.dtype_comparison import RoundingRequest
from gptcli.types.explain import ExplainRequest
from gptcli.types.few_shot import FewShotRequest, Query
from gptcli.types.lens import LensRequest
from gptcli.types.neighbors import NeighborsRequest
from gptcli.types.next_tokens import NextTokensRequest
from gptcli.types.sampling import Sampling
from gptcli.types.score import ScoreRequest
from gptcli.types.tree import TreeRequest


class EchoBackend:
    """Each word of the prompt, with the space before it, is a token."""

    def stream(self, request: Request) -> Iterator[Event]:
        """The prompt's words, again and again, up to the limit (once where there is none)."""
        words = [f" {word}" for word in re.findall(r"\S+", request.prompt)]
        if not words:
            raise InputError("prompt", "is empty")
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
            model="echo",
            device="none",
            dtype="none",
            seed=request.seed,
            samples=request.samples,
            sampling=Sampling(),
            prompt_seconds=0,
            decode_seconds=0,
        )

    def next_tokens(self, request: NextTokensRequest) -> NoReturn:
        """Raises UsageError."""
        refuse("tell probabilities")

    def walk(self, request: NextTokensRequest, *, seed: int) -> NoReturn:
        """Raises UsageError."""
        refuse("tell probabilities")

    def score(self, request: ScoreRequest) -> NoReturn:
        """Raises UsageError."""
        refuse("score a text")

    def rounding(self, request: RoundingRequest) -> NoReturn:
        """Raises UsageError."""
        refuse("score a text")

    def choose(self, request: ChooseRequest) -> NoReturn:
        """Raises UsageError."""
        refuse("tell probabilities")

    def chat(self, request: ChatRequest) -> Iterator[Event]:
        """The last message's words, as `stream` would complete it."""
        yield from self.stream(
            Request(
                request.messages[-1].content,
                max_new_tokens=request.max_new_tokens,
                stop=request.stop,
                seed=request.seed,
                logprobs=request.logprobs,
            )
        )

    def chat_document(self, request: ChatRequest) -> NoReturn:
        """Raises UsageError."""
        refuse("make a document")

    def chat_next_tokens(self, request: ChatRequest, rows: int) -> NoReturn:
        """Raises UsageError."""
        refuse("tell probabilities")

    def few_shot(self, request: FewShotRequest, queries: Iterable[Query | None]) -> NoReturn:
        """Raises UsageError."""
        refuse("learn from examples")

    def few_shot_document(self, request: FewShotRequest, query: Query) -> NoReturn:
        """Raises UsageError."""
        refuse("make a document")

    def tree(self, request: TreeRequest) -> NoReturn:
        """Raises UsageError."""
        refuse("tell probabilities")

    def explain(self, request: ExplainRequest, *, seed: int) -> NoReturn:
        """Raises UsageError."""
        refuse("be looked into")

    def shapes(self, prompt: str, *, special: bool) -> NoReturn:
        """Raises UsageError."""
        refuse("be looked into")

    def neighbors(self, request: NeighborsRequest) -> NoReturn:
        """Raises UsageError."""
        refuse("be looked into")

    def attention(self, request: AttentionRequest) -> NoReturn:
        """Raises UsageError."""
        refuse("be looked into")

    def lens(self, request: LensRequest) -> NoReturn:
        """Raises UsageError."""
        refuse("be looked into")

    def bench(self, request: BenchRequest) -> NoReturn:
        """Raises UsageError."""
        refuse("be measured")


def refuse(what: str) -> NoReturn:
    """Raise the UsageError for what only a model can do."""
    raise UsageError("echo", f"cannot {what}, since it is no model", "choose one with -m")


def _infos(request: Request, word: str, words: list[str]) -> tuple[TokenInfo, ...]:
    if request.logprobs is None:
        return ()
    return (TokenInfo(word, words.index(word), 0.0, word.encode()),)
