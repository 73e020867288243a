"""Chat: messages become a document, the document is continued, and what was computed is kept."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import replace

from gptcli.backends.local.chat_document import viewed
from gptcli.backends.local.completion import Completion
from gptcli.backends.local.drafting import new_prefix
from gptcli.backends.local.drawing import Begin, Pause, alone, unpaused
from gptcli.backends.local.next_tokens import LocalWalk
from gptcli.backends.local.open_model import OpenModel
from gptcli.backends.local.overflow import oldest_left_out
from gptcli.backends.local.prompts_on_disk import kept_behind
from gptcli.backends.local.thoughts import Thinking
from gptcli.errors import ContextError, InputError, UsageError
from gptcli.text.chat_document import Document, DocumentForm
from gptcli.text.chat_form import open_form
from gptcli.text.transcript import Transcript
from gptcli.types.chat import (
    ChatDocument,
    ChatDocumentRequest,
    ChatForm,
    ChatNextTokensRequest,
    ChatRequest,
    Message,
)
from gptcli.types.completion import Chunk, Event, Request
from gptcli.types.events import Notice
from gptcli.types.next_tokens import Distribution, NextTokensRequest


def answer(model: OpenModel, request: ChatRequest) -> Iterator[Event]:
    """The assistant's answer, as a completion of one sample.

    Turns that were computed for an earlier request are not computed again. Raises InputError for
    messages that the model's form cannot take, ContextError where they do not fit.
    """
    yield from model.kept(LocalChat).answer(request)


def document(model: OpenModel, request: ChatDocumentRequest) -> ChatDocument:
    """The exact document that `answer` would continue."""
    return model.kept(LocalChat).document(request.chat)


def next_tokens(model: OpenModel, request: ChatNextTokensRequest) -> Distribution:
    """What may come where the conversation ends."""
    return model.kept(LocalChat).next_tokens(request.chat, request.rows)


#: Ways to tell a template how to think that are remembered.
_FORMS = 8


class LocalChat:
    """An open model in conversation: one KV cache, from which each turn takes what it can."""

    def __init__(self, model: OpenModel) -> None:
        self._model = model
        self._prefix = new_prefix(model)
        self._forms: dict[ChatForm, DocumentForm] = {}
        self._told: dict[tuple[ChatForm, int | None], DocumentForm] = {}

    def form(self, form: ChatForm, budget: int | None = None) -> DocumentForm:
        """The way to write conversations down, opened once. budget: of tokens that are thought."""
        untold = ChatForm(form.template, form.transcript)
        if untold not in self._forms:
            model = self._model
            limit = model.runner.limit
            self._forms[untold] = open_form(untold, model.tokenizer, context=limit)
        if form == untold and budget is None:
            return self._forms[untold]
        key = (form, budget)
        if key not in self._told:
            while len(self._told) >= _FORMS:
                self._told.pop(next(iter(self._told)))
            self._told[key] = self._forms[untold].telling(form, budget)
        return self._told[key]

    def ends(self, form: DocumentForm) -> set[int]:
        """Tokens that end a turn of the assistant in this form."""
        found = map(self._model.tokenizer.id_of, form.end_names)
        within = form.thinking.within if form.thinking else frozenset[int]()
        return {token for token in found if token is not None and token not in within}

    def thinking(
        self, request: ChatRequest, form: DocumentForm, document: Document
    ) -> Thinking | None:
        """How an answer to this document is read. Raises UsageError for a budget of no thoughts."""
        found = thinking_of(form, document)
        if found is None and request.think_budget is not None:
            reason = f"nothing shows how {self._model.name} marks its thoughts here"
            raise UsageError("--think-budget", reason)
        if found is None:
            return None
        return replace(found, budget=request.think_budget, apart=request.apart)

    def answer(self, request: ChatRequest) -> Iterator[Event]:
        """The answer, event by event; turns that were computed before are not computed again."""
        return kept_behind(self._prefix, unpaused(self.events(request, alone(self._prefix))))

    def events(self, request: ChatRequest, begin: Begin) -> Generator[Event | Pause, None, None]:
        """The answer, drawn as `begin` says."""
        if not request.messages or request.messages[-1].role != "user":
            raise InputError("conversation", "does not end with a message of the user")
        form = self.form(request.form, request.think_budget)
        document, _, notices = self._fitted(request, form)
        thinking = self.thinking(request, form, document)
        yield from notices
        completion = Completion(
            self._model,
            Request(
                prompt="",
                ids=tuple(document.ids),
                sampling=request.sampling,
                max_new_tokens=request.max_new_tokens,
                # What has to be something says itself where it ends.
                stop=(*request.stop, *(form.stops if request.constraint is None else ())),
                seed=request.seed,
                logprobs=request.logprobs,
                constraint=request.constraint,
            ),
            begin,
            ends=self.ends(form),
            thinking=thinking,
            white=isinstance(form, Transcript),
        )
        # Closed at once where the caller stops: the generator must not outlive the turn.
        with closing(completion.events()) as events:
            yield from _begun(events) if isinstance(form, Transcript) else events

    def unthinking(self, wanted: ChatForm) -> DocumentForm:
        """The form, told not to think where nobody said whether to, and it can be told."""
        if wanted.think is None:
            try:
                return self.form(replace(wanted, think=False))
            except UsageError:
                pass
        return self.form(wanted)

    def document(self, request: ChatRequest) -> ChatDocument:
        """The document as it would be continued."""
        form = self.form(request.form, request.think_budget)
        found, messages, notices = self._fitted(request, form)
        ends = self._model.defaults.end_ids | self.ends(form)
        return viewed(
            self._model,
            self._prefix,
            found,
            form.turns(messages, answer=messages[-1].role == "user"),
            form=form.description,
            ends=ends,
            notices=notices,
        )

    def next_tokens(self, request: ChatRequest, rows: int) -> Distribution:
        """What may come after the last answer, or for its begin."""
        last = request.messages[-1:]
        spoken = bool(last) and last[0].role == "assistant"
        asked = replace(request, messages=request.messages[:-1]) if spoken else request
        form = self.form(request.form, request.think_budget)
        document, _, _ = self._fitted(asked, form)
        ids = list(document.ids)
        if spoken:
            ids += after(form, document, [*asked.messages, last[0]], self._model)
            self._model.check_length(len(ids), "conversation")
        rows = min(rows, self._model.runner.spec.vocab)
        wish = NextTokensRequest(prompt="", sampling=request.sampling, rows=rows)
        return LocalWalk(self._model, wish, ids=ids, prefix=self._prefix).look()

    def _fitted(
        self, request: ChatRequest, form: DocumentForm
    ) -> tuple[Document, tuple[Message, ...], list[Notice]]:
        """The document of the request, with room for a token at least, and what it holds."""
        messages, notices = request.messages, list[Notice]()
        answer = messages[-1].role == "user"
        limit = self._model.runner.limit
        hint = None if request.drop_oldest else "--on-overflow drop-oldest leaves turns out"
        if request.drop_oldest:
            messages = oldest_left_out(self._model, form, request)
            count = len(request.messages) - len(messages)
            oldest = "oldest message" if count == 1 else f"{count} oldest messages"
            text = f"the context of {limit} tokens is full; left out the {oldest}"
            notices += [Notice("conversation", text)] if count else []
        try:
            document = form.document(messages, answer=answer)
        except ContextError as error:
            raise ContextError(error.subject, error.reason, hint) from None
        if len(document.ids) >= limit:
            reason = f"has {len(document.ids)} tokens, which leave no room in a context of {limit}"
            raise ContextError("conversation", reason, hint)
        self._model.check_ids(document.ids, "conversation")
        return document, messages, notices


def thinking_of(form: DocumentForm, document: Document) -> Thinking | None:
    """How an answer to a document of this form is read, None where all of it is text."""
    found = form.thinking
    return None if found is None else Thinking(found, found.begins(document.written))


def after(
    form: DocumentForm,
    document: Document,
    messages: Sequence[Message],
    model: OpenModel,
    *,
    ending: bool = False,
) -> list[int]:
    """The ids of the last message, an answer, as they follow a document that awaits it.

    ending: with the token that ends the turn, where the form has one.
    """
    whole = form.document(messages, answer=False)
    size = len(document.ids)
    content = messages[-1].content.strip()
    at = whole.text.rfind(content, len(document.text))
    end = whole.tokens_before(at + len(content)) if at >= 0 else None
    if whole.ids[:size] == document.ids and end is not None and end > size:
        return list(whole.ids[size : end + ending])
    # A template may write an old answer in another way than it begins a new one.
    said, thinking = messages[-1], thinking_of(form, document)
    if thinking is None or thinking.stage != "thinking":
        return model.encode_part(said.content)
    thought = model.encode_part(said.thinking)
    return [*thought, *thinking.form.forced, *model.encode_part(said.content)]


def _begun(events: Iterator[Event | Pause]) -> Iterator[Event | Pause]:
    """The events of a transcript's answer, which begins with the space after the name."""
    begun, left_out = False, 0
    for event in events:
        if isinstance(event, Chunk):
            text = event.text if begun else event.text.lstrip()
            left_out += len(event.text) - len(text)
            begun = begun or bool(text)
            marks = tuple((a - left_out, b - left_out) for a, b in event.marks if a >= left_out)
            event = replace(event, text=text, marks=marks)
        yield event
