"""Examples and a query as token ids: one text, or the turns of a conversation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from gptcli.backends.chosen_examples import as_messages
from gptcli.backends.local.chat import LocalChat, after, thinking_of
from gptcli.backends.local.open_model import OpenModel
from gptcli.backends.local.thoughts import Thinking
from gptcli.errors import ContextError, InputError
from gptcli.text.chat_document import Document, Turn, document_of
from gptcli.text.continuation import split_continuation
from gptcli.text.example_template import ExampleTemplate, begins_another
from gptcli.types.chat import ChatForm, Message, Role
from gptcli.types.few_shot import Example, FewShotForm, FewShotRequest, Query


@dataclass(frozen=True)
class AskedPrompt:
    """A query in tokens; labels: the ids of each label after it.

    thinking: how thoughts are told from an answer, None where there are none.
    """

    index: int
    query: Query
    examples: tuple[Example, ...]
    ids: list[int]
    labels: list[list[int]] = field(default_factory=list)
    thinking: Thinking | None = None

    @property
    def longest(self) -> int:
        """How many tokens it takes with the longest label."""
        return len(self.ids) + max(map(len, self.labels), default=0)


class Prompts(Protocol):
    """A way to write examples and a query down."""

    @property
    def description(self) -> str:
        """In a few words."""
        ...

    @property
    def stops(self) -> tuple[str, ...]:
        """Texts that end a free answer."""
        ...

    @property
    def ends(self) -> frozenset[int]:
        """Tokens that end a free answer."""
        ...

    def document(self, examples: Sequence[Example], query: str) -> Document:
        """The document that awaits the answer."""
        ...

    def turns(self, examples: Sequence[Example], query: str) -> tuple[Turn, ...]:
        """The turns of that document."""
        ...

    def thinking(self, document: Document) -> Thinking | None:
        """How thoughts are told from an answer to it."""
        ...

    def labelled(
        self, examples: Sequence[Example], query: str, labels: Sequence[str]
    ) -> tuple[list[int], list[list[int]]]:
        """The ids that all labels come after, and those of each label.

        Where a label begins another one, "1" and "10", each has the first token of what ends an
        output as well: else the shorter one would be worth at least as much by itself.
        """
        ...


def prompts_for(model: OpenModel, request: FewShotRequest) -> Prompts:
    """The way that the request's form names."""
    if request.form.chat is None:
        return TextPrompts(model, request)
    return ChatPrompts(model, request.form, request.form.chat)


def asked(
    model: OpenModel,
    prompts: Prompts,
    index: int,
    query: Query,
    examples: tuple[Example, ...],
    labels: Sequence[str],
) -> AskedPrompt:
    """A query after its examples. Raises ContextError where it does not fit."""
    if labels:
        ids, rows = prompts.labelled(examples, query.text, labels)
        found = AskedPrompt(index, query, examples, ids, rows)
    else:
        document = prompts.document(examples, query.text)
        ids, thinking = list(document.ids), prompts.thinking(document)
        found = AskedPrompt(index, query, examples, ids, thinking=thinking)
    limit = model.runner.limit
    if (found.longest if labels else len(ids) + 1) > limit:
        what = f"its {len(examples)} examples has {len(ids)} tokens"
        reason = f"with {what}, which leave no room in the context of {limit}"
        raise ContextError(query.subject, reason, "--shots takes fewer of the examples")
    model.check_ids(ids, query.subject)
    return found


