"""Answers to queries that all come after the same examples: a request each, some at a time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

from gptcli.backends.chosen_examples import ChosenExamples, as_messages
from gptcli.backends.remote.answers import answered
from gptcli.backends.remote.choose import rows_after
from gptcli.backends.remote.remote_model import RemoteModel
from gptcli.backends.remote.scoring import check, total
from gptcli.backends.shares import (
    CONTENT_FREE,
    best_label,
    calibrated_labels,
    label_shares,
    mean_shares,
)
from gptcli.backends.side_by_side import Run
from gptcli.config import MOST
from gptcli.errors import GptcliError
from gptcli.text.example_template import ExampleTemplate, begins_another
from gptcli.types.batch import Asked, Ended, Told
from gptcli.types.chat import ChatRequest
from gptcli.types.completion import Chunk, Request, Usage
from gptcli.types.constraints import ConstraintUse, Unfinished
from gptcli.types.few_shot import (
    Answer,
    Example,
    FewShotEvent,
    FewShotQueries,
    FewShotUsage,
    Query,
)
from gptcli.types.question import Question


def answer(model: RemoteModel, request: FewShotQueries) -> Iterator[FewShotEvent]:
    """See FewShotQueries. What an answer cost is 0 where the server does not tell."""
    yield from _FewShot(model, request).answers()


@dataclass(frozen=True)
class _Asking:
    """A query, the how manieth it is, and the examples before it."""

    index: int
    query: Query
    examples: tuple[Example, ...]


class _FewShot:
    """Examples, and the model that is to go on with them."""

    def __init__(self, model: RemoteModel, queries: FewShotQueries) -> None:
        self._model, self._queries = model, queries
        self._request = request = queries.request
        self._template = ExampleTemplate(request.form.template, request.form.separator)
        self._examples = ChosenExamples(request)
        #: What labels are worth without content, by the examples before them.
        self._means: dict[tuple[Example, ...], list[float]] = {}
        self._calibrating = 0
        self._cut: list[Unfinished] = []

    def answers(self) -> Iterator[FewShotEvent]:
        """The answers in order, and what they took."""
        if self._request.labels:
            if self._request.form.chat is not None:
                raise self._model.refuse("labels", "does not score answers in a chat")
            check(self._model, self._queries)
        start = time.perf_counter()
        incoming = _Incoming(self)
        run = Run(self._answered, incoming, self._model.place.concurrency)
        told: dict[int, Answer | GptcliError] = {}
        shown: list[Answer] = []
        failed: GptcliError | None = None
        try:
            for part in run.answers():
                if isinstance(part, Ended) and part.error is not None:
                    told[part.key] = part.error
                elif isinstance(part, Told):
                    told[part.key] = part.part
                # In their order; what an error comes after is answered first.
                while failed is None and len(shown) in told:
                    next_one = told.pop(len(shown))
                    if isinstance(next_one, GptcliError):
                        failed = next_one
                    else:
                        shown.append(next_one)
                        yield next_one
                if failed is not None:
                    break
        finally:
            run.stop()
        yield self._usage(shown, time.perf_counter() - start)
        failed = failed or incoming.failed
        if failed is not None:
            raise failed

    def asking(self, index: int, query: Query) -> _Asking:
        """A query with its examples."""
        return _Asking(index, query, self._examples.before(query.text))

    def _usage(self, answers: list[Answer], seconds: float) -> FewShotUsage:
        prompt = sum(each.prompt_tokens for each in answers) + self._calibrating
        reused = sum(each.reused_tokens for each in answers)
        return FewShotUsage(
            queries=len(answers),
            prompt_tokens=prompt,
            computed_tokens=prompt - reused,
            completion_tokens=sum(each.completion_tokens for each in answers),
            seconds=seconds,
            source=self._model.source,
            seed=self._request.seed,
            sampling=self._request.sampling,
            constraint=ConstraintUse(unfinished=tuple(self._cut)) if self._cut else None,
        )

    def _answered(self, asking: _Asking) -> Answer:
        return self._labelled(asking) if self._request.labels else self._free(asking)

    def _free(self, asking: _Asking) -> Answer:
        request, form = self._request, self._request.form
        most = None if request.max_new_tokens == MOST else request.max_new_tokens
        seed = request.seed + asking.index
        question: Request | ChatRequest
        if form.chat is None:
            prompt = self._template.document(form.instruction, asking.examples, asking.query.text)
            # What has to be something says itself where it ends.
            own = () if request.constraint else self._template.stops(request.examples)
            stops = (*request.stop, *own)
            question = Request(
                prompt, request.sampling, most, stops, seed, constraint=request.constraint
            )
        else:
            messages = as_messages(form.instruction, asking.examples, asking.query.text)
            question = ChatRequest(
                tuple(messages),
                form.chat,
                request.sampling,
                most,
                request.stop,
                seed,
                constraint=request.constraint,
            )
        text, thinking, reason, usage = "", "", "length", None
        for event in answered(self._model, question):
            if isinstance(event, Chunk):
                text += event.text
                thinking += event.thinking
                reason = event.finish_reason or reason
            elif isinstance(event, Usage):
                usage = event
        if usage is not None and usage.constraint is not None:
            self._cut += usage.constraint.counted_from(asking.index).unfinished
        return Answer(
            index=asking.index,
            input=asking.query.text,
            text=text.strip(),
            finish_reason=reason,
            prompt_tokens=(usage and usage.prompt_tokens) or 0,
            reused_tokens=usage.reused_tokens if usage else 0,
            completion_tokens=(usage and usage.completion_tokens) or 0,
            thinking=thinking,
        )

    def _labelled(self, asking: _Asking) -> Answer:
        values, tokens = self._logprobs(asking.examples, asking.query.text)
        labels = label_shares(self._request.labels, values)
        if self._request.calibrate:
            labels = calibrated_labels(labels, self._without(asking.examples))
        return Answer(
            index=asking.index,
            input=asking.query.text,
            text=best_label(labels),
            finish_reason="label",
            prompt_tokens=tokens,
            reused_tokens=0,
            completion_tokens=0,
            shares=tuple(labels),
        )

    def _without(self, examples: tuple[Example, ...]) -> list[float]:
        """What the labels are worth after inputs without content."""
        if examples not in self._means:
            found = [self._logprobs(examples, text) for text in CONTENT_FREE]
            self._calibrating += sum(tokens for _, tokens in found)
            self._means[examples] = mean_shares([values for values, _ in found])
        return self._means[examples]

    def _logprobs(self, examples: tuple[Example, ...], query: str) -> tuple[list[float], int]:
        """The log-probability of each label after a query, and how many tokens are before them.

        Where a label begins another one, each counts up to the first token of what ends it.
        """
        labels = self._request.labels
        document = self._template.document(self._request.form.instruction, examples, query)
        border = self._template.border if begins_another(labels) else ""
        texts = [self._template.answer(query, label) + border for label in labels]
        after = rows_after(self._model, document, texts, "label")
        rows = []
        for row in after.rows:
            spare, last = len(border.encode()) - 1, len(row)
            while last and spare >= len(row[last - 1].token.bytes):
                spare -= len(row[last - 1].token.bytes)
                last -= 1
            rows.append(total(row[:last]))
        return rows, after.before


class _Incoming:
    """The queries, each as a question of its own; an error among them is their end."""

    def __init__(self, few_shot: _FewShot) -> None:
        self._few_shot = few_shot
        self._queries = iter(few_shot._queries.queries)
        self._next = 0
        self._over = False
        self.failed: GptcliError | None = None

    def take(self, *, wait: bool, room: bool = True) -> Asked | None:
        """See Incoming."""
        if not room:
            return None
        while not self._over:
            try:
                query = next(self._queries)
            except StopIteration:
                self._over = True
                break
            except GptcliError as error:
                self.failed, self._over = error, True
                break
            if query is None:
                if wait:
                    continue
                return None
            asking = self._few_shot.asking(self._next, query)
            self._next += 1
            # A question of this file's own, which nobody else is asked.
            return Asked(asking.index, cast(Question[Answer], asking))
        return None
