"""A model's own chat template: a Jinja program that turns messages into a document."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import replace
from functools import cached_property
from typing import Any

from gptcli.errors import ContextError, GptcliError, InputError, ModelError
from gptcli.text.chat_document import Document, Turn, document_of, turn_of
from gptcli.text.disguise import Brief, hidden
from gptcli.text.template_process import Rendered, Said, TemplateProcess
from gptcli.text.template_source import TemplateSource
from gptcli.text.template_switches import said_of, values_of, with_word
from gptcli.text.thinking_forms import ThinkingForm, find
from gptcli.text.tokenizer import Tokenizer
from gptcli.types.chat import ROLES, ChatForm, Message

#: Tokens of a context that is not known.
_CONTEXT = 1 << 17
#: Characters that a template may write: for each that was said, for each token of the context,
#: and beyond that. Real ones write each message once, and real tokens have some four characters.
_PER_SAID, _PER_TOKEN, _BEYOND = 8, 16, 1 << 16
#: Documents of more characters for a token of the context are counted before they are cut, by
#: pieces of so many characters, up to so many times the context.
_SUSPECT, _PIECE, _TIMES = 8, 1 << 16, 4


class ChatTemplate:
    """See text.chat_document.DocumentForm.

    The ids are those of transformers' `apply_chat_template`, except where a message holds the name
    of a control token: there it stays text, unless it is an answer's, whose model wrote that very
    token (`Message.marks`). Close it when it is no longer needed.
    """

    stops: tuple[str, ...] = ()

    def __init__(
        self, source: TemplateSource, tokenizer: Tokenizer, *, context: int | None = None
    ) -> None:
        """context: how many tokens a document must not have, None where that is not known."""
        self.description = source.description
        self._tokenizer = tokenizer
        self._context = _CONTEXT if context is None else context
        self._variables = tokenizer.named_tokens
        self._subject = source.subject
        # An added token that is no control token is one nevertheless where the template writes it.
        self._written = "\n".join((source.text, *self._variables.values()))
        self._controls = tokenizer.control_names(self._written)
        # What stands in an answer is no special token: those are not shown.
        special = tokenizer.is_special
        self._marks = {name for token, name in self._controls.items() if not special(token)}
        self._source = source.text
        self._process = TemplateProcess(source.text, source.subject)
        self._tell({}, "")

    def telling(self, form: ChatForm, budget: int | None) -> ChatTemplate:
        """See DocumentForm. The process that renders is the same."""
        reads, names = self._process.reads, self._variables
        found = copy(self)
        # It may end an answer otherwise, and begin a message of the user.
        for name in ("end_names", "_user_header"):
            vars(found).pop(name, None)
        values = values_of(form, reads, self._source, names=names, budget=budget)
        found._tell(values, said_of(form, reads, self._source))
        return found

    def _tell(self, values: Mapping[str, Any], word: str) -> None:
        self._values, self._word = values, word
        #: Texts in them, which are no control tokens either.
        self._given = json.dumps(values, ensure_ascii=False).casefold()

    @cached_property
    def thinking(self) -> ThinkingForm | None:
        """See DocumentForm."""
        return find(self._tokenizer, self._source)

    @property
    def reads(self) -> frozenset[str]:
        """The variables that the template may ask for. Raises ModelError for a broken one."""
        return self._process.reads

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
        """See DocumentForm. Raises ContextError where it is too long by far."""
        rendered = self._render(messages, answer=answer)
        text = rendered.text
        self._check_size(text)
        written = hidden(text, rendered.runs, self._controls.values())
        self._check_written(text, written, messages)
        cut: list[tuple[int, int, int]] = []
        at = 0
        for control in self._written_controls(written, rendered.runs):
            cut += self._between(text, at, control[1])
            cut.append(control)
            at = control[2]
        cut += self._between(text, at, len(text))
        if not cut:
            raise ModelError(self._subject, "makes an empty document of the conversation")
        # Runs are the template's and others' by turns, its own first.
        own = rendered.runs[-1] if len(rendered.runs) % 2 else 0
        return replace(document_of(text, cut, ()), written=text[len(text) - own :])

    def turns(self, messages: Sequence[Message], *, answer: bool = True) -> tuple[Turn, ...]:
        """See DocumentForm. A turn ends where the document of the messages so far ends.

        What a template has to say itself before the first message is a turn of the system's.
        """
        text = self._render(messages, answer=answer).text
        found = self._turns(messages, text)
        first = found[0] if found else None
        if first is None or first.role != "user" or first.content_end is None:
            return tuple(found)
        header = first.content_end - len(messages[0].content.strip()) - len(self._user_header)
        own = text[:header] if text.startswith(self._user_header or " ", header) else ""
        for name in self._controls.values():
            own = own.replace(name, "")
        if header <= 0 or not own.strip():
            return tuple(found)
        return (Turn("system", 0, header), replace(first, start=header), *found[1:])

    @cached_property
    def _user_header(self) -> str:
        """What stands before a message of the user that is not the first."""
        said = [Message("user", "a"), Message("assistant", "b"), Message("user", "c")]
        try:
            text = self._render(said, answer=False).text
        except GptcliError:
            return ""
        last = self._turns(said, text)[-1]
        return "" if last.content_end is None else text[last.start : last.content_end - 1]

    def _turns(self, messages: Sequence[Message], text: str) -> list[Turn]:
        found: list[Turn] = []
        start = first = 0
        for place in range(len(messages)):
            end = self._end_of(messages[: place + 1], text)
            if end is None or end < start:
                continue
            merged = messages[first : place + 1]
            found.append(turn_of(merged, text, start, end))
            start, first = end, place + 1
        if start < len(text):
            rest, end = messages[first:], len(text)
            turn = turn_of(rest, text, start, end) if rest else Turn("assistant", start, end)
            found.append(turn)
        return found

    def _check_size(self, text: str) -> None:
        """Raise ContextError for a text that would take long to cut only to be refused."""
        if len(text) <= _SUSPECT * self._context:
            return
        count, most = 0, _TIMES * self._context
        for start in range(0, len(text), _PIECE):
            count += len(self._tokenizer.encode(text[start : start + _PIECE]))
            if count > most:
                reason = f"has more than {most} tokens, which leave no room in a context of"
                raise ContextError("conversation", f"{reason} {self._context}")

    def _check_written(self, text: str, written: str, messages: Sequence[Message]) -> None:
        """Raise ModelError where a template does what makes its own control tokens unknown."""
        contents = [each.casefold() for m in messages for each in (m.content, m.thinking)]
        contents.append(self._given)
        for token, name in self._controls.items():
            if not self._tokenizer.is_special(token) or name not in self._written:
                continue
            if any(name.casefold() in content for content in contents):
                continue
            for found in re.finditer(re.escape(name), text):
                seen = written[slice(*found.span())]
                # Of letters that stand among the template's, some message is made.
                if not any(a == b for a, b in zip(name, seen, strict=True)):
                    reason = f"{name} stands in the document, and it cannot be told who wrote it"
                    raise ModelError(self._subject, reason)

    def _written_controls(self, written: str, runs: Sequence[int]) -> list[tuple[int, int, int]]:
        """(id, start, end) of the control tokens that the template wrote, and those of answers."""
        if any(name.isspace() for name in self._controls.values()):
            # White space may be a token wherever it stands.
            return self._tokenizer.controls(written, self._controls)
        brief = Brief(written, runs)
        found = self._tokenizer.controls(brief.text, self._controls)
        return [(token, brief.place(a), brief.place(b - 1) + 1) for token, a, b in found]

    def _between(self, text: str, start: int, end: int) -> list[tuple[int, int, int]]:
        """A stretch without control tokens, whatever it says."""
        cut = self._tokenizer.cut(text[start:end], inside=start > 0, never=self._controls)
        return [(token, a + start, b + start) for token, a, b in cut]

    def close(self) -> None:
        """End the process that renders."""
        self._process.close()

    def _end_of(self, messages: Sequence[Message], whole: str) -> int | None:
        # A last answer may keep what was thought before it, an earlier one mostly does not.
        for said in dict.fromkeys((tuple(messages), tuple(map(_thoughtless, messages)))):
            try:
                part = self._render(said, answer=False).text
            except InputError:
                # A template may want turns to alternate, or not to end with the system's.
                return None
            if whole.startswith(part):
                return len(part)
        return None

    def _render(self, messages: Sequence[Message], *, answer: bool) -> Rendered:
        _check(messages)
        said = [
            Said(each.role, each.content, self._kept_marks(each), each.thinking)
            for each in with_word(messages, self._word)
        ]
        longest = _PER_SAID * sum(len(each.content) + len(each.thinking) for each in messages)
        longest += _PER_SAID * len(self._given) + _PER_TOKEN * self._context + _BEYOND
        values = self._values
        return self._process.render(
            said, self._variables, values=values, answer=answer, longest=longest
        )

    def _kept_marks(self, message: Message) -> list[tuple[int, int]]:
        """Those marks of an answer that are tokens of this tokenizer, and may stand in one."""
        if message.role != "assistant":
            return []
        return [(a, b) for a, b in message.marks if message.content[a:b] in self._marks]


def _thoughtless(message: Message) -> Message:
    return replace(message, thinking="") if message.thinking else message


def _check(messages: Sequence[Message]) -> None:
    for place, message in enumerate(messages):
        if message.role not in ROLES:
            raise InputError("conversation", f"{message.role!r} is no role: {', '.join(ROLES)}")
        if message.role == "system" and place:
            raise InputError("conversation", "a system message can only be the first")
