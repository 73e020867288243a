"""Rows that are conversations: each is answered."""

from __future__ import annotations

from dataclasses import dataclass, replace

from gptcli.batches import own
from gptcli.batches.asked import Id, Wanted
from gptcli.batches.dialects import openai
from gptcli.config import Limit
from gptcli.formats.openai.chat import THINKING, Chat, after, answered, chat, messages, thinking
from gptcli.formats.openai.fields import Fields
from gptcli.types.chat import ChatRequest, Message
from gptcli.types.rows import Row


@dataclass(frozen=True)
class Chats:
    """`messages`, or one `message` (`prompt`) and perhaps a `system`, or a plain line.

    `default` has what a row does not say; its messages are the system's, where there is one.
    """

    default: ChatRequest
    columns = ("messages", "message", "prompt")

    def wanted(self, row: Row) -> Wanted:
        """See Dialect."""
        with own.told_of(row):
            if not openai.is_line(row):
                return self._own(row)
            name, fields = openai.request_of(row, openai.CHAT)
            says = _has_settings(fields)
            found = chat(fields, self.default)
            openai.done(fields)
            return _wanted(fields, name, found, own=says, openai=True)

    def _own(self, row: Row) -> Wanted:
        fields = own.fields_of(row, *self.columns, "system")
        says = _has_settings(fields)
        said = _messages(fields, self.columns)
        sampling = own.biased(fields, self.default.sampling)
        default = replace(self.default, sampling=sampling, messages=after(self.default, said))
        found = answered(fields, default, "max_tokens", bounds=own.BOUNDS)
        logprobs = fields.whole("logprobs", Limit(0, own.BOUNDS.top))
        if logprobs is not None:
            found = replace(found, question=replace(found.question, logprobs=logprobs))
        found = replace(found, question=thinking(fields, found.question))
        fields.done()
        return _wanted(fields, own.id_of(row), found, own=says, openai=False)


def _wanted(fields: Fields, name: Id, found: Chat, *, own: bool, openai: bool) -> Wanted:
    if found.samples != 1:
        raise fields.invalid("n", "can only be 1 in a batch of chats")
    seeded = found.seed is not None
    return Wanted(found.question, name, seeded=seeded, own=own, openai=openai)


def _has_settings(fields: Fields) -> bool:
    return own.has_settings(fields) or any(map(fields.has, THINKING))


def _messages(fields: Fields, columns: tuple[str, ...]) -> tuple[Message, ...]:
    if fields.has("messages"):
        return messages(fields)
    name = next((each for each in ("", *columns[1:]) if fields.has(each)), columns[1])
    content = fields.needed(name)
    if not content.strip():
        raise fields.invalid(name, "is empty")
    system = fields.text("system")
    scene = (Message("system", system),) if system else ()
    return (*scene, Message("user", content))
