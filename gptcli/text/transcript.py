"""A conversation as plain text, for a model that only continues text."""

from __future__ import annotations

from collections.abc import Sequence

from gptcli.errors import UsageError
from gptcli.text.braces import parse
from gptcli.text.chat_document import Document, Turn, document_of
from gptcli.text.tokenizer import Tokenizer
from gptcli.types.chat import ChatForm, Message, Role, TranscriptForm

_FLAG = "--transcript"


class Transcript:
    """See text.chat_document.DocumentForm. Names of control tokens in it are text."""

    end_names: tuple[str, ...] = ()

    def __init__(self, form: TranscriptForm, tokenizer: Tokenizer) -> None:
        """Raises UsageError for a form with braces without partner, or without {content}."""
        self._tokenizer = tokenizer
        names = {"user": form.user_name, "assistant": form.assistant_name}
        #: What stands before and after the content of each role.
        self._around: dict[Role, tuple[str, str]] = {
            "system": _around(form.system, names, "system"),
            "user": _around(form.user, names, "user"),
            "assistant": _around(form.assistant, names, "assistant"),
        }
        if not self._around["assistant"][0].strip():
            raise UsageError(_FLAG, "its assistant form has nothing before {content}")
        self.description = f"a transcript of {form.user_name} and {form.assistant_name}"

    @property
    def stops(self) -> tuple[str, ...]:
        """Where the next turn would begin: the model must not speak for the user."""
        after = self._around["assistant"][1]
        begins = [self._around[role][0].rstrip() for role in ("user", "assistant")]
        return tuple(dict.fromkeys(after + begin for begin in begins if begin))

    def telling(self, form: ChatForm, budget: int | None) -> Transcript:
        """See DocumentForm: there is nothing to tell."""
        if form.told:
            raise UsageError(form.told[0], "is for a chat template, and a transcript has none")
        return self

    @property
    def thinking(self) -> None:
        """See DocumentForm: whoever only goes on with a text marks nothing in it."""

    def document(self, messages: Sequence[Message], *, answer: bool = True) -> Document:
        """See DocumentForm."""
        text = "".join(text for _, text, _ in self._pieces(messages, answer=answer))
        cut = self._tokenizer.cut(text)
        prefix = self._tokenizer.prefix
        has_prefix = [token for token, _, _ in cut[: len(prefix)]] == prefix
        return document_of(text, cut, [] if has_prefix else prefix)

    def turns(self, messages: Sequence[Message], *, answer: bool = True) -> tuple[Turn, ...]:
        """See DocumentForm."""
        found, at = [], 0
        for role, text, content_end in self._pieces(messages, answer=answer):
            end = None if content_end is None else at + content_end
            found.append(Turn(role, at, at + len(text), end))
            at += len(text)
        return tuple(found)

    def close(self) -> None:
        """Nothing is open."""

    def _pieces(
        self, messages: Sequence[Message], *, answer: bool
    ) -> list[tuple[Role, str, int | None]]:
        """(role, text, where the content ends in it) of each turn."""
        found: list[tuple[Role, str, int | None]] = []
        for message in messages:
            before, after = self._around[message.role]
            said = before + message.content.strip()
            found.append((message.role, said + after, len(said)))
        if answer:
            # Tokens carry the space before a word, so it is left to the answer.
            found.append(("assistant", self._around["assistant"][0].rstrip(" \t"), None))
        return found


def _around(form: str, names: dict[str, str], part: str) -> tuple[str, str]:
    """What stands before {content} and after it, the names filled in."""
    parts = parse(form, ("content", "user", "assistant"), f"{_FLAG}: {part}")
    if [field for _, field in parts].count("content") != 1:
        raise UsageError(f"{_FLAG}: {part}", "must have {content} once")
    sides = ["", ""]
    side = 0
    for literal, field in parts:
        sides[side] += literal
        if field == "content":
            side = 1
        elif field is not None:
            sides[side] += names[field]
    return sides[0], sides[1]
