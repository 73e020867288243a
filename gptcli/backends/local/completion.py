"""Completing a prompt: token ids from the engine, as they come, become chunks of text."""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Generator, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from gptcli.backends.local import memory
from gptcli.backends.local.constraining import Constrained
from gptcli.backends.local.drafting import new_prefix
from gptcli.backends.local.drawing import PAUSE, Begin, Pause, alone, unpaused
from gptcli.backends.local.healed import healed
from gptcli.backends.local.open_model import OpenModel
from gptcli.backends.local.prompt_notices import plain_control_token, stray_space
from gptcli.backends.local.prompts_on_disk import kept_behind
from gptcli.backends.local.sample import Sample
from gptcli.backends.local.thoughts import Thinking
from gptcli.errors import InputError
from gptcli.text.banned import banned
from gptcli.text.prompt_end import splits_token
from gptcli.types.completion import (
    Chunk,
    Event,
    PromptPiece,
    PromptToken,
    Request,
    TokenInfo,
    Uncertain,
    Usage,
    nothing_said,
)
from gptcli.types.events import Notice

if TYPE_CHECKING:
    from gptcli.engine.asking.draws import Drawn
    from gptcli.engine.asking.raw_logprobs import Read


def answer(model: OpenModel, request: Request) -> Iterator[Event]:
    """Chunks as they come, one Usage last. Notices about the prompt come first."""
    # What may be taken back of a text is worth places to go back to.
    goes_back = bool(request.sampling.ban)
    prefix = new_prefix(model, comes_back=goes_back)
    events: Iterator[Event] = unpaused(Completion(model, request, alone(prefix)).events())
    yield from kept_behind(prefix, events)