class TextPrompts:
    """One text: the instruction, the examples, the query up to its output."""

    description = "a text"

    def __init__(self, model: OpenModel, request: FewShotRequest) -> None:
        """Raises UsageError for a template that is none."""
        self._model = model
        self._form = request.form
        self._template = ExampleTemplate(request.form.template, request.form.separator)
        self.stops = self._template.stops(request.examples)
        self.ends = model.defaults.end_ids

    def document(self, examples: Sequence[Example], query: str) -> Document:
        """See Prompts."""
        text = self._template.document(self._form.instruction, examples, query)
        cut = self._model.tokenizer.cut(text)
        bos = self._bos([token for token, _, _ in cut])
        return document_of(text, cut, bos)

    def thinking(self, document: Document) -> None:
        """See Prompts: a text knows no thoughts."""

    def turns(self, examples: Sequence[Example], query: str) -> tuple[Turn, ...]:
        """See Prompts."""
        found: list[Turn] = []
        at = 0
        for role, piece in self._pieces(examples, query):
            end = at + len(piece)
            found.append(Turn(role, at, end, end if role == "assistant" else None))
            at = end
        return tuple(found)

    def labelled(
        self, examples: Sequence[Example], query: str, labels: Sequence[str]
    ) -> tuple[list[int], list[list[int]]]:
        """See Prompts. The space before the answer goes over to the labels."""
        text = self._template.document(self._form.instruction, examples, query)
        border = self._template.border if begins_another(labels) else ""
        split = []
        for label in labels:
            answer = self._template.answer(query, label)
            before, own = split_continuation(self._model.tokenizer, text, answer + border)
            split.append((before, self._up_to_the_first(own, border)))
        # As in `choose`: all labels are compared from the same place.
        place = min(len(before) for before, _ in split)
        before = split[0][0][:place]
        rows = [[*ids[place:], *own] for ids, own in split]
        empty = next((text for text, row in zip(labels, rows, strict=True) if not row), None)
        if empty is not None:
            raise InputError(f"label {empty!r}", "adds no token to the prompt")
        return [*self._bos(before), *before], rows

    def _up_to_the_first(self, ids: list[int], border: str) -> list[int]:
        """The ids of a text that ends with the border, up to the first that holds some of it."""
        spare = len(border.encode()) - 1
        last = len(ids)
        while last and spare >= len(self._model.tokenizer.bytes_of(ids[last - 1])):
            spare -= len(self._model.tokenizer.bytes_of(ids[last - 1]))
            last -= 1
        return ids[:last]

    def _bos(self, ids: Sequence[int]) -> list[int]:
        prefix = self._model.tokenizer.prefix
        return [] if list(ids[: len(prefix)]) == prefix else prefix

    def _pieces(self, examples: Sequence[Example], query: str) -> list[tuple[Role | None, str]]:
        """The document's text in pieces: who says what, and None for what stands between."""
        separator = self._form.separator
        pieces: list[tuple[Role | None, str]] = []
        if self._form.instruction:
            pieces += [("system", self._form.instruction), (None, separator)]
        for example in examples:
            whole = self._template.render(example)
            opened = self._template.open(example.input)
            rest = whole[len(opened) :]
            start = rest.index(example.output) + len(example.output)
            pieces += [("user", opened), ("assistant", rest[:start])]
            pieces.append((None, rest[start:] + separator))
        pieces.append(("user", self._template.open(query)))
        return [piece for piece in pieces if piece[1]]


class ChatPrompts:
    """Turns of a conversation: the instruction is the system's, inputs and outputs the others'.

    Where nothing else is said, and a template can be told so, answers come without thinking, as
    they do in the examples.
    """

    def __init__(self, model: OpenModel, form: FewShotForm, chat: ChatForm) -> None:
        opened = LocalChat(model)
        self._model = model
        self._instruction = form.instruction
        self._form = opened.unthinking(chat)
        self.description = self._form.description
        self.stops = self._form.stops
        self._turn_ends = sorted(opened.ends(self._form))
        self.ends = model.defaults.end_ids | frozenset(self._turn_ends)

    def document(self, examples: Sequence[Example], query: str) -> Document:
        """See Prompts."""
        return self._form.document(self._messages(examples, query))

    def thinking(self, document: Document) -> Thinking | None:
        """See Prompts."""
        return thinking_of(self._form, document)

    def turns(self, examples: Sequence[Example], query: str) -> tuple[Turn, ...]:
        """See Prompts."""
        return self._form.turns(self._messages(examples, query))

    def labelled(
        self, examples: Sequence[Example], query: str, labels: Sequence[str]
    ) -> tuple[list[int], list[list[int]]]:
        """See Prompts. Where a template has begun a thought, that is ended first."""
        messages = self._messages(examples, query)
        document = self._form.document(messages)
        thinking = self.thinking(document)
        if thinking is not None and thinking.stage == "thinking":
            end = self._turn_ends[: begins_another(labels)]
            ids = [*document.ids, *thinking.form.forced]
            return ids, [[*self._model.encode_part(label), *end] for label in labels]
        ending = begins_another(labels)
        rows = [
            after(
                self._form,
                document,
                [*messages, Message("assistant", label)],
                self._model,
                ending=ending,
            )
            for label in labels
        ]
        return list(document.ids), rows

    def _messages(self, examples: Sequence[Example], query: str) -> list[Message]:
        return as_messages(self._instruction, examples, query)
