"""Completing a prompt: token ids from the engine, as they come, become chunks of text."""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Generator, Iterator
from typing import TYPE_CHECKING

from gptcli.backends.local import memory
from gptcli.backends.local.constraining import Constrained
from gptcli.backends.local.drawing import PAUSE, Begin, Pause, alone, unpaused
from gptcli.backends.local.healed import healed
from gptcli.backends.local.open_model import OpenModel
from gptcli.backends.local.prompt_notices import plain_control_token, stray_space
from gptcli.backends.local.prompts_on_disk import kept_behind
from gptcli.backends.local.sample import Sample
from gptcli.errors import InputError
from gptcli.text.channels import ChannelReader, Channels
from gptcli.text.prompt_end import splits_token
from gptcli.text.stream import TextStream
from gptcli.types.completion import (
    Chunk,
    Event,
    PromptPiece,
    PromptToken,
    Request,
    TokenInfo,
    Uncertain,
    Usage,
)
from gptcli.types.events import Notice

if TYPE_CHECKING:
    from gptcli.engine.asking.draws import Drawn, Read


def answer(model: OpenModel, request: Request) -> Iterator[Event]:
    """Chunks as they come, one Usage last. Notices about the prompt come first."""
    from gptcli.engine.asking.prefix import PrefixCache

    prefix = PrefixCache(model.runner, comes_back=False, kept=model.prompts)
    events: Iterator[Event] = unpaused(Completion(model, request, alone(prefix)).events())
    yield from kept_behind(prefix, events)