class Completion:
    """One request under way.

    begin: how its texts are drawn. ends: tokens that end the text beside those of the model's
    files. thinking: how thoughts are told from what is said, None where all of it is text. white:
    white space may stand before what a constraint wants.
    """

    def __init__(
        self,
        model: OpenModel,
        request: Request,
        begin: Begin,
        *,
        ends: Collection[int] = (),
        thinking: Thinking | None = None,
        white: bool = False,
    ) -> None:
        self.request = request
        self.model = model
        self.runner = model.runner
        self.tokenizer = model.tokenizer
        if request.suffix is not None:
            ends = model.middle.ends.union(ends)
        self.sampling = model.sampling(request.sampling, ends)
        self.end_ids = model.defaults.end_ids | frozenset(ends)
        self.prompt = self._ids()
        self._begin = begin
        room = self.runner.limit - len(self.prompt)
        wanted = request.max_new_tokens
        self.limit = room if wanted is None else min(wanted, room)
        # "Until the context is full" is not cut short, unless it is full before anything is drawn.
        self.cut_short = room == 0 if wanted is None else wanted > room
        memory.check_samples(self.runner, len(self.prompt), self.limit, request.samples)
        self.healing = healed(model, self.prompt) if request.heal else None
        taken = self.healing.taken if self.healing else b""
        form, ends = request.constraint, self.end_ids
        self.form = Constrained(model, form, ends, before=taken, white=white, thinking=thinking)
        # What has to be something says itself where it ends.
        stops = (*request.stop, *(model.defaults.stops if form is None else ()))
        count = request.samples
        self._forced = None if thinking is None else thinking.forced(self.tokenizer, count)
        self.samples = [Sample(stops, skip=len(taken), thinking=thinking) for _ in range(count)]
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
            among=self.request.among,
            drafts=self.model.drafts,
            forced=self._forced,
            ban=banned(
                self.sampling.banned, self._visible_bytes, skip=len(healing.taken) if healing else 0
            ),
        )
        prompt = self.prompt if healing is None else healing.ids
        drawing = self._begin(prompt, draws, self.request.samples)
        start = first = last = time.perf_counter()
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
                closed = self.form.close(sample, index)
                rest = self._last(sample, index, "length")
                yield replace(rest, text=closed + rest.text)
        yield from self._closing_notices()
        yield Usage(
            prompt_tokens=len(self.prompt),
            completion_tokens=sum(sample.tokens for sample in self.samples),
            source=self.model.source,
            seed=self.request.seed,
            samples=self.request.samples,
            sampling=self.sampling.told,
            prompt_seconds=first - start,
            decode_seconds=last - first,
            peak_memory=memory.peak_bytes(self.runner.facts.device),
            uncertain=tuple(self.uncertain),
            reused_tokens=drawing.reused,
            reasoning_tokens=sum(sample.thought_tokens for sample in self.samples),
            drafts=drawing.drafts,
            constraint=self.form.use,
        )

    def _ids(self) -> list[int]:
        """The prompt in tokens. Raises as `OpenModel.encode` does."""
        request, model = self.request, self.model
        if request.suffix is not None:
            return model.encode_around(request.prompt, request.suffix, special=request.special)
        if request.ids is None:
            return model.encode(request.prompt, special=request.special)
        if not request.ids:
            raise InputError("prompt", "has no tokens")
        model.check_vocabulary(request.ids, "prompt")
        model.check_length(len(request.ids))
        return list(request.ids)

    def _chunk(self, sample: Sample, drawn: Drawn) -> Chunk:
        """What one drawn token adds to its sample."""
        self.form.drew(drawn)
        if self._is_uncertain(sample, drawn):
            return Chunk(sample.finish("uncertain"), drawn.sample, finish_reason="uncertain")
        infos: tuple[TokenInfo, ...] = ()
        if drawn.logprob is not None and self.request.logprobs is not None:
            top = tuple(self._info(each.id, each.logprob) for each in drawn.top)
            infos = (replace(self._info(drawn.id, drawn.logprob, top), among=drawn.among),)
        if drawn.ends:
            ending = infos[0] if infos else None
            return replace(self._last(sample, drawn.sample, "stop"), ending=ending)
        data, before = self._visible_bytes(drawn.id), sample.fed
        text, thought = sample.feed(drawn.id, data), sample.thought
        if sample.finish_reason:
            text += self.form.close(sample, drawn.sample)
        elif drawn.whole:
            text += sample.finish("stop")
            thought += sample.thought
        if drawn.among is not None:
            infos = tuple(replace(info, said=sample.said) for info in infos)
        name = self.tokenizer.added_name(drawn.id)
        # What is not shown, or not as its name, leaves no mark.
        seen = name is not None and data == name.encode() and sample.said.endswith(data)
        seen = seen and sample.fed - before >= len(name or "")
        marks = ((sample.fed - len(name), sample.fed),) if name and seen else ()
        return Chunk(text, drawn.sample, infos, sample.finish_reason, marks, thinking=thought)

    def _last(self, sample: Sample, index: int, reason: str) -> Chunk:
        """What was held back of a sample that is over."""
        text = sample.finish(reason)
        return Chunk(text, index, finish_reason=sample.finish_reason, thinking=sample.thought)

    def _is_uncertain(self, sample: Sample, drawn: Drawn) -> bool:
        """Whether the token is less probable than is allowed; if so, it is noted."""
        if self.request.fail_below is None or drawn.logprob is None:
            return False
        probability = math.exp(drawn.logprob - drawn.allowed)
        if probability >= self.request.fail_below:
            return False
        token = self._info(drawn.id, drawn.logprob)
        self.uncertain.append(Uncertain(drawn.sample, sample.tokens + 1, token, probability))
        return True

    def _visible_bytes(self, token: int) -> bytes:
        special = self.request.special
        return self.tokenizer.bytes_of(token) if special else self.tokenizer.said_by(token)

    def _read(self, read: Read) -> PromptToken:
        top = tuple(self._info(each.id, each.logprob) for each in read.top)
        found = self._info(read.id, 0.0, top)
        return PromptToken(found.token, read.id, read.logprob, found.bytes, top, read.among)

    def _info(self, token: int, logprob: float, top: tuple[TokenInfo, ...] = ()) -> TokenInfo:
        data = self.tokenizer.bytes_of(token)
        return TokenInfo(data.decode(errors="replace"), token, logprob, data, top)

    def _prompt_notices(self) -> Iterator[Notice]:
        yield from self.model.defaults.notices()
        if self.healing is None and self.request.suffix is None:
            advice = "try without it" if self.request.heal else "try without it, or with --heal"
            yield from stray_space(self.tokenizer, self.request.prompt, advice)
        if not self.request.special:
            yield from plain_control_token(self.tokenizer, self.request.prompt)

    def _closing_notices(self) -> Iterator[Notice]:
        yield from self.form.notices()
        if silent := [sample for sample in self.samples if sample.only_thought]:
            yield nothing_said(silent[0].tokens, cut=silent[0].finish_reason == "length")
        mended = self.healing or self.request.suffix is not None
        texts = [] if mended else [sample.text for sample in self.samples]
        if any(splits_token(self.tokenizer, self.request.prompt, text) for text in texts):
            advice = "a whole word is continued better"
            advice += "" if self.request.heal else ", and --heal mends it"
            yield Notice("prompt", f"ended in the middle of a token; {advice}")
        if self.cut_short and any(s.finish_reason == "length" for s in self.samples):
            wanted, limit = self.request.max_new_tokens, self.runner.limit
            fit = f"{self.limit} of {wanted} tokens fit" if wanted else "there is room for none"
            text = f"the context of {limit} tokens is full; {fit}"
            yield Notice(self.model.name, text)
