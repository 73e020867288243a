"""A model's own chat template: a Jinja program that turns messages into a document."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from gptcli.errors import GptcliError, InputError, ModelError
from gptcli.text.chat_document import Document, Turn, document_of
from gptcli.text.disguise import Disguise
from gptcli.text.template_process import TemplateProcess
from gptcli.text.template_source import TemplateSource
from gptcli.text.tokenizer import Tokenizer
from gptcli.types.chat import ROLES, Message


class ChatTemplate:
    """See text.chat_document.DocumentForm.

    The ids are those of transformers' `apply_chat_template`, except where a message holds the name
    of a control token: there it stays text. Close it when it is no longer needed.
    """

    stops: tuple[str, ...] = ()

    def __init__(self, source: TemplateSource, tokenizer: Tokenizer) -> None:
        self.description = source.description
        self._tokenizer = tokenizer
        self._variables = tokenizer.named_tokens
        self._source, self._subject = source.text, source.subject
        # An added token that is no control token is one nevertheless where the template writes it.
        written = "\n".join((source.text, *self._variables.values()))
        self._controls = tokenizer.control_names(written)
        self._process = TemplateProcess(source.text, source.subject)

    @cached_property
    def end_names(self) -> tuple[str, ...]:
        """The control token after an answer, found by writing one down."""
        said = [Message("user", "a"), Message("assistant", "b")]
        try:
            document = self.document(said, answer=False)
            end = self.turns(said, answer=False)[-1].content_end
        except GptcliError:
            return ()
        at = None if end is None else document.tokens_before(end)
        after = document.ids[at:] if at is not None else ()
        return tuple(self._controls[token] for token in after[:1] if token in self._controls)

    def document(self, messages: Sequence[Message], *, answer: bool = True) -> Document:
        """See DocumentForm."""
        disguise, worn = self._disguised(messages)
        disguised = self._render(worn, answer=answer)
        text = disguise.take_off(disguised)
        cut: list[tuple[int, int, int]] = []
        at = 0
        for control in self._tokenizer.controls(disguised, self._controls):
            cut += self._between(text, at, control[1])
            cut.append(control)
            at = control[2]
        cut += self._between(text, at, len(text))
        if not cut:
            raise ModelError(self._subject, "makes an empty document of the conversation")
        return document_of(text, cut, ())

    def turns(self, messages: Sequence[Message], *, answer: bool = True) -> tuple[Turn, ...]:
        """See DocumentForm. A turn ends where the document of the messages so far ends."""
        disguise, worn = self._disguised(messages)
        whole = self._render(worn, answer=answer)
        text = disguise.take_off(whole)
        found: list[Turn] = []
        start = first = 0
        for place in range(len(worn)):
            end = self._end_of(worn[: place + 1], whole)
            if end is None or end < start:
                continue
            merged = messages[first : place + 1]
            found.append(_turn(merged, text, start, end))
            start, first = end, place + 1
        if start < len(text):
            rest = messages[first:]
            found.append(
                _turn(rest, text, start, len(text)) if rest else Turn("assistant", start, len(text))
            )
        return tuple(found)

    def _disguised(self, messages: Sequence[Message]) -> tuple[Disguise, list[Message]]:
        _check(messages)
        contents = [message.content for message in messages]
        others = (*contents, self._source, *self._variables.values())
        constants = self._process.constants()
        disguise = Disguise(self._controls.values(), constants=constants, others=others)
        return disguise, [Message(each.role, disguise.put_on(each.content)) for each in messages]

    def _between(self, text: str, start: int, end: int) -> list[tuple[int, int, int]]:
        """A stretch without control tokens, whatever it says."""
        cut = self._tokenizer.cut(text[start:end], inside=start > 0, never=self._controls)
        return [(token, a + start, b + start) for token, a, b in cut]

    def close(self) -> None:
        """End the process that renders."""
        self._process.close()

    def _end_of(self, messages: Sequence[Message], whole: str) -> int | None:
        try:
            part = self._render(messages, answer=False)
        except InputError:
            # A template may want turns to alternate, or not to end with the system's.
            return None
        return len(part) if whole.startswith(part) else None

    def _render(self, messages: Sequence[Message], *, answer: bool) -> str:
        variables: dict[str, Any] = {
            "messages": [{"role": each.role, "content": each.content} for each in messages],
            "add_generation_prompt": answer,
            "tools": None,
            "documents": None,
        }
        return self._process.render(variables | self._variables)


def _check(messages: Sequence[Message]) -> None:
    for place, message in enumerate(messages):
        if message.role not in ROLES:
            raise InputError("conversation", f"{message.role!r} is no role: {', '.join(ROLES)}")
        if message.role == "system" and place:
            raise InputError("conversation", "a system message can only be the first")


def _turn(messages: Sequence[Message], text: str, start: int, end: int) -> Turn:
    """A stretch that holds these messages, the last of which it ends with."""
    roles = {message.role for message in messages}
    content = messages[-1].content.strip()
    at = text.rfind(content, start, end) if content else -1
    role = messages[-1].role if len(roles) == 1 else None
    return Turn(role, start, end, at + len(content) if at >= 0 else None)
