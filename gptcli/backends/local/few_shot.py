"""Answers to queries that all come after the same examples: computed once, ridden on in batches."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import count

from gptcli.backends.chosen_examples import ChosenExamples
from gptcli.backends.local.chat_document import viewed
from gptcli.backends.local.constraining import Constrained
from gptcli.backends.local.drafting import new_prefix
from gptcli.backends.local.drawing import PAUSE, Beside, Drawing, Pause, unpaused
from gptcli.backends.local.few_shot_labels import Labels
from gptcli.backends.local.few_shot_prompts import AskedPrompt, asked, prompts_for
from gptcli.backends.local.open_model import OpenModel
from gptcli.backends.local.prompts_on_disk import kept_behind
from gptcli.backends.local.sample import Sample
from gptcli.engine.asking.continuations import CACHE_BYTES, ROWS
from gptcli.errors import GptcliError
from gptcli.text.banned import banned
from gptcli.types.chat import ChatDocument
from gptcli.types.constraints import ConstraintUse
from gptcli.types.drafts import Drafts
from gptcli.types.few_shot import (
    Answer,
    FewShotDocumentRequest,
    FewShotEvent,
    FewShotQueries,
    FewShotRequest,
    FewShotUsage,
    Query,
)


def answer(model: OpenModel, request: FewShotQueries) -> Iterator[FewShotEvent]:
    """See FewShotQueries. Raises ContextError for a query that does not fit with its examples."""
    few_shot = model.kept(_Last).of(request.request)
    events: Iterator[FewShotEvent] = unpaused(
        few_shot.answers(request.queries, request.request.seed)
    )
    yield from kept_behind(few_shot.prefix, events)


def beside(
    model: OpenModel, request: FewShotQueries, beside: Beside
) -> Iterator[FewShotEvent | Pause]:
    """What `answer` gives to one query without labels, run beside others."""
    few_shot = model.kept(_Last).of(request.request)
    yield from few_shot.answers(request.queries, request.request.seed, beside)


def document(model: OpenModel, request: FewShotDocumentRequest) -> ChatDocument:
    """The exact document that would be continued for the query."""
    return FewShot(model, request.request).document(request.query)


class _Last:
    """The examples that were asked after last: who asks row by row has them computed once."""

    def __init__(self, model: OpenModel) -> None:
        self._model = model
        self._found: tuple[FewShotRequest, FewShot] | None = None

    def of(self, request: FewShotRequest) -> FewShot:
        """Those of a request, whatever its seed."""
        wanted = replace(request, seed=0)
        if self._found is None or self._found[0] != wanted:
            self._found = None
            self._found = (wanted, FewShot(self._model, wanted))
        return self._found[1]


class FewShot:
    """Examples, and the model that is to go on with them; the seed is each answer's own."""

    def __init__(self, model: OpenModel, request: FewShotRequest) -> None:
        self._model = model
        self._request = request
        self._prompts = prompts_for(model, request)
        self.prefix = new_prefix(model)
        self._sampling = model.sampling(request.sampling, self._prompts.ends)
        self._examples = ChosenExamples(request)
        self._labels = Labels(self.prefix, self._prompts, request)
        self._drafts: Drafts | None = None
        self._use: ConstraintUse | None = None
        # Where every example says something, an answer does not begin with an empty line.
        self._trim = all(example.output.strip() for example in request.examples)

    def answers(
        self, queries: Iterable[Query | None], seed: int, beside: Beside | None = None
    ) -> Generator[FewShotEvent | Pause, None, None]:
        """See FewShotQueries. beside: where one query without labels is run."""
        start = time.perf_counter()
        found = completion = prompt_tokens = computed = 0
        failed: GptcliError | None = None
        self._drafts = None
        self._use = None
        try:
            for batch in self._batches(queries):
                for answer in self._answers(batch, seed, beside):
                    if isinstance(answer, Pause):
                        yield answer
                        continue
                    found += 1
                    prompt_tokens += answer.prompt_tokens
                    computed += answer.prompt_tokens - answer.reused_tokens
                    completion += answer.completion_tokens
                    yield answer
        except GptcliError as error:
            failed = error
        yield FewShotUsage(
            queries=found,
            prompt_tokens=prompt_tokens + self._labels.calibration.prompt_tokens,
            computed_tokens=computed + self._labels.calibration.computed,
            completion_tokens=completion,
            seconds=time.perf_counter() - start,
            source=self._model.source,
            seed=seed,
            sampling=self._sampling.told,
            drafts=self._drafts,
            constraint=self._use,
        )
        if failed is not None:
            raise failed

    def _answers(
        self, batch: Sequence[AskedPrompt], seed: int, beside: Beside | None
    ) -> Iterator[Answer | Pause]:
        if self._request.labels:
            return self._labels.answers(batch)
        return self._free(batch, seed, beside)

    def document(self, query: Query) -> ChatDocument:
        """The document that would be continued for a query."""
        examples = self._examples.before(query.text)
        document = self._prompts.document(examples, query.text)
        self._model.check_length(len(document.ids) + 1, query.subject)
        return viewed(
            self._model,
            self.prefix,
            document,
            self._prompts.turns(examples, query.text),
            form=self._prompts.description,
            ends=self._prompts.ends,
        )

    def _batches(self, queries: Iterable[Query | None]) -> Iterator[list[AskedPrompt]]:
        """Queries that run together: as many as fit, or as have come where more are waited for.

        An error comes after what stands before it is answered.
        """
        batch: list[AskedPrompt] = []
        numbers = count()
        try:
            for query in queries:
                prompt = None if query is None else self._asked(next(numbers), query)
                if batch and (prompt is None or self._is_full([*batch, prompt])):
                    yield batch
                    batch = []
                if prompt is not None:
                    batch.append(prompt)
        except GptcliError:
            if batch:
                yield batch
            raise
        if batch:
            yield batch

    def _asked(self, index: int, query: Query) -> AskedPrompt:
        found, labels = self._examples.before(query.text), self._request.labels
        return asked(self._model, self._prompts, index, query, found, labels)

    def _is_full(self, batch: list[AskedPrompt]) -> bool:
        runner = self._model.runner
        tokens = max(prompt.longest for prompt in batch)
        tokens += 0 if self._request.labels else self._request.max_new_tokens
        size = runner.spec.cache_bytes(min(tokens, runner.limit), runner.facts.itemsize, len(batch))
        return len(batch) > ROWS or size > CACHE_BYTES

    def _free(
        self, batch: Sequence[AskedPrompt], seed: int, beside: Beside | None
    ) -> Iterator[Answer | Pause]:
        """Texts, in order, each as soon as those before it are done."""
        from gptcli.engine.asking.draws import Draws
        from gptcli.engine.asking.generate import Generation

        rooms = [self._model.runner.limit - len(prompt.ids) for prompt in batch]
        ends, wanted = frozenset(self._prompts.ends), self._request.constraint
        thinking = next((each.thinking for each in batch), None)
        form = Constrained(self._model, wanted, ends, white=True, thinking=thinking)
        own = () if wanted else (*self._prompts.stops, *self._model.defaults.stops)
        stops = (*self._request.stop, *own)
        samples = [Sample(stops, trim=self._trim, thinking=each.thinking) for each in batch]
        draws = Draws(
            self._sampling,
            min(self._request.max_new_tokens, max(rooms)),
            end_ids=ends,
            seed=seed + batch[0].index,
            grammar=form.grammar,
            drafts=self._model.drafts,
            ban=banned(self._sampling.banned, self._model.tokenizer.said_by),
        )
        drawing: Drawing
        if beside is None:
            drawing = Generation(self.prefix, [prompt.ids for prompt in batch], draws)
        else:
            drawing = beside.draw(batch[0].ids, draws, 1)
        shown = 0
        for step in drawing:
            if not step:
                yield PAUSE
                continue
            for drawn in step:
                sample = samples[drawn.sample]
                form.drew(drawn)
                if drawn.ends:
                    sample.finish("stop")
                else:
                    sample.feed(drawn.id, self._model.tokenizer.said_by(drawn.id))
                form.settle(sample, drawn, full=sample.tokens == rooms[drawn.sample])
                if sample.finish_reason:
                    drawing.stop(drawn.sample)
            while shown < len(batch) and samples[shown].finish_reason:
                yield self._answer(batch, shown, samples[shown], drawing)
                shown += 1
        for place in range(shown, len(batch)):
            if samples[place].finish_reason is None:
                form.close(samples[place], place)
                samples[place].finish("length")
            yield self._answer(batch, place, samples[place], drawing)
        if drawing.drafts is not None:
            self._drafts = (self._drafts or Drafts()) + drawing.drafts
        if form.use is not None:
            self._use = (self._use or ConstraintUse()) + form.use.counted_from(batch[0].index)

    def _answer(
        self, batch: Sequence[AskedPrompt], place: int, sample: Sample, drawing: Drawing
    ) -> Answer:
        prompt = batch[place]
        return Answer(
            index=prompt.index,
            input=prompt.query.text,
            text=sample.text.strip(),
            finish_reason=sample.finish_reason or "length",
            prompt_tokens=len(prompt.ids),
            reused_tokens=self.prefix.shared if place else drawing.reused,
            completion_tokens=sample.tokens,
            thinking=sample.thoughts,
        )
