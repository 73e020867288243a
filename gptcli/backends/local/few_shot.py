"""Answers to queries that all come after the same examples: computed once, ridden on in batches."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count

from gptcli.backends.local.chat_document import viewed
from gptcli.backends.local.choose import shares
from gptcli.backends.local.few_shot_prompts import prompts_for
from gptcli.backends.local.open_model import OpenModel
from gptcli.backends.local.sample import Sample
from gptcli.engine.asking.continuations import CACHE_BYTES, ROWS
from gptcli.errors import ContextError, GptcliError
from gptcli.text.similarity import Similarity
from gptcli.types.chat import ChatDocument
from gptcli.types.few_shot import (
    Answer,
    Example,
    FewShotDocumentRequest,
    FewShotEvent,
    FewShotQueries,
    FewShotRequest,
    FewShotUsage,
    LabelShare,
    Query,
)

#: Inputs without content, as in contextual calibration (Zhao et al., arXiv:2102.09690).
CONTENT_FREE = ("N/A", "[MASK]", "")


def answer(model: OpenModel, request: FewShotQueries) -> Iterator[FewShotEvent]:
    """See FewShotQueries. Raises ContextError for a query that does not fit with its examples."""
    yield from FewShot(model, request.request).answers(request.queries)


def document(model: OpenModel, request: FewShotDocumentRequest) -> ChatDocument:
    """The exact document that would be continued for the query."""
    return FewShot(model, request.request).document(request.query)


@dataclass(frozen=True)
class _Prompt:
    """A query in tokens; labels: the ids of each label after it."""

    index: int
    query: Query
    examples: tuple[Example, ...]
    ids: list[int]
    labels: list[list[int]] = field(default_factory=list)

    @property
    def longest(self) -> int:
        return len(self.ids) + max(map(len, self.labels), default=0)


class FewShot:
    """Examples, and the model that is to go on with them."""

    def __init__(self, model: OpenModel, request: FewShotRequest) -> None:
        from gptcli.engine.asking.prefix import PrefixCache

        self._model = model
        self._request = request
        self._prompts = prompts_for(model, request)
        self._prefix = PrefixCache(model.runner)
        self._sampling = model.sampling(request.sampling)
        self._similarity = Similarity([example.input for example in request.examples])
        self._calibrations: dict[tuple[Example, ...], list[float]] = {}
        #: Tokens of all prompts, and those of them that were run.
        self._prompt_tokens = self._computed = 0
        # Where every example says something, an answer does not begin with an empty line.
        self._trim = all(example.output.strip() for example in request.examples)
        examples = list(request.examples)
        if request.order == "random":
            random.Random(request.order_seed).shuffle(examples)
        self._chosen = tuple(examples[: request.shots])

    def answers(self, queries: Iterable[Query | None]) -> Iterator[FewShotEvent]:
        """See FewShotQueries."""
        start = time.perf_counter()
        found = completion = 0
        failed: GptcliError | None = None
        self._prompt_tokens = self._computed = 0
        try:
            for batch in self._batches(queries):
                for answer in self._labelled(batch) if self._request.labels else self._free(batch):
                    found += 1
                    self._prompt_tokens += answer.prompt_tokens
                    self._computed += answer.prompt_tokens - answer.reused_tokens
                    completion += answer.completion_tokens
                    yield answer
        except GptcliError as error:
            failed = error
        yield FewShotUsage(
            queries=found,
            prompt_tokens=self._prompt_tokens,
            computed_tokens=self._computed,
            completion_tokens=completion,
            seconds=time.perf_counter() - start,
            model=self._model.name,
            device=self._model.source.device,
            dtype=self._model.source.dtype,
            seed=self._request.seed,
            sampling=self._sampling,
            adapters=self._model.adapters,
            activations=self._model.source.activations,
        )
        if failed is not None:
            raise failed

    def document(self, query: Query) -> ChatDocument:
        """The document that would be continued for a query."""
        examples = self._examples(query.text)
        document = self._prompts.document(examples, query.text)
        self._model.check_length(len(document.ids) + 1, query.subject)
        return viewed(
            self._model,
            self._prefix,
            document,
            self._prompts.turns(examples, query.text),
            form=self._prompts.description,
            ends=self._prompts.ends,
        )

    def _examples(self, query: str) -> tuple[Example, ...]:
        if self._request.order != "similar":
            return self._chosen
        examples = self._request.examples
        most = len(examples) if self._request.shots is None else self._request.shots
        return tuple(examples[place] for place in self._similarity.pick(query, most))

    def _batches(self, queries: Iterable[Query | None]) -> Iterator[list[_Prompt]]:
        """Queries that run together: as many as fit, or as have come where more are waited for.

        An error comes after what stands before it is answered.
        """
        batch: list[_Prompt] = []
        numbers = count()
        try:
            for query in queries:
                prompt = None if query is None else self._prompt(next(numbers), query)
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

    def _is_full(self, batch: list[_Prompt]) -> bool:
        runner = self._model.runner
        tokens = max(prompt.longest for prompt in batch)
        tokens += 0 if self._request.labels else self._request.max_new_tokens
        size = runner.spec.cache_bytes(min(tokens, runner.limit), runner.itemsize, len(batch))
        return len(batch) > ROWS or size > CACHE_BYTES

    def _prompt(self, index: int, query: Query) -> _Prompt:
        """Raises ContextError where it does not fit."""
        text, subject = query.text, query.subject
        examples = self._examples(text)
        if self._request.labels:
            ids, labels = self._prompts.labelled(examples, text, self._request.labels)
            prompt = _Prompt(index, query, examples, ids, labels)
            needed = prompt.longest
        else:
            ids = list(self._prompts.document(examples, text).ids)
            prompt = _Prompt(index, query, examples, ids)
            needed = len(ids) + 1
        limit = self._model.runner.limit
        if needed > limit:
            what = f"its {len(examples)} examples has {len(ids)} tokens"
            reason = f"with {what}, which leave no room in the context of {limit}"
            raise ContextError(subject, reason, "--shots takes fewer of the examples")
        self._model.check_ids(ids, subject)
        return prompt

    def _free(self, batch: Sequence[_Prompt]) -> Iterator[Answer]:
        """Texts, in order, each as soon as those before it are done."""
        from gptcli.engine.asking.generate import Generation

        rooms = [self._model.runner.limit - len(prompt.ids) for prompt in batch]
        stops = (*self._request.stop, *self._prompts.stops)
        samples = [Sample(stops, trim=self._trim) for _ in batch]
        generation = Generation(
            self._prefix,
            [prompt.ids for prompt in batch],
            self._sampling,
            max_new_tokens=min(self._request.max_new_tokens, max(rooms)),
            end_ids=self._prompts.ends,
            seed=self._request.seed + batch[0].index,
        )
        shown = 0
        for step in generation:
            for drawn in step:
                sample = samples[drawn.sample]
                if drawn.ends:
                    sample.finish("stop")
                elif self._model.tokenizer.is_special(drawn.id):
                    sample.feed(b"")
                else:
                    sample.feed(self._model.tokenizer.bytes_of(drawn.id))
                if sample.finish_reason is None and sample.tokens == rooms[drawn.sample]:
                    sample.finish("length")
                if sample.finish_reason:
                    generation.stop(drawn.sample)
            while shown < len(batch) and samples[shown].finish_reason:
                yield self._answer(batch, shown, samples[shown])
                shown += 1
        for place in range(shown, len(batch)):
            if samples[place].finish_reason is None:
                samples[place].finish("length")
            yield self._answer(batch, place, samples[place])

    def _answer(self, batch: Sequence[_Prompt], place: int, sample: Sample) -> Answer:
        prompt = batch[place]
        return Answer(
            index=prompt.index,
            input=prompt.query.text,
            text=sample.text.strip(),
            finish_reason=sample.finish_reason or "length",
            prompt_tokens=len(prompt.ids),
            reused_tokens=self._reused(place),
            completion_tokens=sample.tokens,
        )

    def _reused(self, place: int) -> int:
        """The first of a batch computes what the others ride on."""
        return self._prefix.shared if place else self._prefix.reused

    def _labelled(self, batch: Sequence[_Prompt]) -> Iterator[Answer]:
        from gptcli.engine.asking.continuations import logprobs_after

        if self._request.calibrate:
            self._calibrate(batch)
        rows = [prompt.labels for prompt in batch]
        found = logprobs_after(self._prefix, [prompt.ids for prompt in batch], rows)
        reused = [self._reused(place) for place in range(len(batch))]
        for prompt, logprobs, kept in zip(batch, found, reused, strict=True):
            labels = self._shares([sum(each) for each in logprobs])
            if self._request.calibrate:
                labels = _calibrated(labels, self._calibrations[prompt.examples])
            # max keeps the first of equals.
            best = max(labels, key=lambda label: label.share)
            yield Answer(
                index=prompt.index,
                input=prompt.query.text,
                text=best.label,
                finish_reason="label",
                prompt_tokens=len(prompt.ids),
                reused_tokens=kept,
                completion_tokens=0,
                shares=tuple(labels),
            )

    def _shares(self, totals: Sequence[float]) -> list[LabelShare]:
        triples = zip(self._request.labels, totals, shares(totals), strict=True)
        return [LabelShare(*triple) for triple in triples]

    def _calibrate(self, batch: Sequence[_Prompt]) -> None:
        """Learn what labels are worth for inputs without content, after each set of examples.

        The mean of each label's share over CONTENT_FREE.
        """
        from gptcli.engine.asking.continuations import logprobs_after

        sets = dict.fromkeys(prompt.examples for prompt in batch)
        # Only what this batch needs is kept: with --order similar there is a set for every query.
        self._calibrations = {s: v for s, v in self._calibrations.items() if s in sets}
        missing = [each for each in sets if each not in self._calibrations]
        if not missing:
            return
        asked = [
            self._prompts.labelled(examples, text, self._request.labels)
            for examples in missing
            for text in CONTENT_FREE
        ]
        found = logprobs_after(self._prefix, [ids for ids, _ in asked], [r for _, r in asked])
        self._prompt_tokens += sum(len(ids) for ids, _ in asked)
        self._computed += sum(
            len(ids) - self._reused(place) for place, (ids, _) in enumerate(asked)
        )
        every = [shares([sum(each) for each in logprobs]) for logprobs in found]
        for place, examples in enumerate(missing):
            rows = every[place * len(CONTENT_FREE) : (place + 1) * len(CONTENT_FREE)]
            means = [sum(column) / len(rows) for column in zip(*rows, strict=True)]
            self._calibrations[examples] = means


def _calibrated(labels: list[LabelShare], without: Sequence[float]) -> list[LabelShare]:
    """p(label | query) / p(label | no content), as shares of their sum.

    The winner is that of contextual calibration with W = diag(p)⁻¹ (Zhao et al.,
    arXiv:2102.09690), which then takes a softmax where these are divided by their sum.
    """
    smallest = 1e-12
    weights = [
        each.probability / max(base, smallest) for each, base in zip(labels, without, strict=True)
    ]
    total = sum(weights) or 1.0
    pairs = zip(labels, weights, strict=True)
    return [replace(each, calibrated=weight / total) for each, weight in pairs]
