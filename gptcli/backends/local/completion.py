"""Completing a prompt: token ids from the engine, as they come, become chunks of text."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from gptcli.backends import memory
from gptcli.backends.base import Event
from gptcli.backends.local.opened import OpenModel
from gptcli.text.boundary import ends_in_stray_space, splits_token
from gptcli.text.stop import StopMatcher
from gptcli.text.stream import TextStream
from gptcli.types import Chunk, Notice, Request, TokenInfo, Usage

if TYPE_CHECKING:
    from gptcli.engine.generate import Drawn


class Completion:
    """One request under way."""

    def __init__(self, model: OpenModel, request: Request) -> None:
        self.request = request
        self.model = model
        self.runner = model.runner
        self.tokenizer = model.tokenizer
        self.sampling = model.defaults.sampling(request.sampling, self.tokenizer)
        self.end_ids = model.defaults.end_ids(self.tokenizer)
        self.prompt = model.encode(request.prompt, special=request.special)
        room = self.runner.limit - len(self.prompt)
        wanted = request.max_new_tokens
        self.limit = room if wanted is None else min(wanted, room)
        self.cut_short = wanted is not None and wanted > room
        self.samples = [_Sample(request) for _ in range(request.samples)]

    def events(self) -> Iterator[Event]:
        """Everything the request gives, in order."""
        from gptcli.engine.generate import Generation

        yield from self._prompt_notices()
        generation = Generation(
            self.runner,
            self.prompt,
            self.sampling,
            max_new_tokens=self.limit,
            end_ids=self.end_ids,
            seed=self.request.seed,
            samples=self.request.samples,
            logprobs=self.request.logprobs,
        )
        start = time.perf_counter()
        first = last = start
        for step in generation:
            last = time.perf_counter()
            first = last if first == start else first
            for drawn in step:
                sample = self.samples[drawn.sample]
                chunk = self._chunk(sample, drawn)
                if sample.finish_reason and not drawn.ends:
                    generation.stop(drawn.sample)
                if chunk.text or chunk.tokens or chunk.finish_reason:
                    yield chunk
        for index, sample in enumerate(self.samples):
            if sample.finish_reason is None:
                yield Chunk(sample.finish("length"), index, finish_reason="length")
        yield from self._closing_notices()
        yield Usage(
            prompt_tokens=len(self.prompt),
            completion_tokens=sum(sample.tokens for sample in self.samples),
            model=self.model.name,
            device=self.model.source.device,
            dtype=self.model.source.dtype,
            seed=self.request.seed,
            samples=self.request.samples,
            sampling=self.sampling,
            prompt_seconds=first - start,
            decode_seconds=last - first,
            peak_memory=memory.peak_bytes(self.runner.device.type),
        )

    def _chunk(self, sample: _Sample, drawn: Drawn) -> Chunk:
        """What one drawn token adds to its sample."""
        if drawn.ends:
            return Chunk(sample.finish("stop"), drawn.sample, finish_reason="stop")
        infos: tuple[TokenInfo, ...] = ()
        if drawn.logprob is not None:
            top = tuple(self._info(each.id, each.logprob) for each in drawn.top)
            infos = (self._info(drawn.id, drawn.logprob, top),)
        text = sample.feed(self._visible_bytes(drawn.id))
        return Chunk(text, drawn.sample, infos, sample.finish_reason)

    def _visible_bytes(self, token: int) -> bytes:
        if self.tokenizer.is_special(token) and not self.request.special:
            return b""
        return self.tokenizer.bytes_of(token)

    def _info(self, token: int, logprob: float, top: tuple[TokenInfo, ...] = ()) -> TokenInfo:
        data = self.tokenizer.bytes_of(token)
        return TokenInfo(data.decode(errors="replace"), token, logprob, data, top)

    def _prompt_notices(self) -> Iterator[Notice]:
        prompt = self.request.prompt
        if ends_in_stray_space(self.tokenizer, prompt):
            text = "ends in a space, which usually belongs to the next token; try without it"
            yield Notice("prompt", text)
        special = self.tokenizer.special_in(prompt)
        if special and not self.request.special:
            yield Notice("prompt", f"{special} is read as plain text; --special makes it a token")

    def _closing_notices(self) -> Iterator[Notice]:
        texts = [sample.text for sample in self.samples]
        if any(splits_token(self.tokenizer, self.request.prompt, text) for text in texts):
            yield Notice(
                "prompt", "ended in the middle of a token; a whole word is continued better"
            )
        if self.cut_short and any(s.finish_reason == "length" for s in self.samples):
            wanted, limit = self.request.max_new_tokens, self.runner.limit
            text = f"the context of {limit} tokens is full; {self.limit} of {wanted} tokens fit"
            yield Notice(self.model.name, text)


class _Sample:
    """The text of one completion as it grows."""

    def __init__(self, request: Request) -> None:
        self._stream = TextStream()
        self._stop = StopMatcher(request.stop)
        self.tokens = 0
        self.text = ""
        self.finish_reason: str | None = None

    def feed(self, data: bytes) -> str:
        """The text that a token of these bytes makes certain."""
        self.tokens += 1
        shown = self._stop.feed(self._stream.feed(data))
        if self._stop.stopped:
            self.finish_reason = "stop"
        self.text += shown
        return shown

    def finish(self, reason: str) -> str:
        """The text that was held back, now that the sample is over."""
        self.finish_reason = reason
        shown = self._stop.feed(self._stream.finish()) + self._stop.finish()
        self.text += shown
        return shown