class Completion:
    """One request under way.

    begin: how its texts are drawn. ends: tokens that end the text beside those of the model's
    files. channels: those of an answer, of which one is shown. white: white space may stand before
    what a constraint wants.
    """

    def __init__(
        self,
        model: OpenModel,
        request: Request,
        begin: Begin,
        *,
        ends: Collection[int] = (),
        channels: Channels | None = None,
        white: bool = False,
    ) -> None:
        self.request = request
        self.model = model
        self.runner = model.runner
        self.tokenizer = model.tokenizer
        self.sampling = model.sampling(request.sampling, ends)
        self.end_ids = model.defaults.end_ids | frozenset(ends)
        self.prompt = self._ids()
        self._begin = begin
        room = self.runner.limit - len(self.prompt)
        wanted = request.max_new_tokens
        self.limit = room if wanted is None else min(wanted, room)
        # "Until the context is full" is not cut short, unless it is full before anything is drawn.
        self.cut_short = room == 0 if wanted is None else wanted > room
        self._check_memory()
        self.healing = healed(model, self.prompt) if request.heal else None
        taken = self.healing.taken if self.healing else b""
        wanted_form = request.constraint
        self.form = Constrained(model, wanted_form, self.end_ids, before=taken, white=white)
        # What has to be something says itself where it ends.
        stops = (*request.stop, *(model.defaults.stops if wanted_form is None else ()))
        self.samples = [Sample(stops, skip=len(taken)) for _ in range(request.samples)]
        self.readers = [ChannelReader(channels) for _ in self.samples] if channels else []
        self.thoughts = [TextStream() for _ in self.readers]
        self.uncertain: list[Uncertain] = []

    def events(self) -> Generator[Event | Pause, None, None]:
        """Everything the request gives, in order."""
        from gptcli.engine.asking.draws import Draws

        yield from self._prompt_notices()
        judged = self.request.fail_below is not None
        logprobs = 0 if judged and self.request.logprobs is None else self.request.logprobs
        healing = self.healing
        draws = Draws(
            self.sampling,
            self.limit if healing is None else healing.draws(self.limit),
            end_ids=self.end_ids,
            seed=self.request.seed,
            logprobs=logprobs,
            fitting=None if healing is None else healing.fits,
            grammar=self.form.grammar,
            prompt_logprobs=self.request.prompt_logprobs,
            drafts=self.model.drafts,
        )
        prompt = self.prompt if healing is None else healing.ids
        drawing = self._begin(prompt, draws, self.request.samples)
        start = time.perf_counter()
        first = last = start
        for some in drawing.reads():
            yield PromptPiece(tuple(map(self._read, some))) if some else PAUSE
        for step in drawing:
            if not step:
                yield PAUSE
                continue
            last = time.perf_counter()
            first = last if first == start else first
            for drawn in step:
                sample = self.samples[drawn.sample]
                chunk = self._chunk(sample, drawn)
                if sample.finish_reason or sample.tokens >= self.limit:
                    drawing.stop(drawn.sample)
                if chunk.text or chunk.tokens or chunk.finish_reason or chunk.thinking:
                    yield chunk
        for index, sample in enumerate(self.samples):
            if sample.finish_reason is None:
                text = self.form.close(sample, index) + sample.finish("length")
                yield Chunk(text, index, finish_reason="length")
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
            peak_memory=memory.peak_bytes(self.runner.facts.device),
            uncertain=tuple(self.uncertain),
            reused_tokens=drawing.reused,
            adapters=self.model.adapters,
            activations=self.model.source.activations,
            drafts=drawing.drafts,
            constraint=self.form.use,
        )

    def _ids(self) -> list[int]:
        """The prompt in tokens. Raises as `OpenModel.encode` does."""
        request, model = self.request, self.model
        if request.ids is None:
            return model.encode(request.prompt, special=request.special)
        if not request.ids:
            raise InputError("prompt", "has no tokens")
        model.check_vocabulary(request.ids, "prompt")
        model.check_length(len(request.ids))
        return list(request.ids)

    def _check_memory(self) -> None:
        """Raise ResourceError where the samples' KV caches cannot fit, before any is made."""
        from gptcli.engine.state.model_state import GROWTH

        tokens = min(len(self.prompt) + self.limit, self.runner.limit)
        # A first step of the cache at the least: most texts end long before their limit.
        tokens = min(tokens, len(self.prompt) + GROWTH)
        facts, samples = self.runner.facts, self.request.samples
        needed = self.runner.spec.cache_bytes(tokens, facts.itemsize, samples)
        memory.check("--samples", f"{samples} at once need", needed, facts.device)

    def _chunk(self, sample: Sample, drawn: Drawn) -> Chunk:
        """What one drawn token adds to its sample."""
        self.form.drew(drawn)
        if self._is_uncertain(sample, drawn):
            return Chunk(sample.finish("uncertain"), drawn.sample, finish_reason="uncertain")
        infos: tuple[TokenInfo, ...] = ()
        if drawn.logprob is not None and self.request.logprobs is not None:
            top = tuple(self._info(each.id, each.logprob) for each in drawn.top)
            infos = (self._info(drawn.id, drawn.logprob, top),)
        if drawn.ends:
            ending = infos[0] if infos else None
            text = sample.finish("stop")
            return Chunk(text, drawn.sample, finish_reason="stop", ending=ending)
        data, thought = self._visible_bytes(drawn.id), ""
        if self.readers:
            data = self.readers[drawn.sample].feed(drawn.id, data)
            thought = self.thoughts[drawn.sample].feed(self.readers[drawn.sample].thought)
        before = sample.fed
        text = sample.feed(data)
        if sample.finish_reason:
            text += self.form.close(sample, drawn.sample)
        elif drawn.whole:
            text += sample.finish("stop")
        name = self.tokenizer.added_name(drawn.id)
        # What is not shown, or not as its name, leaves no mark.
        seen = name is not None and data == name.encode() and sample.fed - before >= len(name)
        marks = ((sample.fed - len(name), sample.fed),) if name and seen else ()
        return Chunk(text, drawn.sample, infos, sample.finish_reason, marks, thinking=thought)

    def _is_uncertain(self, sample: Sample, drawn: Drawn) -> bool:
        """Whether the token is less probable than is allowed; if so, it is noted."""
        if self.request.fail_below is None or drawn.logprob is None:
            return False
        probability = math.exp(drawn.logprob - drawn.allowed)
        if probability >= self.request.fail_below:
            return False
        token = self._info(drawn.id, drawn.logprob)
        found = Uncertain(drawn.sample, sample.tokens + 1, token, probability)
        self.uncertain.append(found)
        return True

    def _visible_bytes(self, token: int) -> bytes:
        if self.tokenizer.is_special(token) and not self.request.special:
            return b""
        return self.tokenizer.bytes_of(token)

    def _read(self, read: Read) -> PromptToken:
        data = self.tokenizer.bytes_of(read.id)
        top = tuple(self._info(each.id, each.logprob) for each in read.top)
        return PromptToken(data.decode(errors="replace"), read.id, read.logprob, data, top)

    def _info(self, token: int, logprob: float, top: tuple[TokenInfo, ...] = ()) -> TokenInfo:
        data = self.tokenizer.bytes_of(token)
        return TokenInfo(data.decode(errors="replace"), token, logprob, data, top)

    def _prompt_notices(self) -> Iterator[Notice]:
        yield from self.model.defaults.notices()
        if self.healing is None:
            advice = "try without it" if self.request.heal else "try without it, or with --heal"
            yield from stray_space(self.tokenizer, self.request.prompt, advice)
        if not self.request.special:
            yield from plain_control_token(self.tokenizer, self.request.prompt)

    def _closing_notices(self) -> Iterator[Notice]:
        yield from self.form.notices()
        if any(reader.withheld for reader in self.readers):
            text = "the answer ended while the model was thinking, which is not shown"
            yield Notice(self.model.name, f"{text}; more tokens (-n) may give it room")
        texts = [] if self.healing else [sample.text for sample in self.samples]
        if any(splits_token(self.tokenizer, self.request.prompt, text) for text in texts):
            advice = "a whole word is continued better"
            advice += "" if self.request.heal else ", and --heal mends it"
            yield Notice("prompt", f"ended in the middle of a token; {advice}")
        if self.cut_short and any(s.finish_reason == "length" for s in self.samples):
            wanted, limit = self.request.max_new_tokens, self.runner.limit
            fit = f"{self.limit} of {wanted} tokens fit" if wanted else "there is room for none"
            text = f"the context of {limit} tokens is full; {fit}"
            yield Notice(self.model.name, text)
