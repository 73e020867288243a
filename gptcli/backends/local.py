"""The engine of this machine: the only place where text meets token ids and tensors."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from gptcli.backends import memory
from gptcli.backends.base import Event
from gptcli.backends.defaults import ModelDefaults
from gptcli.errors import ContextError, InputError
from gptcli.text.boundary import ends_in_stray_space, splits_token
from gptcli.text.stop import StopMatcher
from gptcli.text.stream import TextStream
from gptcli.text.tokenizer import Tokenizer
from gptcli.types import Chunk, ModelDir, Notice, Request, TokenInfo, Usage

if TYPE_CHECKING:
    from gptcli.engine.generate import Drawn


class LocalBackend:
    """A model of this disk, loaded. Raises the errors of the engine while it is."""

    def __init__(
        self,
        model: ModelDir,
        *,
        device: str = "auto",
        dtype: str = "auto",
        threads: int | None = None,
        limit: int | None = None,
    ) -> None:
        self._model = model
        self._tokenizer = Tokenizer(model.path)
        self._defaults = ModelDefaults(model.path)
        import torch

        from gptcli.engine.load import load

        if threads is not None:
            torch.set_num_threads(threads)
        self._runner = load(model.path, device=device, dtype=dtype, limit=limit)

    def stream(self, request: Request) -> Iterator[Event]:
        """See Backend.stream. Notices about the prompt come first."""
        yield from _Completion(self, request).events()


class _Completion:
    """One request under way."""

    def __init__(self, backend: LocalBackend, request: Request) -> None:
        self.request = request
        self.model = backend._model
        self.runner = backend._runner
        self.tokenizer = backend._tokenizer
        self.sampling = backend._defaults.sampling(request.sampling, self.tokenizer)
        self.end_ids = backend._defaults.end_ids(self.tokenizer)
        self.prompt = self._encode()
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
            device=str(self.runner.device),
            dtype=str(self.runner.dtype).removeprefix("torch."),
            seed=self.request.seed,
            samples=self.request.samples,
            sampling=self.sampling,
            prompt_seconds=first - start,
            decode_seconds=last - first,
            peak_memory=memory.peak_bytes(self.runner.device.type),
        )

    def _encode(self) -> list[int]:
        ids = self.tokenizer.encode(self.request.prompt, special=self.request.special)
        if not ids:
            raise InputError("prompt", "is empty", "give at least one character")
        prefix = self.tokenizer.prefix
        if ids[: len(prefix)] != prefix:
            ids = [*prefix, *ids]
        if len(ids) > self.runner.limit:
            reason = f"has {len(ids)} tokens, more than the context of {self.runner.limit}"
            raise ContextError("prompt", reason)
        beyond = next((token for token in ids if token >= self.runner.spec.vocab), None)
        if beyond is not None:
            raise InputError("prompt", f"has token {beyond}, for which the model has no embedding")
        return ids

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
